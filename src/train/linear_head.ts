/**
 * Training last layers on features, and writing them to a network.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { PembrokeError } from "../errors.ts";
import { Linear } from "../layers/linear.ts";
import type { Classifier } from "../models/classifier.ts";
import { mul } from "../ops/arithmetic.ts";
import { crossEntropy } from "../ops/loss.ts";
import { RandomGenerator } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { AdamW } from "./adamw.ts";
import { shuffledIndices } from "./dataset.ts";
import { type FeatureRows, type FeatureStatistics, takeRows } from "./feature_rows.ts";
import { cosineSchedule } from "./schedule.ts";

/** Options of {@linkcode trainLinears}. */
export interface LinearOptions {
  /** Number of classes. */
  readonly classes: number;
  /** The weight decays of {@linkcode AdamW}: one for each layer. */
  readonly weightDecays: readonly number[];
  /** The learning rate of the first step; it falls to 0 along half a cosine. */
  readonly lr: number;
  /** Number of steps. With several batches, at least four for each. */
  readonly steps: number;
  /** The seed of the order of samples, if they are more than a batch. */
  readonly seed?: number;
  /**
   * Called before the first step, with step 0, and after each step. The layer is in evaluation mode.
   * `steps` is the number of all steps.
   */
  readonly onStep?: (linear: Linear, step: number, steps: number) => Promise<void>;
}

/** The weight decays to choose from, unless the caller gives others. */
export const defaultWeightDecays: readonly number[] = [1, 3, 10, 30];

/** The number of steps, unless the caller gives another one. */
export const defaultSteps = 60;

/**
 * The learning rate of the first step. A step moves each weight by about the learning rate. So it moves
 * a logit by more, the more features there are.
 */
export function learningRateFor(featureCount: number): number {
  return 0.2 / Math.sqrt(featureCount);
}

/** The most rows in a batch. Most problems have fewer rows: then each step uses all of them. */
const batchRows = 1024;

/** How often several batches are used at least. */
const leastPasses = 4;

/** Rows on a backend. */
interface RowBatch {
  readonly x: Tensor;
  readonly labels: Int32Array;
}

/** Rows on a backend, in batches. */
export class UploadedRows implements Disposable {
  readonly batches: readonly RowBatch[];

  /** Uploads rows. The seed decides on their order, if there are several batches. */
  constructor(readonly backend: Backend, rows: FeatureRows, seed = 0) {
    const total = rows.labels.length, count = Math.ceil(total / batchRows);
    const order = count > 1 ? [...shuffledIndices(total, new RandomGenerator(seed))] : undefined;
    const size = Math.ceil(total / count), batches: RowBatch[] = this.batches = [];
    try {
      for (let start = 0; start < total; start += size) {
        const { values, labels } = order ? takeRows(rows, order.slice(start, start + size)) : rows;
        batches.push({ x: backend.upload(values, [labels.length, rows.count]), labels });
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    for (const { x } of this.batches) x.dispose();
  }
}

/**
 * Trains a `Linear` for each weight decay with AdamW and the cross-entropy loss, from zeros. They
 * share their forward and backward passes: with few classes, that takes as long as a single one.
 *
 * @param pause Called after each step; it may let other code run.
 * @returns All layers as one, whose outputs are those of the first one, then of the second one, and so
 * on. The caller disposes of it.
 */
export async function trainLinears(
  { backend, batches }: UploadedRows,
  { classes, weightDecays, lr, steps, onStep }: LinearOptions,
  pause: () => Promise<void> = async () => {},
): Promise<Linear> {
  const layers = weightDecays.length;
  const linear = new Linear(batches[0].x.shape[1], layers * classes);
  try {
    for (const parameter of linear.stateDict().values()) {
      parameter.allocate(backend);
      backend.fill(parameter.tensor!, 0);
    }
    // The loss is the mean over all layers, so it divides each gradient by their number. Adam's steps do
    // not depend on the scale of the gradients, if eps has the same scale.
    using optimizer = new AdamW(linear, { lr, eps: 1e-8 / layers, weightDecay: 0 });
    const all = batches.length > 1 ? Math.max(steps, leastPasses * batches.length) : steps;
    const schedule = cosineSchedule({ lr, steps: all });
    await onStep?.(linear.eval(), 0, all);
    for (let step = 0; step < all; step++) {
      linear.train();
      optimizer.zeroGrad();
      addGradients(linear, batches[step % batches.length], layers);
      optimizer.lr = schedule(step);
      decayWeights(linear, weightDecays, optimizer.lr);
      optimizer.step();
      await onStep?.(linear.eval(), step + 1, all);
      await pause();
    }
    for (const parameter of linear.stateDict().values()) {
      parameter.grad?.dispose();
      parameter.grad = undefined;
    }
    return linear.eval();
  } catch (error) {
    linear.dispose();
    throw error;
  }
}

/** Adds the gradients of the mean loss of a batch over all layers that one `Linear` holds. */
function addGradients(linear: Linear, { x, labels }: RowBatch, layers: number): void {
  const n = labels.length, outputs = linear.outFeatures;
  const targets = Int32Array.from({ length: n * layers }, (_, i) => labels[Math.floor(i / layers)]);
  using logits = linear.forward(x);
  using result = crossEntropy(logits.view([n * layers, outputs / layers]), targets);
  linear.backwardParameters(result.gradient.view([n, outputs]));
}

/** The weight decay of {@linkcode AdamW}, with another one for each of the layers that a `Linear` holds. */
function decayWeights(linear: Linear, weightDecays: readonly number[], lr: number): void {
  const { outFeatures, parameters: { weight, bias } } = linear;
  const classes = outFeatures / weightDecays.length;
  const shrink = Float32Array.from(
    { length: outFeatures },
    (_, i) => 1 - lr * weightDecays[Math.floor(i / classes)],
  );
  using factors = linear.backend.upload(shrink, [outFeatures, 1]);
  mul(weight.tensor!, factors, { out: weight.tensor });
  mul(bias!.tensor!, factors.view([outFeatures]), { out: bias!.tensor });
}

/** The values of a last layer, for features as the network computes them. */
export interface HeadValues {
  /** [classes, features] */
  readonly weight: Float32Array;
  /** [classes] */
  readonly bias: Float32Array;
}

/**
 * Converts the weights of a layer on standardised features to those of a layer on the features as the
 * network computes them.
 *
 * @throws {PembrokeError} When they are not finite.
 */
export async function foldedWeights(
  linear: Linear,
  { mean, std }: FeatureStatistics,
): Promise<HeadValues> {
  const weight = await linear.parameters.weight.read(), count = mean.length;
  const bias = (await linear.parameters.bias!.read()).map((value, c) => {
    let shift = 0;
    for (let i = 0; i < count; i++) shift += weight[c * count + i] * mean[i] / std[i];
    return value - shift;
  });
  const folded = weight.map((value, i) => value / std[i % count]);
  if (folded.every(Number.isFinite) && bias.every(Number.isFinite)) return { weight: folded, bias };
  throw new PembrokeError(
    "the new last layer has weights that are not finite: its features are too large or too small, " +
      "or the weight decay is too large",
  );
}

/** Writes values to the last layer of a model. */
export function writeHead(model: Classifier, { weight, bias }: HeadValues): void {
  const { parameters } = model.head.layer;
  parameters.weight.write(weight);
  parameters.bias!.write(bias);
}
