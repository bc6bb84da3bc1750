/**
 * Datasets of labelled samples, and batches.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import { kindOf } from "../kinds.ts";
import type { RandomGenerator } from "../random.ts";
import { elements, isShape, type Shape } from "../tensor.ts";

/**
 * Labelled samples that can be read in any order. For samples in memory, use {@linkcode arrayDataset};
 * for photos in folders, {@linkcode ImageFolder}.
 *
 * @example Samples that are computed when they are read
 * ```ts
 * import type { Dataset } from "./dataset.ts";
 *
 * const parity: Dataset = { // is a number of eight bits even (class 0) or odd (class 1)?
 *   length: 256,
 *   sampleShape: [8],
 *   read(index, values) {
 *     for (let bit = 0; bit < 8; bit++) values[bit] = index >> bit & 1;
 *     return index % 2;
 *   },
 * };
 * const values = new Float32Array(8);
 * console.log(await parity.read(5, values), values); // 1, [1, 0, 1, 0, 0, 0, 0, 0]
 * ```
 */
export interface Dataset {
  /** Number of samples. */
  readonly length: number;
  /** The shape of one sample without the batch axis, such as [3, 64, 64] for a photo. */
  readonly sampleShape: Shape;
  /**
   * Reads a sample.
   *
   * @param index From 0 to length − 1.
   * @param values The array to write the sample to. Its length is the product of `sampleShape`.
   * @param generator The random numbers for augmentation. A {@linkcode Trainer} passes it. Without it,
   * the sample is not augmented.
   * @returns The class of the sample: its index, from 0.
   */
  read(index: number, values: Float32Array, generator?: RandomGenerator): number | Promise<number>;
}

/**
 * A batch of samples.
 *
 * @internal
 */
export interface Batch {
  /** The values, sample by sample. */
  readonly values: Float32Array;
  /** The shape of the values, [N, …]. */
  readonly shape: Shape;
  /** The classes of the samples. */
  readonly labels: Int32Array;
}

/**
 * Creates a dataset from arrays in memory. It copies none of them.
 *
 * @param values The values of all samples, one after another.
 * @param labels The classes of the samples, as indices from 0.
 * @param sampleShape The shape of one sample, without the batch axis.
 * @throws {ArgumentError} When the number of values does not match the labels and the shape.
 *
 * @example Four points with two coordinates each
 * ```ts
 * import { arrayDataset } from "./dataset.ts";
 *
 * const xor = arrayDataset(new Float32Array([0, 0, 0, 1, 1, 0, 1, 1]), [0, 1, 1, 0], [2]);
 * console.log(xor.length); // 4
 * ```
 */
export function arrayDataset(
  values: Float32Array,
  labels: ArrayLike<number>,
  sampleShape: Shape,
): Dataset {
  if (!isShape(sampleShape)) {
    throw new ArgumentError(
      "arrayDataset",
      "sampleShape",
      sampleShape,
      "a list of positive integers",
    );
  }
  if (kindOf(values) !== "Float32Array") {
    throw new ArgumentError("arrayDataset", "values", values, "a Float32Array");
  }
  if (typeof labels !== "object" || labels === null) {
    throw new ArgumentError("arrayDataset", "labels", labels, "a list of classes");
  }
  const size = elements(sampleShape);
  if (values.length !== labels.length * size) {
    const expected = `${labels.length * size}, ${size} for each of the ${labels.length} labels`;
    throw new ArgumentError("arrayDataset", "the number of values", values.length, expected);
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
  if (typeof dataset !== "object" || dataset === null || Array.isArray(dataset)) {
    const expected = "an object with length, sampleShape and read(), as arrayDataset() returns";
    throw new ArgumentError(op, "dataset", dataset, expected);
  }
  checkInteger(op, "the length of the dataset", dataset.length, 1);
  if (!isShape(dataset.sampleShape)) {
    throw new ArgumentError(op, "sampleShape", dataset.sampleShape, "a list of positive integers");
  }
  if (typeof dataset.read !== "function") {
    throw new ArgumentError(op, "read", dataset.read, "a function");
  }
}

/** Reads the samples with these indices as a batch. */
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
    const label = await dataset.read(indices[i], into, generator);
    if (!Number.isInteger(label) || label !== (label | 0)) { // the array would make it another class
      const what = `the class of sample ${indices[i]}`;
      throw new ArgumentError("Dataset", what, label, "an integer of 32 bits");
    }
    labels[i] = label;
  }
  return { values, shape: [n, ...dataset.sampleShape], labels };
}

/** Returns the indices 0 … n − 1 in random order (Fisher & Yates). */
export function shuffledIndices(n: number, generator: RandomGenerator): Uint32Array {
  const indices = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(generator.random() * 2 ** -32 * (i + 1));
    [indices[i], indices[j]] = [indices[j], indices[i]];
  }
  return indices;
}
