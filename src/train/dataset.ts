/**
 * Labelled samples, and batches of them.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger, checkOptions } from "../ops/checks.ts";
import { kindOf } from "../kinds.ts";
import type { RandomGenerator } from "../random.ts";
import { elements, isShape, type Shape } from "../tensor.ts";

/** Labelled samples that can be read in any order. */
export interface Dataset {
  /** Number of samples. */
  readonly length: number;
  /** Shape of one sample, without the batch: [3, 64, 64]. */
  readonly sampleShape: Shape;
  /**
   * Writes a sample's values and returns its class.
   *
   * @param index From 0 to length − 1.
   * @param values Where the values go; as many as the shape has.
   * @param generator For augmentation; undefined where samples are to be taken as they are.
   */
  read(index: number, values: Float32Array, generator?: RandomGenerator): number | Promise<number>;
}

/**
 * Samples of one batch.
 *
 * @internal
 */
export interface Batch {
  /** Their values, one sample after another. */
  readonly values: Float32Array;
  /** [N, …]. */
  readonly shape: Shape;
  /** Their classes. */
  readonly labels: Int32Array;
}

/**
 * A dataset of samples in memory.
 *
 * @param values All samples' values, one after another.
 * @param labels Their classes.
 * @param sampleShape Shape of one sample.
 */
export function arrayDataset(
  values: Float32Array,
  labels: ArrayLike<number>,
  sampleShape: Shape,
): Dataset {
  if (!isShape(sampleShape)) {
    throw new ArgumentError("arrayDataset", "sampleShape", sampleShape, "positive integers");
  }
  if (kindOf(values) !== "Float32Array") {
    throw new ArgumentError("arrayDataset", "values", values, "a Float32Array");
  }
  if (typeof labels !== "object" || labels === null) {
    throw new ArgumentError("arrayDataset", "labels", labels, "a list of classes");
  }
  const size = elements(sampleShape);
  if (values.length !== labels.length * size) {
    const takes = `${labels.length * size}: ${size} for each of ${labels.length} labels`;
    throw new ArgumentError("arrayDataset", "the number of values", values.length, takes);
  }
  return {
    length: labels.length,
    sampleShape,
    read(index, into) {
      into.set(values.subarray(index * size, (index + 1) * size));
      return labels[index];
    },
  };
}

/** Checks a dataset: its length, the shape of its samples, and that it can be read. */
export function checkDataset(op: string, dataset: Dataset): void {
  checkOptions(op, dataset, "dataset");
  checkInteger(op, "the length of the dataset", dataset.length, 1);
  if (!isShape(dataset.sampleShape)) {
    throw new ArgumentError(op, "sampleShape", dataset.sampleShape, "positive integers");
  }
  if (typeof dataset.read !== "function") {
    throw new ArgumentError(op, "read", dataset.read, "a function");
  }
}

/** Reads the samples with these indices. */
export async function readBatch(
  dataset: Dataset,
  indices: ArrayLike<number>,
  generator?: RandomGenerator,
): Promise<Batch> {
  const size = elements(dataset.sampleShape), n = indices.length;
  checkInteger("readBatch", "the number of values in a batch", n * size, 1);
  const values = new Float32Array(n * size), labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const into = values.subarray(i * size, (i + 1) * size);
    labels[i] = await dataset.read(indices[i], into, generator);
  }
  return { values, shape: [n, ...dataset.sampleShape], labels };
}

/** The indices 0 … n − 1 in random order (Fisher & Yates). */
export function shuffled(n: number, generator: RandomGenerator): Uint32Array {
  const indices = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(generator.random() * 2 ** -32 * (i + 1));
    [indices[i], indices[j]] = [indices[j], indices[i]];
  }
  return indices;
}
