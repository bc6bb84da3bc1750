/**
 * Learning new classes: a new last layer, trained on the features of a network.
 *
 * @module
 */

import { createBackend } from "../backend/mod.ts";
import { ArgumentError } from "../errors.ts";
import type { Linear } from "../layers/linear.ts";
import type { Classifier } from "../models/classifier.ts";
import { wilsonInterval } from "./confusion.ts";
import { crossValidate, lowestLoss, type Run, type Score, scoresOf } from "./cross_validate.ts";
import type { Dataset } from "./dataset.ts";
import { type FeatureRows, standardized, statisticsOf } from "./feature_rows.ts";
import { featureRows } from "./features.ts";
import {
  type CheckedFit,
  checkFit,
  type FitMeasure,
  type FitOptions,
  type FitProgress,
  type NamedDataset,
} from "./fit_options.ts";
import {
  foldedWeights,
  type HeadValues,
  learningRateFor,
  trainLinears,
  UploadedRows,
  writeHead,
} from "./linear_head.ts";
import { pauses } from "./pauses.ts";

export type { FitOptions, FitProgress };

/** What {@linkcode fit} measured on samples that a layer was not trained on. */
export interface FitResult {
  /** The share of these samples that are classified correctly, from 0 to 1. */
  readonly accuracy: number;
  /** The 95 % interval of the accuracy (Wilson 1927): wide for few samples. */
  readonly interval: readonly [low: number, high: number];
  /** The mean cross-entropy of these samples. */
  readonly loss: number;
  /**
   * The number of these samples by class and prediction: `confusion[i][j]` samples of class i were taken
   * for class j.
   */
  readonly confusion: readonly (readonly number[])[];
  /** The weight decay that was chosen from the option `weightDecays`. */
  readonly weightDecay: number;
  /** Milliseconds that the features and the training took. */
  readonly milliseconds: { readonly features: number; readonly training: number };
}

/**
 * Learns new classes from few samples: replaces the last layer of a network and trains it. The other
 * layers stay as they are.
 *
 * The network computes the {@linkcode Classifier.features} of each sample and of its mirror image
 * once, in evaluation mode. They are standardised, and AdamW trains a `Linear` on them.
 * Cross-validation chooses the weight decay with the lowest cross-entropy: each part of the dataset
 * is held out once, and classified by a layer that was trained on the others. Samples of a class with
 * nearly the same features, such as a series of photos, are in the same part. The last layer is trained
 * on all samples.
 *
 * The same seed gives the same numbers on the same build. Between batches, other code can run.
 *
 * To learn again with a few more samples, keep their features: a dataset of the sample shape
 * [2, featureCount] has the features of each sample and those of its mirror image.
 *
 * @param model A network with weights. It is in evaluation mode afterwards.
 * @param dataset Samples in the shape of the model's input, such as an {@linkcode ImageFolder}, or
 * their features.
 * @param options All have defaults.
 * @returns The accuracy on held-out samples. Without `validation` these are the parts of the
 * cross-validation, all samples together.
 * @throws {ArgumentError} When an option is invalid, or the samples do not fit the model or the classes.
 * @throws {PembrokeError} When the model has no values, or no last layer that can be replaced; or
 * when the loss is not finite, because of a large weight decay.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { createModel } from "../models/registry.ts";
 * import { arrayDataset } from "./dataset.ts";
 * import { fit } from "./fit.ts";
 *
 * using backend = await createBackend();
 * using model = createModel("alexnet-tiny").init(backend); // or loadModel()
 * const size = 3 * 64 * 64, values = new Float32Array(10 * size);
 * for (let i = 0; i < 10; i++) values.fill(i % 2 ? 1 : -1, i * size, (i + 1) * size);
 * const dataset = arrayDataset(values, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1], [3, 64, 64]);
 * const { accuracy } = await fit(model, dataset, { classes: ["dark", "light"] });
 * console.log(accuracy); // 1
 * ```
 */
