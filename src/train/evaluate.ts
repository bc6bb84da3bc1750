/**
 * How good a classifier is.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { Layer } from "../layers/layer.ts";
import { checkInteger, checkOptions } from "../ops/checks.ts";
import { crossEntropy } from "../ops/loss.ts";
import { checkDataset, type Dataset, readBatch } from "./dataset.ts";

/**
 * How good a classifier is on a dataset.
 *
 * @internal
 */
export interface Evaluation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Share of samples whose class was found most probable. */
  readonly accuracy: number;
  /** Share of samples whose class was among the five most probable. */
  readonly top5: number;
}

/**
 * Runs a classifier in evaluation mode over a dataset. A model in training mode is left in
 * evaluation mode.
 *
 * @param model From [N, …sample] to [N, classes].
 * @param options `batchSize` is 64 by default.
 */
export async function evaluate(
  model: Layer,
  dataset: Dataset,
  options: { readonly batchSize?: number } = {},
): Promise<Evaluation> {
  checkModel("evaluate", model);
  checkDataset("evaluate", dataset);
  checkOptions("evaluate", options);
  const batchSize = checkInteger("evaluate", "batchSize", options.batchSize ?? 64, 1);
  model.eval();
  let loss = 0, top1 = 0, top5 = 0;
  for (let start = 0; start < dataset.length; start += batchSize) {
    const n = Math.min(batchSize, dataset.length - start);
    const batch = await readBatch(dataset, Array.from({ length: n }, (_, i) => start + i));
    using x = model.backend.upload(batch.values, batch.shape);
    using logits = model.forward(x);
    const result = crossEntropy(logits, batch.labels);
    using value = result.loss;
    result.gradient.dispose();
    loss += (await value.read())[0] * n;
    const ranks = ranksOf(await logits.read(), batch.labels);
    top1 += ranks.filter((rank) => rank < 1).length;
    top5 += ranks.filter((rank) => rank < 5).length;
  }
  const { length } = dataset;
  return { loss: loss / length, accuracy: top1 / length, top5: top5 / length };
}

/** Checks that a model is a layer. */
export function checkModel(op: string, model: unknown): void {
  if (!(model instanceof Layer)) throw new ArgumentError(op, "model", model, "a Layer");
}

/** For each row, how many classes score higher than its label; the lower index first among equals. */
export function ranksOf(logits: Float32Array, labels: ArrayLike<number>): number[] {
  const classes = logits.length / labels.length;
  return Array.from(labels, (label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes), own = row[label];
    return row.reduce((rank, v, c) => rank + Number(v > own || (v === own && c < label)), 0);
  });
}
