/**
 * The features of all samples of a dataset.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { sameShape, type Shape } from "../tensor.ts";
import { type Dataset, readBatch } from "./dataset.ts";
import type { FeatureRows } from "./feature_rows.ts";

/** Options of {@linkcode featureRows}. */
export interface FeatureOptions {
  readonly batchSize: number;
  /** Whether to add the features of the mirror images, in the same order, after those of the samples. */
  readonly mirror: boolean;
  /** Called after each batch with the number of samples done. Rejects to stop. */
  readonly onBatch: (done: number) => Promise<void>;
}

/**
 * Computes the features of all samples in evaluation mode, or reads them if the dataset has them.
 *
 * @throws {ArgumentError} When the samples have neither the shape of the model's input nor [2,
 * featureCount].
 * @throws {PembrokeError} When a feature is not finite.
 */
export async function featureRows(
  model: Classifier,
  dataset: Dataset,
  options: FeatureOptions,
): Promise<FeatureRows> {
  const { sampleShape } = dataset, expected = model.inputShape().slice(1);
  const count = model.featureCount;
  model.eval();
  if (sameShape(sampleShape, [2, count])) return await storedRows(dataset, count, options);
  if (sameShape(sampleShape, expected)) return await computedRows(model, dataset, options);
  const allowed = `[${expected.join(", ")}], or [2, ${count}] for features`;
  throw new ArgumentError("fit", "sampleShape", sampleShape, allowed);
}

/** Reads the features of a dataset whose samples are features: [2, count], of a photo and its mirror image. */
async function storedRows(
  dataset: Dataset,
  count: number,
  { mirror, onBatch }: FeatureOptions,
): Promise<FeatureRows> {
  const { length } = dataset, rows = mirror ? 2 * length : length;
  const values = new Float32Array(rows * count), labels = new Int32Array(rows);
  const batch = await readBatch(dataset, Array.from({ length }, (_, i) => i));
  checkFinite(batch.values, "the dataset has");
  for (let row = 0; row < rows; row++) {
    const i = row % length, start = (2 * i + Number(row >= length)) * count;
    values.set(batch.values.subarray(start, start + count), row * count);
    labels[row] = batch.labels[i];
  }
  await onBatch(length);
  return { values, count, labels };
}

/** Computes the features of a dataset whose samples are inputs of the network. */
async function computedRows(
  model: Classifier,
  dataset: Dataset,
  { batchSize, mirror, onBatch }: FeatureOptions,
): Promise<FeatureRows> {
  const { length, sampleShape } = dataset, rows = mirror ? 2 * length : length;
  const count = model.featureCount;
  const values = new Float32Array(rows * count), labels = new Int32Array(rows);
  const compute = async (batch: Float32Array, shape: Shape, row: number) => {
    using x = model.backend.upload(batch, shape), features = model.features(x);
    const read = await features.read();
    checkFinite(read, `${model.type} computes`);
    values.set(read, row * count);
  };
  const channelsLast = model.preprocessing.layout === "nhwc";
  const width = sampleShape.at(channelsLast ? -2 : -1)!;
  const pixel = channelsLast ? sampleShape.at(-1)! : 1;
  for (let start = 0; start < length; start += batchSize) {
    const n = Math.min(batchSize, length - start);
    const batch = await readBatch(dataset, Array.from({ length: n }, (_, i) => start + i));
    labels.set(batch.labels, start);
    await compute(batch.values, batch.shape, start);
    if (mirror) {
      labels.set(batch.labels, length + start);
      await compute(mirrored(batch.values, width, pixel), batch.shape, length + start);
    }
    await onBatch(start + n);
  }
  return { values, count, labels };
}

function checkFinite(features: Float32Array, whose: string): void {
  if (features.every(Number.isFinite)) return;
  throw new PembrokeError(`fit: ${whose} features that are not finite`);
}

/**
 * Swaps left and right: reverses the order of the pixels in each row.
 *
 * @param width Pixels in a row.
 * @param pixel Values of a pixel that follow each other.
 */
export function mirrored(values: Float32Array, width: number, pixel: number): Float32Array {
  const result = new Float32Array(values.length), row = width * pixel;
  for (let start = 0; start < values.length; start += row) {
    for (let x = 0; x < width; x++) {
      const from = start + (width - 1 - x) * pixel;
      for (let i = 0; i < pixel; i++) result[start + x * pixel + i] = values[from + i];
    }
  }
  return result;
}
