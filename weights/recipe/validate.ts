/**
 * How good the network is on images it never learned from.
 *
 * @module
 */

import { crossEntropy, type Dataset, type Layer } from "../../mod.ts";

/** The result of a validation. */
export interface Validation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Share of images whose class was found most probable. */
  readonly top1: number;
  /** Share of images whose class was among the five most probable. */
  readonly top5: number;
  /** As `top1`, for the mean of an image's logits and those of its mirror image. */
  readonly top1Mirrored: number;
}

/** Runs the network in evaluation mode over images and over the same images mirrored. */
export async function validate(
  model: Layer,
  images: Dataset,
  mirrored: Dataset,
  batchSize: number,
): Promise<Validation> {
  model.eval();
  let loss = 0, top1 = 0, top5 = 0, top1Mirrored = 0;
  for (let start = 0; start < images.length; start += batchSize) {
    const n = Math.min(batchSize, images.length - start);
    const batch = await readSamples(images, start, n);
    const plain = await logitsOf(model, batch);
    const other = await logitsOf(model, await readSamples(mirrored, start, n));
    const ranks = ranksOf(plain.values, batch.labels);
    const sum = plain.values.map((value, i) => value + other.values[i]); // ranks as the mean does
    loss += plain.loss * n;
    top1 += ranks.filter((rank) => rank < 1).length;
    top5 += ranks.filter((rank) => rank < 5).length;
    top1Mirrored += ranksOf(sum, batch.labels).filter((rank) => rank < 1).length;
  }
  const share = (sum: number) => sum / images.length;
  return {
    loss: share(loss),
    top1: share(top1),
    top5: share(top5),
    top1Mirrored: share(top1Mirrored),
  };
}

/** Samples of a dataset, and their classes. */
interface Samples {
  readonly values: Float32Array;
  readonly shape: readonly number[];
  readonly labels: Int32Array;
}

async function readSamples(data: Dataset, start: number, n: number): Promise<Samples> {
  const size = data.sampleShape.reduce((a, b) => a * b);
  const values = new Float32Array(n * size), labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    labels[i] = await data.read(start + i, values.subarray(i * size, (i + 1) * size));
  }
  return { values, shape: [n, ...data.sampleShape], labels };
}

/** The network's output for samples, row by row, and its mean cross-entropy. */
async function logitsOf(
  model: Layer,
  { values, shape, labels }: Samples,
): Promise<{ values: Float32Array; loss: number }> {
  using x = model.backend.upload(values, shape);
  using logits = model.forward(x);
  const { loss, gradient } = crossEntropy(logits, labels);
  gradient.dispose();
  using mean = loss;
  return { values: await logits.read(), loss: (await mean.read())[0] };
}

/** For each row, how many classes score higher than its label; the lower index first among equals. */
function ranksOf(logits: Float32Array, labels: Int32Array): number[] {
  const classes = logits.length / labels.length;
  return Array.from(labels, (label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes), own = row[label];
    return row.reduce((rank, v, c) => rank + Number(v > own || (v === own && c < label)), 0);
  });
}
