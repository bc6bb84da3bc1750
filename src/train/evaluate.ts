/**
 * Measuring the loss of a model and the accuracy of a classifier.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { Layer } from "../layers/layer.ts";
import { checkInteger, checkTensor, disposeOnError } from "../ops/checks.ts";
import { crossEntropy, type LossResult } from "../ops/loss.ts";
import { checkFunction, checkOptions } from "../options.ts";
import { disposable, type Tensor } from "../tensor.ts";
import { type Batch, checkDataset, type Dataset, readBatch } from "./dataset.ts";

/**
 * What a loss compares the output of the model with. The tensors are disposed of after the step.
 */
export interface LossBatch {
  /** The samples, [N, …sampleShape]. */
  readonly x: Tensor;
  /** The targets, [N, …targetShape]. For a dataset of classes: their indices, [N, 1]. */
  readonly target: Tensor;
  /** The classes of the samples. Empty if the dataset has a `targetShape`. */
  readonly labels: Int32Array;
}

/**
 * Computes a loss, [1], and its gradient with respect to the output of a model. It may wait, for
 * example to read the output. Both tensors are disposed of after the step.
 */
export type LossFunction = (
  output: Tensor,
  batch: LossBatch,
) => LossResult | Promise<LossResult>;

/**
 * The loss and accuracy of a classifier on a dataset.
 */
export interface Evaluation {
  /** The mean cross-entropy, or the mean of another loss. */
  readonly loss: number;
  /**
   * Top-1 accuracy: the share of samples whose class is the most probable, from 0 to 1. NaN with another
   * loss.
   */
  readonly accuracy: number;
  /**
   * Top-5 accuracy: the share of samples whose class is one of the five most probable. NaN with another
   * loss.
   */
  readonly top5: number;
}

/**
 * Measures the loss and accuracy of a classifier on a dataset, or another loss of any model. The model is
 * in evaluation mode afterwards.
 *
 * @param model A model from [N, …sampleShape] to scores of the shape [N, classes], before a softmax.
 * @param dataset The samples.
 * @param options `batchSize` is the number of samples in a forward pass (default 64); `loss`, another
 * loss, as for a {@linkcode Trainer}.
 * @returns The mean `loss`, and the shares `accuracy` and `top5` from 0 to 1, which are NaN with another
 * loss.
 * @throws {ArgumentError} When `batchSize` is not a positive integer, or `loss` does not return a loss and a
 * gradient in the shape of the output.
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
  options: { readonly batchSize?: number; readonly loss?: LossFunction } = {},
): Promise<Evaluation> {
  const op = "evaluate";
  checkModel(op, model);
  checkOptions(op, options, ["batchSize", "loss"]);
  checkFunction(op, "loss", options.loss);
  checkDataset(op, dataset, options.loss !== undefined);
  const batchSize = checkInteger(op, "batchSize", options.batchSize ?? 64, 1);
  model.eval();
  let loss = 0, top1 = 0, top5 = 0;
  for (let start = 0; start < dataset.length; start += batchSize) {
    const n = Math.min(batchSize, dataset.length - start);
    const batch = await readBatch(dataset, Array.from({ length: n }, (_, i) => start + i));
    if (model.training) model.eval(); // after a step of training between two batches
    const { meanLoss, ranks } = await measure(model, batch, options.loss);
    loss += meanLoss * n;
    top1 += ranks.filter((rank) => rank < 1).length;
    top5 += ranks.filter((rank) => rank < 5).length;
  }
  const { length } = dataset;
  if (options.loss) return { loss: loss / length, accuracy: NaN, top5: NaN };
  return { loss: loss / length, accuracy: top1 / length, top5: top5 / length };
}

/** Computes the mean loss of a batch, and the ranks of its classes, unless the loss is another one. */
async function measure(
  model: Layer,
  batch: Batch,
  loss: LossFunction | undefined,
): Promise<{ meanLoss: number; ranks: number[] }> {
  const { labels } = batch;
  using x = model.backend.upload(batch.values, batch.shape);
  using output = model.forward(x);
  if (loss) {
    using target = uploadTarget(x, batch);
    using result = await computeLoss("evaluate", loss, output, { x, target, labels });
    return { meanLoss: (await result.loss.read())[0], ranks: [] };
  }
  checkSeveralScores("evaluate", output, labels);
  using result = crossEntropy(output, labels);
  const [meanLoss] = await result.loss.read();
  return { meanLoss, ranks: ranksOf(await output.read(), labels) };
}

/**
 * Calls a loss of one's own. Waits only if that does, so that no other pass of the model comes between
 * the forward and the backward pass.
 */
export function computeLoss(
  op: string,
  loss: LossFunction,
  output: Tensor,
  batch: LossBatch,
): (LossResult & Disposable) | Promise<LossResult & Disposable> {
  const result = loss(output, batch);
  return result instanceof Promise
    ? result.then((result) => checkResult(op, result, output))
    : checkResult(op, result, output);
}

/** Uploads the targets of a batch. */
export function uploadTarget(
  { backend }: Tensor,
  { shape: [n], labels, targets, targetShape }: Batch,
): Tensor {
  return backend.upload(targets ?? Float32Array.from(labels), [n, ...targetShape ?? [1]]);
}

/** Checks what a loss of one's own returned, and makes it disposable. */
function checkResult(op: string, result: LossResult, output: Tensor): LossResult & Disposable {
  if (typeof result !== "object" || result === null) {
    const expected = "{ loss, gradient }, as mseLoss() returns";
    throw new ArgumentError(op, "the result of loss()", result, expected);
  }
  const { loss, gradient } = result;
  return disposeOnError(disposable({ loss, gradient }), (result) => {
    checkTensor(op, "the loss", loss, output, [1]);
    checkTensor(op, "the gradient of the loss", gradient, output, output.shape);
    return result;
  });
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
      "replaceHead() with two classes, or set the option loss",
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
