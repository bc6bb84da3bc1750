/** Training runs of a small network on random images, for the tests of trainers. */

import type { Backend } from "../../src/backend/mod.ts";
import {
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { arrayDataset, type Dataset } from "../../src/train/mod.ts";

/**
 * 64 random images of 2×8×8 with random labels from 4 classes. A network can only memorise them.
 */
export function randomDataset(): Dataset {
  const generator = new RandomGenerator(1);
  const values = new Float32Array(64 * 2 * 8 * 8);
  generator.uniform(values, -1, 1);
  return arrayDataset(values, Array.from({ length: 64 }, () => generator.random() % 4), [2, 8, 8]);
}

/** The same dataset with an augmentation: each read adds noise. */
export function augmentedDataset(): Dataset {
  const data = randomDataset();
  return {
    ...data,
    async read(index, values, generator) {
      const label = await data.read(index, values);
      const extra = new Float32Array(values.length);
      generator?.uniform(extra, -0.1, 0.1);
      for (let i = 0; i < values.length; i++) values[i] += extra[i];
      return label;
    },
  };
}

/** A small network for these images, with values. */
export function network(backend: Backend, dropout = 0): Sequential {
  return new Sequential([
    new Conv2d(2, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
    new MaxPool2d(3, { stride: 2, padding: 1 }),
    new Conv2d(8, 12, 3),
    new ReLU(),
    new Flatten(),
    new Dropout(dropout),
    new Linear(12 * 4, 4),
  ]).init(backend, { seed: 3 });
}

/** Options of a run whose last batch has 16 samples, the others 24. */
export const options = { batchSize: 24, epochs: 40 } as const;
