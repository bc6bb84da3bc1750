/**
 * Measures the loss and accuracy of the network on the validation images.
 *
 * @module
 */

import { crossEntropy, type Dataset, type Layer } from "../../mod.ts";

/** The result of a validation. Accuracies are from 0 to 1. */
export interface Validation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Top-1 accuracy: the share of images whose class is the most probable. */
  readonly top1: number;
  /** Top-5 accuracy: the share of images whose class is one of the five most probable. */
  readonly top5: number;
  /** Top-1 accuracy for the mean logits of each image and its mirror image. */
  readonly top1Mirrored: number;
}

/** Runs the network in evaluation mode on images and on the same images mirrored. */
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
    const plain = await computeLogits(model, batch);
    const other = await computeLogits(model, await readSamples(mirrored, start, n));
    const ranks = ranksOf(plain.values, batch.labels);
    const sum = plain.values.map((value, i) => value + other.values[i]); // ranks equal the mean's
    loss += plain.loss * n;
    top1 += ranks.filter((rank) => rank < 1).length;
    top5 += ranks.filter((rank) => rank < 5).length;
    top1Mirrored += ranksOf(sum, batch.labels).filter((rank) => rank < 1).length;
  }
  const mean = (sum: number) => sum / images.length;
  return {
    loss: mean(loss),
    top1: mean(top1),
    top5: mean(top5),
    top1Mirrored: mean(top1Mirrored),
  };
}

/** A batch of samples. */
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

/** Computes the logits of a batch, and their mean cross-entropy. */
async function computeLogits(
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

/**
 * Returns the rank of each row's label: the number of classes with a higher score. Of equal scores,
 * the lower index ranks first.
 */
function ranksOf(logits: Float32Array, labels: Int32Array): number[] {
  const classes = logits.length / labels.length;
  return Array.from(labels, (label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes), score = row[label];
    return row.reduce((rank, v, c) => rank + Number(v > score || (v === score && c < label)), 0);
  });
}
