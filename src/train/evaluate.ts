/**
 * Measuring the accuracy of a classifier.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { Layer } from "../layers/layer.ts";
import { checkInteger } from "../ops/checks.ts";
import { crossEntropy } from "../ops/loss.ts";
import { checkOptions } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { checkDataset, type Dataset, readBatch } from "./dataset.ts";

/**
 * The loss and accuracy of a classifier on a dataset.
 *
 * @internal
 */
export interface Evaluation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Top-1 accuracy: the share of samples whose class is the most probable, from 0 to 1. */
  readonly accuracy: number;
  /** Top-5 accuracy: the share of samples whose class is one of the five most probable. */
  readonly top5: number;
}

/**
 * Measures the loss and accuracy of a classifier on a dataset. The model is in evaluation mode
 * afterwards.
 *
 * @param model A model from [N, …sampleShape] to scores of the shape [N, classes], before a softmax.
 * @param options `batchSize` is the number of samples in a forward pass. Default: 64.
 * @param dataset The samples.
 * @returns The mean cross-entropy `loss`, and the shares `accuracy` and `top5` from 0 to 1.
 * @throws {ArgumentError} When `batchSize` is not a positive integer.
 * @throws {PembrokeError} When the model has a single score for a sample.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear } from "../layers/mod.ts";
 * import { arrayDataset } from "./dataset.ts";
 * import { evaluate } from "./evaluate.ts";
 *
 * using backend = await createBackend();
 * using model = new Linear(2, 2, { bias: false }).init(backend);
 * model.parameters.weight.write(Float32Array.of(1, 0, 0, 1)); // the scores are the two values
 * const data = arrayDataset(new Float32Array([5, 0, 0, 5]), [0, 1], [2]);
 * const { accuracy, loss } = await evaluate(model, data);
 * console.log(accuracy, loss.toFixed(4)); // 1 0.0067
 * ```
 */
export async function evaluate(
  model: Layer,
  dataset: Dataset,
  options: { readonly batchSize?: number } = {},
): Promise<Evaluation> {
  checkModel("evaluate", model);
  checkDataset("evaluate", dataset);
  checkOptions("evaluate", options, ["batchSize"]);
  const batchSize = checkInteger("evaluate", "batchSize", options.batchSize ?? 64, 1);
  model.eval();
  let loss = 0, top1 = 0, top5 = 0;
  for (let start = 0; start < dataset.length; start += batchSize) {
    const n = Math.min(batchSize, dataset.length - start);
    const batch = await readBatch(dataset, Array.from({ length: n }, (_, i) => start + i));
    if (model.training) model.eval(); // after a step of training between two batches
    using x = model.backend.upload(batch.values, batch.shape);
    using logits = model.forward(x);
    checkSeveralScores("evaluate", logits, batch.labels);
    using result = crossEntropy(logits, batch.labels);
    loss += (await result.loss.read())[0] * n;
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

/** Checks that each sample has several scores: the cross-entropy of a single one is always 0. */
export function checkSeveralScores(
  op: string,
  logits: Tensor,
  { length }: ArrayLike<number>,
): void {
  if (logits.size !== length) return;
  throw new PembrokeError(
    `${op}: the model has one score for a sample, but cross-entropy needs one for each class; call ` +
      "replaceHead() with two classes, or train with a loss of your own",
  );
}

/**
 * Returns the rank of each row's label: the number of classes with a higher score. Of equal scores,
 * the lower index ranks first. NaN is higher than any score; a label with NaN has the rank Infinity.
 */
export function ranksOf(logits: Float32Array, labels: ArrayLike<number>): number[] {
  const classes = logits.length / labels.length;
  return Array.from(labels, (label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes), score = row[label];
    if (Number.isNaN(score)) return Infinity;
    return row.reduce(
      (rank, v, c) => rank + Number(!(v <= score) || (v === score && c < label)),
      0,
    );
  });
}
