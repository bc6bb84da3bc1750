/**
 * Makes the model that ships from a checkpoint of its training: batch normalisation folded away,
 * weights quantised, and in the metadata what a program needs to know about it.
 *
 *     deno task export --data tiny-imagenet runs/alexnet-tiny/checkpoint.safetensors model.safetensors
 *
 * @module
 */

import { createBackend } from "../../src/backend/mod.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { parseStrictly } from "../../src/cli/parse.ts";
import { print } from "../../src/cli/terminal.ts";
import { FileError } from "../../src/errors.ts";
import { foldBatchNorm } from "../../src/layers/mod.ts";
import { describe } from "../../src/models/description.ts";
import { fill } from "../../src/models/load.ts";
import { AlexNetTiny } from "../../src/models/mod.ts";
import {
  fileSource,
  openWeights,
  type TensorToWrite,
  type WeightsFile,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { readClasses } from "./sheets.ts";
import { runTask, writeWhole } from "./task.ts";

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
  print(`${options.model}: ${bytes.length.toLocaleString("en-US")} bytes`);
}

async function exported({ data, kind, checkpoint }: Options): Promise<Uint8Array> {
  const classes = await readClasses(data);
  using file = await openWeights(await fileSource(checkpoint));
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using trained = new AlexNetTiny({ classes, batchNorm: true });
  await fill(trained, backend, withoutOptimizer(file));
  using model = new AlexNetTiny({ classes });
  await foldBatchNorm(trained, model);

  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    // biases have one axis, and are few
    const dtype = shape.length > 1 ? kind : "F32";
    tensors.push({ name, dtype, shape, data: await tensor!.read() });
  }
  const { preprocessing } = model;
  return writeSafetensors(tensors, {
    ...describe({ architecture: "alexnet-tiny", classes, preprocessing }),
    data: "Tiny ImageNet; terms of ImageNet: research and education",
    recipe: recipeOf(file),
  });
}

/** A checkpoint's model: what the optimiser keeps lies beside it. */
function withoutOptimizer(file: WeightsFile): WeightsFile {
  const own = [...file.entries].filter(([name]) => !name.startsWith("optimizer."));
  return {
    name: file.name,
    format: file.format,
    metadata: file.metadata,
    entries: new Map(own),
    order: file.order.filter((name) => !name.startsWith("optimizer.")),
    read: (name, sink) => file.read(name, sink),
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

function recipeOf({ name, metadata }: WeightsFile): string {
  const recipe = metadata.get("recipe");
  if (!recipe) throw new FileError(name, "is no checkpoint of this recipe");
  return recipe;
}

function readArgs(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseStrictly({
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
