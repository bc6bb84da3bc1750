/**
 * The hyperparameters of each network.
 *
 * @module
 */

import { cosineSchedule } from "../../mod.ts";
import type { Augmentation } from "./augment.ts";

/** A network with a recipe. */
export type RecipeNetwork = "alexnet-tiny" | "resnet-tiny";

/** One more cycle of the learning rate: warm-up, then half a cosine down to 0. */
export interface Restart {
  readonly epochs: number;
  readonly lr: number;
  readonly warmUp: number;
}

/** All hyperparameters. With the same data and build, they determine the result of a run. */
export interface Recipe {
  readonly network: RecipeNetwork;
  /** Epochs of the first cycle. */
  readonly epochs: number;
  /** Cycles after the first, on images of the last size: warm restarts (Loshchilov & Hutter 2017). */
  readonly restarts: readonly Restart[];
  readonly batch: number;
  /** The highest learning rate, after the warm-up. */
  readonly lr: number;
  /** Epochs of warm-up, at most a quarter of the cycle. The rest is half a cosine down to 0. */
  readonly warmUp: number;
  readonly momentum: number;
  /** Weight decay of weights. Biases and batch normalisation have none. */
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  readonly dropout: number;
  /** The decay of the moving average of all values, which is validated and exported. 0: none. */
  readonly emaDecay: number;
  /** Sides of the images, each until a share of the first cycle is over; the last share is 1. */
  readonly sizes: readonly (readonly [side: number, until: number])[];
  /**
   * Number of images without augmentation that the export computes the statistics of batch
   * normalisation from, in multiples of the number of classes. 0: those of the training stay.
   */
  readonly statisticsImages: number;
  readonly seed: number;
  /** Images per class. 0 means all. */
  readonly perClass: number;
  /** The last images of each class, which are not trained on: the export calibrates with them. */
  readonly holdOut: number;
  readonly augmentation: Augmentation;
}

/** The recipes, by network. */
export const recipes: Readonly<Record<RecipeNetwork, Recipe>> = {
  "alexnet-tiny": {
    network: "alexnet-tiny",
    epochs: 7,
    restarts: [],
    batch: 64,
    lr: 0.06,
    warmUp: 0.5,
    momentum: 0.9,
    weightDecay: 5e-4,
    labelSmoothing: 0.1,
    dropout: 0.1,
    emaDecay: 0,
    sizes: [[64, 1]],
    statisticsImages: 0,
    seed: 1,
    perClass: 0,
    holdOut: 0,
    augmentation: {
      scale: [0.7, 1],
      ratio: [3 / 4, 4 / 3],
      flip: 0.5,
      brightness: 0.1,
      contrast: 0.1,
      saturation: 0.1,
      cutout: 0,
    },
  },
  "resnet-tiny": {
    network: "resnet-tiny",
    epochs: 11,
    restarts: [{ epochs: 5, lr: 0.06, warmUp: 0.25 }],
    batch: 128,
    lr: 0.15,
    warmUp: 1.5,
    momentum: 0.9,
    weightDecay: 4e-4,
    labelSmoothing: 0.1,
    dropout: 0,
    emaDecay: 0.998,
    sizes: [[32, 0.73], [64, 1]], // 48×48 takes almost the time of 64×64: Winograd pads 6×6 to 8×8
    statisticsImages: 8000,
    seed: 1,
    perClass: 0,
    holdOut: 12,
    augmentation: {
      scale: [0.5, 1],
      ratio: [3 / 4, 4 / 3],
      flip: 0.5,
      brightness: 0.2,
      contrast: 0.2,
      saturation: 0.2,
      cutout: 0,
    },
  },
};

/** The network that the tasks use unless another is named: the bundled one. */
export const defaultNetwork: RecipeNetwork = "resnet-tiny";

/** Returns the number of epochs in all cycles. */
export function epochsOf({ epochs, restarts }: Recipe): number {
  return restarts.reduce((sum, restart) => sum + restart.epochs, epochs);
}

/** Returns the learning rate by step, for a number of steps in an epoch. */
export function scheduleOf(recipe: Recipe, perEpoch: number): (step: number) => number {
  const cycles = [recipe, ...recipe.restarts].map(({ epochs, lr, warmUp }) => {
    const steps = epochs * perEpoch;
    const warmUpSteps = Math.round(Math.min(warmUp, epochs / 4) * perEpoch);
    return { steps, schedule: cosineSchedule({ lr, steps, warmUp: warmUpSteps }) };
  });
  return (step) => {
    let index = 0;
    while (index < cycles.length - 1 && step >= cycles[index].steps) step -= cycles[index++].steps;
    return cycles[index].schedule(step);
  };
}

/** Returns the side of the images in an epoch, counted from 0. */
export function sideOf({ sizes, epochs }: Recipe, epoch: number): number {
  const [side] = sizes.find(([, until]) => epoch < Math.round(until * epochs)) ?? sizes.at(-1)!;
  return side;
}
