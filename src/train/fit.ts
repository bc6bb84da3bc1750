/**
 * Learning new classes: a new last layer, trained on the features of a network.
 *
 * @module
 */

import { createBackend } from "../backend/mod.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Linear } from "../layers/linear.ts";
import { toClassNames } from "../models/classify.ts";
import { Classifier } from "../models/classifier.ts";
import type { ClassName } from "../models/imagenet_classes.ts";
import { checkInteger, checkNumber } from "../ops/checks.ts";
import { checkFunction, checkOptions, checkSignal } from "../options.ts";
import { wilsonInterval } from "./confusion.ts";
import { crossValidate, lowestLoss, scoresOf } from "./cross_validate.ts";
import { checkDataset, type Dataset } from "./dataset.ts";
import {
  type FeatureRows,
  featureRows,
  type FeatureStatistics,
  standardized,
  statisticsOf,
} from "./features.ts";
import { trainLinears, UploadedRows } from "./linear_head.ts";
import { pauses } from "./pauses.ts";

/**
 * A dataset that may name its classes.
 *
 * @internal
 */
export type NamedDataset = Dataset & { readonly classes?: readonly (string | ClassName)[] };

/** Options of {@linkcode fit}. */
export interface FitOptions {
  /** The names of the classes. Default: those of the dataset, if it has `classes`. */
  readonly classes?: readonly (string | ClassName)[];
  /**
   * Samples to measure the accuracy with. If these and the dataset have `classes`, as an
   * {@linkcode ImageFolder} has, their names decide on the class. Default: cross-validation on the
   * dataset.
   */
  readonly validation?: NamedDataset;
  /**
   * The parts of the cross-validation: each is held out once. Default 5. There is none with
   * `validation` and one weight decay.
   */
  readonly folds?: number;
  /** The weight decays to choose from. Default 1, 3, 10 and 30. */
  readonly weightDecays?: readonly number[];
  /** Steps of AdamW. Default 60. */
  readonly steps?: number;
  /** Whether to learn from the mirror image of each sample, too. Default true. */
  readonly mirror?: boolean;
  /** Samples in a forward pass. Default 16. */
  readonly batchSize?: number;
  /** The seed of the parts. Default 0. */
  readonly seed?: number;
  /** Called after each batch of samples, and each part of the cross-validation. */
  readonly onProgress?: (progress: FitProgress) => void;
  /**
   * Called before the first step that trains the final last layer, and after each step, for a live
   * curve.
   */
  readonly onStep?: (step: FitStep) => void;
  /**
   * Cancels the training. `fit()` then rejects with the signal's reason, and the model keeps its
   * last layer.
   */
  readonly signal?: AbortSignal;
}

/**
 * How far {@linkcode fit} is.
 *
 * @internal
 */
export interface FitProgress {
  /** "features" while samples pass through the network, then "training". */
  readonly phase: "features" | "training";
  /** Number of samples, or of training runs. */
  readonly done: number;
  /** The number at the end of the phase. */
  readonly total: number;
}

/**
 * The last layer after a step of {@linkcode fit}.
 *
 * @internal
 */
export interface FitStep {
  /** The number of steps so far, from 0. */
  readonly step: number;
  /** The number of all steps. */
  readonly steps: number;
  /** Measured on what it is trained on, mirror images included. */
  readonly training: FitMeasure;
  /** Measured on the samples of `validation`. */
  readonly validation?: FitMeasure;
}

/**
 * The mean cross-entropy, and the share of samples that are classified correctly.
 *
 * @internal
 */
export interface FitMeasure {
  readonly loss: number;
  readonly accuracy: number;
}

/** What {@linkcode fit} measured on samples that a layer was not trained on. */
export interface FitResult {
  /** The share of these samples that are classified correctly. */
  readonly accuracy: number;
  /** The 95 % interval of the accuracy (Wilson 1927): wide for few samples. */
  readonly interval: readonly [low: number, high: number];
  /** The mean cross-entropy of these samples. */
  readonly loss: number;
  /**
   * The numbers of these samples: a row for each class, a column for each class that was predicted.
   */
  readonly confusion: readonly (readonly number[])[];
  /** The weight decay that was chosen. */
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
  const checked = checkFit(model, dataset, options);
  const { classes, validation, indices, folds, weightDecays, steps } = checked;
  const { mirror, batchSize, seed } = checked;
  const { onProgress, onStep, signal } = options, pause = pauses(signal);
  const started = performance.now(), samples = dataset.length + (validation?.length ?? 0);
  const featuresOf = async (
    from: Dataset,
    before: number,
    mirror: boolean,
    indices?: readonly number[],
  ) => {
    const rows = await featureRows(model, from, {
      batchSize,
      mirror,
      onBatch: async (done) => {
        onProgress?.({ phase: "features", done: before + done, total: samples });
        await pause();
      },
    });
    const labels = indices ? rows.labels.map((label) => indices[label] ?? -1) : rows.labels;
    checkLabels(labels, classes.length);
    return { ...rows, labels };
  };
  const rows = await featuresOf(dataset, 0, mirror);
  const held = validation && await featuresOf(validation, dataset.length, false, indices);
  const computed = performance.now();

