/**
 * A training run of alexnet-tiny: what it is made of, and its checkpoint.
 *
 * @module
 */

import {
  AlexNetTiny,
  type Backend,
  bytesSource,
  cosineSchedule,
  type Dataset,
  FileError,
  loadCheckpoint,
  openWeights,
  PembrokeError,
  saveCheckpoint,
  SGD,
  Trainer,
} from "../../mod.ts";
import type { Recipe } from "./options.ts";

/** A run: model, optimiser and trainer, made from a recipe. */
export interface Run extends Disposable {
  readonly recipe: Recipe;
  readonly model: AlexNetTiny;
  readonly trainer: Trainer;
  /** Seconds of training in the epoch under way, those before a stop included. */
  seconds: number;
}

/** Makes a run that has not begun. */
export function createRun(
  backend: Backend,
  data: Dataset,
  numClasses: number,
  recipe: Recipe,
): Run {
  const { epochs, batch, lr, momentum, weightDecay, labelSmoothing, dropout, seed } = recipe;
  const model = new AlexNetTiny({ numClasses, dropout, batchNorm: true }).init(backend, { seed });
  const optimizer = new SGD(model, {
    lr,
    momentum,
    nesterov: true,
    // weights have two axes and more; biases and batch normalisation have one
    weightDecay: (_name, shape) => shape.length > 1 ? weightDecay : 0,
  });
  const perEpoch = Math.ceil(data.length / batch);
  const trainer = new Trainer(model, data, {
    optimizer,
    batchSize: batch,
    epochs,
    labelSmoothing,
    seed,
    schedule: cosineSchedule({
      lr,
      steps: epochs * perEpoch,
      warmUp: Math.round(recipe.warmUp * perEpoch),
    }),
  });
  const dispose = () => {
    model.dispose();
    optimizer.dispose();
  };
  return { recipe, model, trainer, seconds: 0, [Symbol.dispose]: dispose };
}

/** The run as a checkpoint, with its recipe and its clock. */
export async function saveRun({ recipe, trainer, seconds }: Run): Promise<Uint8Array> {
  return await saveCheckpoint(trainer, {
    recipe: JSON.stringify(recipe),
    seconds: String(seconds),
  });
}

/** Brings a run to where a checkpoint stands. */
export async function loadRun(run: Run, bytes: Uint8Array, name: string): Promise<void> {
  await loadCheckpoint(run.trainer, bytes, name);
  using file = await openWeights(bytesSource(bytes, name));
  run.seconds = Number(file.metadata.get("seconds"));
}

/** The recipe that a checkpoint was made with; what was given besides must agree. */
export async function recipeOf(
  bytes: Uint8Array,
  name: string,
  given: Partial<Recipe>,
): Promise<Recipe> {
  using file = await openWeights(bytesSource(bytes, name));
  const text = file.metadata.get("recipe");
  if (!text) throw new FileError(name, "no checkpoint of this recipe");
  const recipe = JSON.parse(text) as Recipe;
  for (const [key, value] of Object.entries(given)) {
    const before = recipe[key as keyof Recipe];
    if (before === value) continue;
    throw new PembrokeError(
      `${name}: the run has ${key} ${before}, not ${value}; leave it out, or begin in another --out`,
    );
  }
  return recipe;
}
