/**
 * Converts a checkpoint to a model that ships: computes the statistics of batch normalisation from
 * images without augmentation, quantises the weights, fits the temperature to the images that were held
 * out, and adds a description of the network.
 *
 *     deno task export --data tiny-imagenet runs/resnet-tiny/checkpoint.safetensors model.safetensors
 *
 * @module
 */

import { createBackend, loadModel, type TensorToWrite } from "../../mod.ts";
import { imageDataset } from "./dataset.ts";
import { networks, preprocessing } from "./networks.ts";
import { createRun, loadRun, readRecipe, withFinalValues } from "./run.ts";
import { blankImage, readClasses, readSheets } from "./sheets.ts";
import { updateStatistics } from "./statistics.ts";
import { temperatureFor } from "./temperature.ts";
import { parseOptions, runTask, toFileError, UsageError, writeAtomically } from "./task.ts";

const usage = `\
Converts a training checkpoint to a model file.

Usage: deno task export --data FOLDER [options] CHECKPOINT MODEL

Options:
      --data FOLDER   the training data: the names of the classes come from its classes.tsv, and
                      the images for statistics and temperature from train/
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
  const { bytes, temperature } = await exportModel(options);
  await writeAtomically(options.model, bytes);
  const size = `${bytes.length.toLocaleString("en-US")} bytes`;
  console.log(`${options.model}: ${size}${temperature ? `, temperature ${temperature}` : ""}`);
}

async function exportModel(
  { data, dtype, checkpoint }: Options,
): Promise<{ bytes: Uint8Array; temperature?: number }> {
  const classes = await readClasses(data), statistics = preprocessing;
  const saved = await Deno.readFile(checkpoint).catch((error) => {
    throw toFileError(checkpoint, error);
  });
  const recipe = await readRecipe(saved, checkpoint, {}), { holdOut, statisticsImages } = recipe;
  const size = preprocessing.crop, folder = `${data}/train`;
  using backend = await createBackend({ device: "wasm" });
  using run = createRun(backend, imageDataset(blankImage, { statistics }), classes, recipe);
  await loadRun(run, saved, checkpoint);
  const metadata = {
    data: "Tiny ImageNet; terms of ImageNet: research and education",
    recipe: JSON.stringify(recipe),
  };
  return await withFinalValues(run, async () => {
    if (statisticsImages > 0) {
      const perClass = Math.ceil(statisticsImages / classes.length);
      const images = await readSheets(folder, classes, { size, perClass, holdOut });
      await updateStatistics(run.model, imageDataset(images, { statistics }), recipe.batch);
    }
    const save = () => networks[recipe.network].save(run.model, { dtype, metadata });
    const bytes = await save();
    if (holdOut === 0) return { bytes };
    const images = await readSheets(folder, classes, { size, holdOut, heldOut: true });
    using model = await loadModel({ backend, weights: bytes });
    const temperature = await temperatureFor(model, images);
    run.model.temperature = temperature;
    return { bytes: await save(), temperature };
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