export async function fit(
  model: Classifier,
  dataset: NamedDataset,
  options: FitOptions = {},
): Promise<FitResult> {
  const settings = checkFit(model, dataset, options);
  const { classes, folds, weightDecays, steps, seed, onProgress, signal } = settings;
  const pause = pauses(signal), started = performance.now();
  const rows = await computeFeatures(model, dataset, settings, pause);
  const computed = performance.now();

  const own = model.backend.device === "wasm" ? undefined : await createBackend({ device: "wasm" });
  try {
    const run: Run = {
      backend: own ?? model.backend,
      classes: classes.length,
      seed,
      options: { classes: classes.length, lr: learningRateFor(rows.training.count), steps },
      pause,
    };
    let done = 0;
    const total = weightDecays.length > 1 || !rows.validation ? folds + 1 : 1;
    const onPart = () => onProgress?.({ phase: "training", done: ++done, total });
    const { values, score, weightDecay } = await trainLastLayer(run, rows, settings, onPart);
    signal?.throwIfAborted();
    model.replaceHead(classes, { seed });
    writeHead(model, values);
    onPart();
    const measured = rows.validation?.labels.length ?? dataset.length;
    return {
      accuracy: score.correct / measured,
      interval: wilsonInterval(score.correct, measured),
      loss: score.loss,
      confusion: score.confusion,
      weightDecay,
      milliseconds: { features: computed - started, training: performance.now() - computed },
    };
  } finally {
    own?.dispose();
  }
}

/** The features of the samples to learn from, and of those to measure with. */
interface FitRows {
  /** The rows of all samples, then those of their mirror images. */
  readonly training: FeatureRows;
  readonly validation?: FeatureRows;
}

/** Computes the features of all samples. Maps the labels of `validation` to the dataset's classes. */
async function computeFeatures(
  model: Classifier,
  dataset: Dataset,
  { classes, validation, indices, mirror, batchSize, onProgress }: CheckedFit,
  pause: () => Promise<void>,
): Promise<FitRows> {
  const total = dataset.length + (validation?.length ?? 0);
  const compute = async (samples: Dataset, before: number, mirror: boolean) => {
    return await featureRows(model, samples, {
      batchSize,
      mirror,
      onBatch: async (done) => {
        onProgress?.({ phase: "features", done: before + done, total });
        await pause();
      },
    });
  };
  const training = await compute(dataset, 0, mirror);
  checkLabels(training.labels, classes.length);
  if (!validation) return { training };
  const rows = await compute(validation, dataset.length, false);
  const labels = indices ? rows.labels.map((label) => indices[label] ?? -1) : rows.labels;
  checkLabels(labels, classes.length);
  return { training, validation: { ...rows, labels } };
}

/** Trains a layer on all samples, with the best weight decay, and measures it on held-out samples. */
async function trainLastLayer(
  run: Run,
  rows: FitRows,
  { folds, mirror, weightDecays, onStep }: CheckedFit,
  onPart: () => void,
): Promise<{ values: HeadValues; score: Score; weightDecay: number }> {
  const samples = rows.training.labels.length / (mirror ? 2 : 1);
  const scores = weightDecays.length > 1 || !rows.validation
    ? await crossValidate(run, rows.training, { folds, samples, weightDecays }, onPart)
    : undefined;
  const best = scores ? lowestLoss(scores) : 0, weightDecay = weightDecays[best];
  const statistics = statisticsOf(rows.training);
  const training = standardized(rows.training, statistics);
  const validation = rows.validation && standardized(rows.validation, statistics);
  const measure = async (linear: Linear, rows: FeatureRows): Promise<FitMeasure> => {
    const [{ loss, correct }] = await scoresOf(run, linear, rows);
    return { loss, accuracy: correct / rows.labels.length };
  };
  using uploaded = new UploadedRows(run.backend, training, run.seed);
  using linear = await trainLinears(uploaded, {
    ...run.options,
    weightDecays: [weightDecay],
    onStep: onStep && (async (linear, step, steps) =>
      onStep({
        step,
        steps,
        training: await measure(linear, training),
        ...validation && { validation: await measure(linear, validation) },
      })),
  }, run.pause);
  const score = validation ? (await scoresOf(run, linear, validation))[0] : scores![best];
  return { values: await foldedWeights(linear, statistics), score, weightDecay };
}

function checkLabels(labels: Int32Array, classes: number): void {
  const invalid = labels.find((label) => label < 0 || label >= classes);
  if (invalid === undefined) return;
  throw new ArgumentError("fit", "the class of a sample", invalid, `from 0 to ${classes - 1}`);
}
