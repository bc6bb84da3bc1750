/**
 * Makes the model that ships from a checkpoint of its training: batch normalisation folded away,
 * weights quantised, and in the metadata what a program needs to know about it.
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
import { createRun, loadRun, recipeOf } from "./run.ts";
import { blankImage, readClasses } from "./sheets.ts";
import { asFileError, parseOptions, runTask, UsageError, writeWhole } from "./task.ts";

const usage = `\
Makes the model that ships from a checkpoint of alexnet-tiny.

Usage: deno task export --data FOLDER [options] CHECKPOINT MODEL

Options:
      --data FOLDER  holds classes.tsv, the names of the classes that it was trained on
      --weights KIND how the weights are stored: i8 (the default), f16 or f32
  -h, --help         print this`;

/** How weights may be stored. */
const kinds = { i8: "I8", f16: "F16", f32: "F32" } as const;

interface Options {
  readonly data: string;
  readonly kind: TensorToWrite["dtype"];
  readonly checkpoint: string;
  readonly model: string;
}

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run }, args);
}

async function run(options: Options): Promise<void> {
  const bytes = await exported(options);
  await writeWhole(options.model, bytes);
  console.log(`${options.model}: ${bytes.length.toLocaleString("en-US")} bytes`);
}

async function exported({ data, kind, checkpoint }: Options): Promise<Uint8Array> {
  const classes = await readClasses(data);
  const bytes = await Deno.readFile(checkpoint).catch((error) => {
    throw asFileError(checkpoint, error);
  });
  const recipe = await recipeOf(bytes, checkpoint, {});
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const unused = imageDataset(blankImage, { statistics: new AlexNetTiny().preprocessing });
  using trained = createRun(backend, unused, classes.length, recipe);
  await loadRun(trained, bytes, checkpoint);
  using model = new AlexNetTiny({ classes });
  await foldBatchNorm(trained.model, model);
  return await saveModel(model, {
    dtype: kind,
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
  const kind = Object.entries(kinds).find(([name]) => name === values.weights)?.[1];
  if (kind) return { data: values.data, kind, checkpoint, model };
  throw new UsageError(
    `--weights is ${JSON.stringify(values.weights)}, must be ${Object.keys(kinds).join(" or ")}`,
  );
}

if (import.meta.main) Deno.exit(await main(Deno.args));
