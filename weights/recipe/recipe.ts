/**
 * The hyperparameters of each network.
 *
 * @module
 */

import type { Augmentation } from "./augment.ts";

/** A network with a recipe. */
export type RecipeNetwork = "alexnet-tiny" | "resnet-tiny";

/** All hyperparameters. With the same data and build, they determine the result of a run. */
export interface Recipe {
  readonly network: RecipeNetwork;
  readonly epochs: number;
  readonly batch: number;
  /** The highest learning rate, after the warm-up. */
  readonly lr: number;
  /** Epochs of warm-up, at most a quarter of all. The rest is half a cosine down to 0. */
  readonly warmUp: number;
  readonly momentum: number;
  /** Weight decay of weights. Biases and batch normalisation have none. */
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  readonly dropout: number;
  /** The decay of the moving average of all values, which is validated and exported. 0: none. */
  readonly emaDecay: number;
  /** Sides of the images, each until a share of the epochs is over; the last share is 1. */
  readonly sizes: readonly (readonly [side: number, until: number])[];
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
    batch: 64,
    lr: 0.06,
    warmUp: 0.5,
    momentum: 0.9,
    weightDecay: 5e-4,
    labelSmoothing: 0.1,
    dropout: 0.1,
    emaDecay: 0,
    sizes: [[64, 1]],
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
    epochs: 16,
    batch: 128,
    lr: 0.15,
    warmUp: 2.5,
    momentum: 0.9,
    weightDecay: 4e-4,
    labelSmoothing: 0.1,
    dropout: 0.1,
    emaDecay: 0.999,
    sizes: [[32, 0.6], [64, 1]], // 48×48 takes almost the time of 64×64: Winograd pads 6×6 to 8×8
    seed: 1,
    perClass: 0,
    holdOut: 12,
    augmentation: {
      scale: [0.4, 1],
      ratio: [3 / 4, 4 / 3],
      flip: 0.5,
      brightness: 0.2,
      contrast: 0.2,
      saturation: 0.2,
      cutout: 0.25,
    },
  },
};

/** The network that the tasks use unless another is named: the bundled one. */
export const defaultNetwork: RecipeNetwork = "alexnet-tiny";

/** Returns the side of the images in an epoch, counted from 0. */
export function sideOf({ sizes, epochs }: Recipe, epoch: number): number {
  const [side] = sizes.find(([, until]) => epoch < Math.round(until * epochs)) ?? sizes.at(-1)!;
  return side;
}
