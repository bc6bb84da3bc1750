/**
 * Learning rate schedules.
 *
 * @module
 */

import { checkInteger, checkNumber } from "../ops/checks.ts";
import { checkOptions } from "../options.ts";

/**
 * Returns the learning rate of a step. Steps count from 0.
 */
export type Schedule = (step: number) => number;

/**
 * The warm-up of a schedule.
 */
export interface WarmUpOptions {
  /** The learning rate after the warm-up. */
  readonly lr: number;
  /** Number of steps in which the rate grows linearly from lr/(warmUp + 1) to lr. Default: 0. */
  readonly warmUp?: number;
}

/**
 * Creates a schedule that decays from `lr` to `minLr` along half a cosine (Loshchilov & Hutter
 * 2017), after a warm-up.
 *
 * @param options `lr` is the highest rate, after `warmUp` steps (default 0). `steps` is the number of all
 * steps, the warm-up included. `minLr` is 0 by default.
 * @returns The learning rate of each step, from 0, for the option `schedule` of {@linkcode Trainer}.
 * @throws {ArgumentError} When an option is invalid.
 *
 * @example
 * ```ts
 * import { cosineSchedule } from "./schedule.ts";
 *
 * const lr = cosineSchedule({ lr: 0.1, steps: 100, warmUp: 9 });
 * console.log(lr(0), lr(9), lr(99)); // 0.01, 0.1, almost 0
 * ```
 */
export function cosineSchedule(
  options: WarmUpOptions & { readonly steps: number; readonly minLr?: number },
): Schedule {
  checkOptions("cosineSchedule", options, ["lr", "steps", "warmUp", "minLr"]);
  const { lr, steps, warmUp = 0, minLr = 0 } = options;
  checkInteger("cosineSchedule", "steps", steps, 1);
  checkNumber("cosineSchedule", "minLr", minLr);
  return withWarmUp("cosineSchedule", options, (step) => {
    const share = Math.min(1, (step - warmUp) / Math.max(1, steps - warmUp));
    return minLr + (lr - minLr) * (1 + Math.cos(Math.PI * share)) / 2;
  });
}

/**
 * Creates a schedule that multiplies the rate by `gamma` every `every` steps,
 * `torch.optim.lr_scheduler.StepLR`, with a warm-up.
 *
 * @param options `lr` is the first rate, after `warmUp` steps (default 0). `every` counts steps from the
 * first one, the warm-up included. `gamma` is 0.1 by default.
 * @returns The learning rate of each step, from 0, for the option `schedule` of {@linkcode Trainer}.
 * @throws {ArgumentError} When an option is invalid.
 *
 * @example
 * ```ts
 * import { stepSchedule } from "./schedule.ts";
 *
 * const lr = stepSchedule({ lr: 0.1, every: 30, gamma: 0.5 });
 * console.log(lr(0), lr(29), lr(30), lr(60)); // 0.1, 0.1, 0.05, 0.025
 * ```
 */
export function stepSchedule(
  options: WarmUpOptions & { readonly every: number; readonly gamma?: number },
): Schedule {
  checkOptions("stepSchedule", options, ["lr", "every", "warmUp", "gamma"]);
  const { lr, every, gamma = 0.1 } = options;
  checkInteger("stepSchedule", "every", every, 1);
  checkNumber("stepSchedule", "gamma", gamma);
  return withWarmUp("stepSchedule", options, (step) => lr * gamma ** Math.floor(step / every));
}

function withWarmUp(name: string, { lr, warmUp = 0 }: WarmUpOptions, after: Schedule): Schedule {
  checkNumber(name, "lr", lr);
  checkInteger(name, "warmUp", warmUp, 0);
  return (step) => step < warmUp ? lr * (step + 1) / (warmUp + 1) : after(step);
}
