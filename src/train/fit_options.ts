/**
 * The options of learning new classes.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { newClassNames } from "../models/network_classes.ts";
import { Classifier } from "../models/classifier.ts";
import type { ClassName } from "../models/imagenet_classes.ts";
import { checkInteger, checkNumber } from "../ops/checks.ts";
import { checkFunction, checkOptions, checkSignal } from "../options.ts";
import { checkDataset, type Dataset } from "./dataset.ts";
import { defaultSteps, defaultWeightDecays } from "./linear_head.ts";

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
   * The parts of the cross-validation: each is held out once. Default: 5. There is none with
   * `validation` and one weight decay.
   */
  readonly folds?: number;
  /** The weight decays to choose from. Default: 1, 3, 10 and 30. */
  readonly weightDecays?: readonly number[];
  /**
   * Steps of AdamW. Default: 60. More than 1024 samples, mirror images included, are several batches;
   * then there are at least four steps for each batch.
   */
  readonly steps?: number;
  /** Whether to learn from the mirror image of each sample, too. Default: true. */
  readonly mirror?: boolean;
  /** Samples in a forward pass. Default: 16. */
  readonly batchSize?: number;
  /** The seed of the parts. Default: 0. */
  readonly seed?: number;
  /** Called after each batch of samples, and each part of the cross-validation. */
  readonly onProgress?: (progress: FitProgress) => void;
  /**
   * Called before the first step of the training on all samples, and after each step, for a live
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

/** The arguments of {@linkcode fit}, checked and completed. */
export type CheckedFit = ReturnType<typeof checkFit>;

/** The names of {@linkcode FitOptions}. */
const optionNames =
  "classes validation folds weightDecays steps mirror batchSize seed onProgress onStep signal"
    .split(" ");

/** Checks the arguments of {@linkcode fit}, and completes the options. */
export function checkFit(model: Classifier, dataset: NamedDataset, options: FitOptions) {
  const op = "fit";
  if (!(model instanceof Classifier)) throw new ArgumentError(op, "model", model, "a Classifier");
  checkDataset(op, dataset);
  checkOptions(op, options, optionNames);
  for (const name of ["onProgress", "onStep"] as const) checkFunction(op, name, options[name]);
  const { classes: given = dataset.classes, validation, mirror = true } = options;
  const { folds = 5, weightDecays = defaultWeightDecays, steps = defaultSteps, seed = 0 } = options;
  if (!Array.isArray(given) || given.length < 2) {
    throw new ArgumentError(
      op,
      "classes",
      given,
      "a list of at least two names, here or in the dataset",
    );
  }
  const classes = newClassNames(op, given);
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
  return {
    ...options,
    classes,
    indices,
    mirror,
    folds,
    weightDecays,
    steps,
    seed,
    batchSize,
  };
}

/**
 * Returns the index of each class of other samples in the classes of a dataset. Undefined if one of them
 * does not name its classes.
 */
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
