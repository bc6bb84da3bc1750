/**
 * Datasets of labelled samples, and batches.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger, checkOptions } from "../ops/checks.ts";
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
 *
 * @example Targets that are not classes, for a loss of one's own
 * ```ts
 * import type { Dataset } from "./dataset.ts";
 *
 * const circle: Dataset = { // from an angle to a point
 *   length: 360,
 *   sampleShape: [1],
 *   targetShape: [2],
 *   read(index, values) {
 *     values[0] = index * Math.PI / 180;
 *     return [Math.cos(values[0]), Math.sin(values[0])];
 *   },
 * };
 * console.log(await circle.read(0, new Float32Array(1))); // [1, 0]
 * ```
 */
export interface Dataset {
  /** Number of samples. */
  readonly length: number;
  /** The shape of one sample without the batch axis, such as [3, 64, 64] for a photo. */
  readonly sampleShape: Shape;
  /**
   * The shape of a target, such as [2] for two numbers. Training then needs a loss of your own, the
   * option `loss`. Default: targets are classes.
   */
  readonly targetShape?: Shape;
  /**
   * Reads a sample.
   *
   * @param index From 0 to length − 1.
   * @param values The array to write the sample to. Its length is the product of `sampleShape`.
   * @param generator The random numbers for augmentation. A {@linkcode Trainer} passes it. Without it,
   * the sample is not augmented.
   * @returns The class of the sample: its index, from 0. With a `targetShape`, the numbers of the target
   * in a list, or its only number.
   */
  read(
    index: number,
    values: Float32Array,
    generator?: RandomGenerator,
  ): Target | Promise<Target>;
}

/**
 * A class, or the numbers of a target.
 */
export type Target = number | ArrayLike<number>;

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
  /** The classes of the samples. Empty if the dataset has a `targetShape`. */
  readonly labels: Int32Array;
  /** The targets, sample by sample, if the dataset has a `targetShape`. */
  readonly targets?: Float32Array;
  /** The shape of one target. */
  readonly targetShape?: Shape;
}

/**
 * Creates a dataset from arrays in memory. It copies none of them.
 *
 * @param values The values of all samples, one after another.
 * @param labels The classes of the samples, as indices from 0. With a `targetShape`, the numbers of all
 * targets, one after another.
 * @param sampleShape The shape of one sample, without the batch axis.
 * @param options `targetShape` is the shape of a target that is not a class, such as [2].
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
  options: { readonly targetShape?: Shape } = {},
): Dataset {
  checkOptions("arrayDataset", options, ["targetShape"]);
  const { targetShape } = options;
  checkShapes("arrayDataset", { sampleShape, targetShape });
  if (kindOf(values) !== "Float32Array") {
    throw new ArgumentError("arrayDataset", "values", values, "a Float32Array");
  }
  if (typeof labels !== "object" || labels === null) {
    throw new ArgumentError("arrayDataset", "labels", labels, "a list of classes");
  }
  const size = elements(sampleShape), targetSize = elements(targetShape ?? []);
  const length = labels.length / targetSize;
  if (!Number.isInteger(length)) {
    const expected = `a multiple of ${targetSize}, the numbers of a target`;
    throw new ArgumentError("arrayDataset", "the number of labels", labels.length, expected);
  }
  if (values.length !== length * size) {
    const what = targetShape ? "targets" : "labels";
    const expected = `${length * size}, ${size} for each of the ${length} ${what}`;
    throw new ArgumentError("arrayDataset", "the number of values", values.length, expected);
  }
  return {
    length,
    sampleShape,
    ...(targetShape && { targetShape }),
    read(index, into) {
      into.set(values.subarray(index * size, (index + 1) * size));
      if (!targetShape) return labels[index];
      const target = new Float32Array(targetSize);
      for (let i = 0; i < targetSize; i++) target[i] = labels[index * targetSize + i];
      return target;
    },
  };
}

/** Checks the shapes of samples and targets. */
function checkShapes(op: string, shapes: Pick<Dataset, "sampleShape" | "targetShape">): void {
  for (const [name, shape] of Object.entries(shapes)) {
    if (isShape(shape) || name === "targetShape" && shape === undefined) continue;
    throw new ArgumentError(op, name, shape, "a list of positive integers");
  }
}

/**
 * Checks a dataset: its length, the shapes of its samples and targets, and that it can be read.
 *
 * @param hasLoss Whether its targets may be others than classes.
 */
export function checkDataset(op: string, dataset: Dataset, hasLoss = false): void {
  if (typeof dataset !== "object" || dataset === null || Array.isArray(dataset)) {
    const expected = "an object with length, sampleShape and read(), as arrayDataset() returns";
    throw new ArgumentError(op, "dataset", dataset, expected);
  }
  checkInteger(op, "the length of the dataset", dataset.length, 1);
  const { sampleShape, targetShape } = dataset;
  checkShapes(op, { sampleShape, targetShape });
  if (targetShape && !hasLoss) {
    const expected = "left out for a dataset of classes; the option loss takes others";
    throw new ArgumentError(op, "targetShape", targetShape, expected);
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
  const { sampleShape, targetShape } = dataset;
  const size = elements(sampleShape), targetSize = elements(targetShape ?? []);
  const n = indices.length, most = n * Math.max(size, targetSize);
  checkInteger("readBatch", "the number of values in a batch", most, 1);
  const values = new Float32Array(n * size), labels = new Int32Array(targetShape ? 0 : n);
  const targets = targetShape && new Float32Array(n * targetSize);
  for (let i = 0; i < n; i++) {
    const into = values.subarray(i * size, (i + 1) * size);
    const target = await dataset.read(indices[i], into, generator);
    if (targets) targets.set(numbersOf(target, targetSize, indices[i]), i * targetSize);
    else labels[i] = classOf(target, indices[i]);
  }
  return { values, shape: [n, ...sampleShape], labels, targets, targetShape };
}

/** Checks a class. */
function classOf(target: Target, index: number): number {
  if (typeof target === "number" && target === (target | 0)) return target;
  const expected = "an integer of 32 bits; set targetShape for targets that are not classes";
  throw new ArgumentError("Dataset", `the class of sample ${index}`, target, expected);
}

/** Checks a target of a given number of numbers. */
function numbersOf(target: Target, size: number, index: number): ArrayLike<number> {
  const numbers = typeof target === "number" ? [target] : target;
  const isList = typeof numbers === "object" && numbers !== null;
  if (isList && numbers.length === size) return numbers;
  const [what, value] = isList && typeof numbers.length === "number"
    ? ["the number of numbers in the target", numbers.length]
    : ["the target", target];
  const expected = `${size === 1 ? "a number" : `a list of ${size} numbers`}, as targetShape says`;
  throw new ArgumentError("Dataset", `${what} of sample ${index}`, value, expected);
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
