/**
 * The options of learning new classes.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { newClassNames } from "../models/network_classes.ts";
import { Classifier } from "../models/classifier.ts";
import type { ClassName } from "../models/imagenet_classes.ts";
import { checkBoolean, checkInteger } from "../ops/checks.ts";
import { checkFunction, checkOptions, checkSignal } from "../options.ts";
import { checkDataset, type Dataset } from "./dataset.ts";
import { defaultSteps, defaultWeightDecays } from "./linear_head.ts";

/**
 * A dataset that may name its classes.
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
 * How well a last layer fits samples.
 */
export interface FitMeasure {
  /** The mean cross-entropy. */
  readonly loss: number;
  /** The share of samples that are classified correctly. */
  readonly accuracy: number;
}

/** The arguments of {@linkcode fit}, checked and completed. */
export type CheckedFit = ReturnType<typeof checkFit>;

/** The name of the function in errors. */
const op = "fit";

/** The names of {@linkcode FitOptions}. */
const optionNames = [
  "classes",
  "validation",
  "folds",
  "weightDecays",
  "steps",
  "mirror",
  "batchSize",
  "seed",
  "onProgress",
  "onStep",
  "signal",
] as const;

/** Checks the arguments of {@linkcode fit}, and completes the options. */
export function checkFit(model: Classifier, dataset: NamedDataset, options: FitOptions) {
  if (!(model instanceof Classifier)) throw new ArgumentError(op, "model", model, "a Classifier");
  checkDataset(op, dataset);
  checkOptions(op, options, optionNames);
  const { classes = dataset.classes, validation, mirror = true, batchSize = 16 } = options;
  const { folds = 5, weightDecays = defaultWeightDecays, steps = defaultSteps, seed = 0 } = options;
  checkFunction(op, "onProgress", options.onProgress);
  checkFunction(op, "onStep", options.onStep);
  checkSignal(op, options.signal);
  if (validation !== undefined) checkDataset(op, validation);
  checkInteger(op, "folds", folds, 2);
  checkWeightDecays(weightDecays);
  checkInteger(op, "steps", steps, 1);
  checkBoolean(op, "mirror", mirror);
  checkInteger(op, "batchSize", batchSize, 1);
  if (!Number.isSafeInteger(seed)) throw new ArgumentError(op, "seed", seed, "an integer");
  // without a choice of weight decay, and with samples to measure with, there is no cross-validation
  if (dataset.length < folds && (weightDecays.length > 1 || !validation)) {
    const expected = `${folds} or more, the number of folds`;
    throw new ArgumentError(op, "the length of the dataset", dataset.length, expected);
  }
  return {
    ...options,
    classes: checkClasses(classes),
    indices: indicesOf(dataset.classes, validation?.classes),
    mirror,
    folds,
    weightDecays,
    steps,
    seed,
    batchSize,
  };
}

/** Checks the names of the classes, and completes them. */
function checkClasses(names: FitOptions["classes"]): readonly ClassName[] {
  if (Array.isArray(names) && names.length >= 2) return newClassNames(op, names);
  const expected = "a list of at least two names, here or in the dataset";
  throw new ArgumentError(op, "classes", names, expected);
}

/** Checks that there is a weight decay to choose, and that each is one. */
function checkWeightDecays(decays: readonly unknown[]): void {
  const isDecay = (value: unknown) => typeof value === "number" && value >= 0 && value < Infinity;
  if (Array.isArray(decays) && decays.length > 0 && decays.every(isDecay)) return;
  throw new ArgumentError(op, "weightDecays", decays, "numbers that are not negative");
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
    throw new ArgumentError(op, "a class of validation", label(name), "a class of the dataset");
  });
}