  const own = model.backend.device === "wasm" ? undefined : await createBackend({ device: "wasm" });
  try {
    // Each step moves each weight by about lr. So the step of a logit grows with their number.
    const lr = 0.2 / Math.sqrt(rows.count), count = classes.length;
    const backend = own ?? model.backend;
    const run = { backend, classes: count, seed, options: { classes: count, lr, steps }, pause };
    let done = 0;
    const total = weightDecays.length > 1 || !held ? folds + 1 : 1;
    const onPart = () => onProgress?.({ phase: "training", done: ++done, total });
    const scores = total > 1
      ? await crossValidate(run, rows, { folds, samples: dataset.length, weightDecays }, onPart)
      : undefined;
    const best = scores ? lowestLoss(scores) : 0;
    const weightDecay = weightDecays[best];
    const statistics = statisticsOf(rows), training = standardized(rows, statistics);
    const validating = held && standardized(held, statistics);
    const measure = async (linear: Linear, rows: FeatureRows): Promise<FitMeasure> => {
      const [{ loss, right }] = await scoresOf(run, linear, rows);
      return { loss, accuracy: right / rows.labels.length };
    };
    using uploaded = new UploadedRows(backend, training, seed);
    using linear = await trainLinears(uploaded, {
      ...run.options,
      weightDecays: [weightDecay],
      onStep: onStep && (async (linear, step, steps) =>
        onStep({
          step,
          steps,
          training: await measure(linear, training),
          ...validating && { validation: await measure(linear, validating) },
        })),
    }, pause);
    const score = validating ? (await scoresOf(run, linear, validating))[0] : scores![best];
    const { weight, bias } = await foldedWeights(linear, statistics);
    signal?.throwIfAborted();
    model.replaceHead(classes, { seed });
    const { parameters } = model.head.layer;
    parameters.weight.write(weight);
    parameters.bias.write(bias);
    onPart();
    const measured = held ? held.labels.length : dataset.length;
    return {
      accuracy: score.right / measured,
      interval: wilsonInterval(score.right, measured),
      loss: score.loss,
      confusion: score.confusion,
      weightDecay,
      milliseconds: { features: computed - started, training: performance.now() - computed },
    };
  } finally {
    own?.dispose();
  }
}

/** The names of {@linkcode FitOptions}. */
const optionNames =
  "classes validation folds weightDecays steps mirror batchSize seed onProgress onStep signal"
    .split(" ");

/** Checks the arguments of {@linkcode fit}, and completes the options. */
function checkFit(model: Classifier, dataset: NamedDataset, options: FitOptions) {
  const op = "fit";
  if (!(model instanceof Classifier)) throw new ArgumentError(op, "model", model, "a Classifier");
  checkDataset(op, dataset);
  checkOptions(op, options, optionNames);
  for (const name of ["onProgress", "onStep"] as const) checkFunction(op, name, options[name]);
  const { classes: given = dataset.classes, validation, mirror = true } = options;
  const { folds = 5, weightDecays = [1, 3, 10, 30], steps = 60, seed = 0 } = options;
  if (!Array.isArray(given) || given.length < 2) {
    throw new ArgumentError(op, "classes", given, "a list of at least two names");
  }
  const classes = toClassNames(op, given);
  if (validation !== undefined) checkDataset(op, validation);
  const indices = indicesOf(dataset.classes, validation?.classes);
  checkInteger(op, "folds", folds, 2);
  checkInteger(op, "steps", steps, 1);
  const batchSize = checkInteger(op, "batchSize", options.batchSize ?? 16, 1);
  const isDecay = (value: unknown) => typeof value === "number" && value >= 0 && value < Infinity;
  if (!Array.isArray(weightDecays) || weightDecays.length === 0 || !weightDecays.every(isDecay)) {
    throw new ArgumentError(op, "weightDecays", weightDecays, "numbers that are not negative");
  }
  if (!Number.isSafeInteger(checkNumber(op, "seed", seed))) {
    throw new ArgumentError(op, "seed", seed, "an integer");
  }
  // without a choice of weight decay, and with samples to measure with, there is no cross-validation
  if (dataset.length < folds && (weightDecays.length > 1 || !validation)) {
    const expected = `${folds} or more, the number of folds`;
    throw new ArgumentError(op, "the length of the dataset", dataset.length, expected);
  }
  checkSignal(op, options.signal);
  return { classes, validation, indices, mirror, folds, weightDecays, steps, seed, batchSize };
}

/** The index in a dataset of each class of other samples. Undefined if one of them names no classes. */
function indicesOf(
  classes: NamedDataset["classes"],
  others: NamedDataset["classes"],
): readonly number[] | undefined {
  const label = (name: string | ClassName) => typeof name === "string" ? name : name.label;
  const labels = classes?.map(label);
  return labels && others?.map((name) => {
    const index = labels.indexOf(label(name));
    if (index >= 0) return index;
    throw new ArgumentError("fit", "a class of validation", label(name), "a class of the dataset");
  });
}

function checkLabels(labels: Int32Array, classes: number): void {
  const invalid = labels.find((label) => label < 0 || label >= classes);
  if (invalid === undefined) return;
  throw new ArgumentError("fit", "the class of a sample", invalid, `from 0 to ${classes - 1}`);
}

/**
 * The weights of a layer on standardised features, for features as they are.
 *
 * @throws {PembrokeError} When they are not finite.
 */
export async function foldedWeights(
  linear: Linear,
  { mean, std }: FeatureStatistics,
): Promise<{ weight: Float32Array; bias: Float32Array }> {
  const weight = await linear.parameters.weight.tensor!.read(), count = mean.length;
  const bias = (await linear.parameters.bias.tensor!.read()).map((value, c) => {
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
