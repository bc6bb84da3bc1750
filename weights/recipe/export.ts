/**
 * Converts a checkpoint to the bundled model: folds batch normalisation, quantises the weights, and
 * adds a description of the network.
 *
 *     deno task export --data tiny-imagenet runs/alexnet-tiny/checkpoint.safetensors model.safetensors
 *
 * @module
 */

import {
  AlexNetTiny,
  createBackend,
  foldBatchNorm,
  saveModel,
  type TensorToWrite,
} from "../../mod.ts";
import { imageDataset } from "./dataset.ts";
import { createRun, loadRun, readRecipe } from "./run.ts";
import { blankImage, readClasses } from "./sheets.ts";
import { parseOptions, runTask, toFileError, UsageError, writeAtomically } from "./task.ts";

const usage = `\
Converts a training checkpoint of alexnet-tiny to a model file.

Usage: deno task export --data FOLDER [options] CHECKPOINT MODEL

Options:
      --data FOLDER   the training data: the names of the classes come from its classes.tsv
      --weights TYPE  type of the stored weights: i8, f16 or f32 (default i8)
  -h, --help          print this help`;

/** The types of stored weights. */
const dtypes = { i8: "I8", f16: "F16", f32: "F32" } as const;

interface Options {
  readonly data: string;
  readonly dtype: TensorToWrite["dtype"];
  readonly checkpoint: string;
  readonly model: string;
}

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run }, args);
}

async function run(options: Options): Promise<void> {
  const bytes = await exportModel(options);
  await writeAtomically(options.model, bytes);
  console.log(`${options.model}: ${bytes.length.toLocaleString("en-US")} bytes`);
}

async function exportModel({ data, dtype, checkpoint }: Options): Promise<Uint8Array> {
  const classes = await readClasses(data);
  const bytes = await Deno.readFile(checkpoint).catch((error) => {
    throw toFileError(checkpoint, error);
  });
  const recipe = await readRecipe(bytes, checkpoint, {});
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const placeholder = imageDataset(blankImage, { statistics: new AlexNetTiny().preprocessing });
  using run = createRun(backend, placeholder, classes.length, recipe);
  await loadRun(run, bytes, checkpoint);
  using model = new AlexNetTiny({ classes });
  await foldBatchNorm(run.model, model);
  return await saveModel(model, {
    dtype,
    metadata: {
      data: "Tiny ImageNet; terms of ImageNet: research and education",
      recipe: JSON.stringify(recipe),
    },
  });
}

function readArgs(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      "data": { type: "string" },
      "weights": { type: "string", default: "i8" },
      "help": { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const [checkpoint, model, ...more] = positionals;
  if (!values.data || !model || more.length > 0) {
    throw new UsageError("usage: deno task export --data FOLDER CHECKPOINT MODEL");
  }
  const dtype = Object.entries(dtypes).find(([name]) => name === values.weights)?.[1];
  if (dtype) return { data: values.data, dtype, checkpoint, model };
  throw new UsageError(`--weights is ${JSON.stringify(values.weights)}, must be i8, f16 or f32`);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
