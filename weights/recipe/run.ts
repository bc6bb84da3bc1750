/**
 * A training run and its checkpoints.
 *
 * @module
 */

import {
  type Backend,
  bytesSource,
  type Classifier,
  FileError,
  loadCheckpoint,
  openWeights,
  PembrokeError,
  type Progress,
  saveCheckpoint,
  SGD,
  Trainer,
} from "../../mod.ts";
import type { ImageDataset } from "./dataset.ts";
import { networks } from "./networks.ts";
import { epochsOf, type Recipe, scheduleOf, sideOf } from "./recipe.ts";
import type { SheetClass } from "./sheets.ts";

/** A training run. */
export interface Run extends Disposable {
  readonly recipe: Recipe;
  readonly model: Classifier;
  readonly trainer: Trainer;
  /** Seconds of training in the current epoch, including those before an interruption. */
  seconds: number;
}

/** Creates the model, optimiser and trainer of a recipe. */
export function createRun(
  backend: Backend,
  data: ImageDataset,
  classes: readonly SheetClass[],
  recipe: Recipe,
): Run {
  const { batch, lr, momentum, weightDecay, labelSmoothing, emaDecay, seed } = recipe;
  const { network, dropout } = recipe;
  const model = networks[network].create({ classes, dropout }).init(backend, { seed });
  const optimizer = new SGD(model, {
    lr,
    momentum,
    nesterov: true,
    // Biases and the parameters of batch normalisation have one axis.
    weightDecay: (_name, shape) => shape.length > 1 ? weightDecay : 0,
  });
  const trainer = new Trainer(model, data, {
    optimizer,
    batchSize: batch,
    epochs: epochsOf(recipe),
    labelSmoothing,
    seed,
    ...(emaDecay > 0 && { emaDecay }),
    schedule: scheduleOf(recipe, Math.ceil(data.length / batch)),
  });
  const dispose = () => {
    for (const part of [model, optimizer, trainer]) part.dispose();
  };
  return { recipe, model, trainer, seconds: 0, [Symbol.dispose]: dispose };
}

/** Trains to the end of the epoch, on images of its size. */
export async function trainEpoch(
  { recipe, trainer }: Run,
  data: ImageDataset,
  onStep?: (progress: Progress) => void | Promise<void>,
): Promise<Progress> {
  data.side = sideOf(recipe, trainer.state.epoch);
  return await trainer.trainEpoch(onStep);
}

/** Runs a function while the model has the values that are validated and exported. */
export async function withFinalValues<T>(
  { trainer }: Run,
  use: () => Promise<T>,
): Promise<T> {
  return trainer.average ? await trainer.withAverage(use) : await use();
}

/** Saves a run as a checkpoint with its recipe and training time. */
export async function saveRun({ recipe, trainer, seconds }: Run): Promise<Uint8Array> {
  return await saveCheckpoint(trainer, {
    recipe: JSON.stringify(recipe),
    seconds: String(seconds),
  });
}

/** Loads a checkpoint into a run. */
export async function loadRun(run: Run, bytes: Uint8Array, name: string): Promise<void> {
  await loadCheckpoint(run.trainer, bytes, name);
  using file = await openWeights(bytesSource(bytes, name));
  run.seconds = Number(file.metadata.get("seconds"));
}

/**
 * Reads the recipe of a checkpoint.
 *
 * @param overrides Options of the command line, which must equal those of the checkpoint.
 */
export async function readRecipe(
  bytes: Uint8Array,
  name: string,
  overrides: Partial<Recipe>,
): Promise<Recipe> {
  using file = await openWeights(bytesSource(bytes, name));
  const recipe = parseRecipe(file.metadata.get("recipe"));
  if (!recipe) throw new FileError(name, "is not a checkpoint of this version of the recipe");
  for (const [key, value] of Object.entries(overrides)) {
    const saved = recipe[key as keyof Recipe];
    if (JSON.stringify(saved) === JSON.stringify(value)) continue;
    throw new PembrokeError(
      `${name}: its run has ${key} ${saved}, not ${value}; remove the option or use another --out`,
    );
  }
  return recipe;
}

/** Parses a recipe. Returns undefined if it is damaged, or of another version. */
function parseRecipe(text = ""): Recipe | undefined {
  try {
    const recipe = JSON.parse(text);
    const isKnown = Object.hasOwn(networks, recipe.network) &&
      [recipe.sizes, recipe.restarts].every(Array.isArray);
    return isKnown ? recipe : undefined;
  } catch {
    return undefined;
  }
}
