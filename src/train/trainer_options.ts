/**
 * The options of training.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { checkBoolean, checkFraction, checkInteger, checkNumber } from "../ops/checks.ts";
import { checkFunction, checkOptions } from "../options.ts";
import type { Dataset } from "./dataset.ts";
import type { LossFunction } from "./evaluate.ts";
import { Optimizer } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** Options of `Trainer`. */
export interface TrainerOptions {
  /** The optimiser of the model's parameters. Make it after `replaceHead()`, which replaces some. */
  readonly optimizer: Optimizer;
  /** Number of samples in a batch. The last batch of an epoch may be smaller. */
  readonly batchSize: number;
  /**
   * Whether to leave out the last batch of an epoch if it is smaller. The order of samples changes, so
   * each epoch leaves out others. Default: false.
   */
  readonly dropLast?: boolean;
  /** Number of passes over the dataset. */
  readonly epochs: number;
  /**
   * The learning rate by step. The optimiser counts the steps, also those of an earlier run. Default:
   * the rate of the optimiser.
   */
  readonly schedule?: Schedule;
  /** The largest norm of all gradients together. Larger gradients are scaled down. Default: no limit. */
  readonly clipNorm?: number;
  /** The share of the target probability that is spread over all classes, from 0 to 1. Default: 0. */
  readonly labelSmoothing?: number;
  /**
   * Computes another loss and its gradient from the output of the model and the targets, as
   * `(output, { target }) => mseLoss(output, target)`. The second argument also has the samples `x` and
   * their classes, `labels`. Default: the cross-entropy of the classes.
   */
  readonly loss?: LossFunction;
  /**
   * The decay of an exponential moving average of the model's values, running statistics included,
   * `torch.optim.swa_utils.AveragedModel`: each step multiplies it by the decay, and adds
   * 1 − decay times the new values. 0.999 averages over about 1000 steps. The decay of step n, from 0,
   * is at most (1 + n) / (10 + n), so that the initial values are forgotten. The average is often more
   * accurate than the last values: see `Trainer.withAverage()`. Default: none.
   */
  readonly emaDecay?: number;
  /** The seed of shuffling, augmentation and dropout. Default: 0. */
  readonly seed?: number;
}

/** The names of {@linkcode TrainerOptions}. */
const optionNames = [
  "optimizer",
  "batchSize",
  "dropLast",
  "epochs",
  "schedule",
  "clipNorm",
  "labelSmoothing",
  "loss",
  "emaDecay",
  "seed",
] as const;

/** Checks the options of a trainer. */
export function checkTrainerOptions(model: Layer, options: TrainerOptions): void {
  const op = "Trainer";
  checkOptions(op, options, optionNames);
  const { optimizer, schedule, clipNorm, labelSmoothing = 0, seed = 0, emaDecay = 0 } = options;
  if (!(optimizer instanceof Optimizer)) {
    throw new ArgumentError(op, "optimizer", optimizer, "an Optimizer");
  }
  checkParameters(model, optimizer);
  checkInteger(op, "batchSize", options.batchSize, 1);
  checkBoolean(op, "dropLast", options.dropLast ?? false);
  checkInteger(op, "epochs", options.epochs, 0);
  checkFunction(op, "schedule", schedule, "a function of the step");
  if (clipNorm !== undefined && !(typeof clipNorm === "number" && clipNorm > 0)) {
    throw new ArgumentError(op, "clipNorm", clipNorm, "above 0");
  }
  checkFraction(op, "labelSmoothing", labelSmoothing);
  checkFunction(op, "loss", options.loss);
  if (options.loss && labelSmoothing > 0) {
    const expected = "left out with a loss of your own";
    throw new ArgumentError(op, "labelSmoothing", labelSmoothing, expected);
  }
  if (!(checkNumber(op, "emaDecay", emaDecay) >= 0 && emaDecay < 1)) {
    throw new ArgumentError(op, "emaDecay", emaDecay, "from 0 to below 1");
  }
  if (!Number.isSafeInteger(seed)) throw new ArgumentError(op, "seed", seed, "an integer");
}

/** The number of samples that an epoch trains. */
export function samplesPerEpoch(
  { length }: Dataset,
  { batchSize, dropLast }: TrainerOptions,
): number {
  if (!dropLast) return length;
  if (length >= batchSize) return length - length % batchSize;
  const expected = `at most ${length}, the samples of the dataset, with dropLast`;
  throw new ArgumentError("Trainer", "batchSize", batchSize, expected);
}

/**
 * Checks that an optimiser has parameters to train, and that they are those of a model, which has new
 * ones at times.
 */
export function checkParameters(model: Layer, optimizer: Optimizer): void {
  const own = new Set(model.stateDict().values()), { parameters } = optimizer;
  if (parameters.size === 0) {
    const expected = "above 0; unfreeze() layers, or pass others to the optimizer";
    throw new ArgumentError("Trainer", "the number of parameters to train", 0, expected);
  }
  for (const [name, parameter] of parameters) {
    if (own.has(parameter)) continue; // else it would be trained without an effect
    const expected = "one of the model; make the optimizer after replaceHead()";
    throw new ArgumentError("Trainer", "a parameter of the optimizer", name, expected);
  }
}
