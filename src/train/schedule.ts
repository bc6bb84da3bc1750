/**
 * Learning rates that change with the step.
 *
 * @module
 */

import { checkInteger, checkNumber, checkOptions } from "../ops/checks.ts";

/**
 * The learning rate of a step; steps count from 0.
 *
 * @internal
 */
export type Schedule = (step: number) => number;

/**
 * What schedules share.
 *
 * @internal
 */
export interface WarmUp {
  /** The learning rate after warming up. */
  readonly lr: number;
  /** Steps in which it grows in a straight line, from lr/(warmUp + 1). Default 0. */
  readonly warmUp?: number;
}

/**
 * Half a cosine from lr down to `minLr` (Loshchilov & Hutter 2017), behind the warm-up.
 *
 * @param options `steps` counts all steps, those of the warm-up included.
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
  options: WarmUp & { readonly steps: number; readonly minLr?: number },
): Schedule {
  checkOptions("cosineSchedule", options);
  const { lr, steps, warmUp = 0, minLr = 0 } = options;
  checkInteger("cosineSchedule", "steps", steps, 1);
  checkNumber("cosineSchedule", "minLr", minLr);
  return warmedUp("cosineSchedule", options, (step) => {
    const share = Math.min(1, (step - warmUp) / Math.max(1, steps - warmUp));
    return minLr + (lr - minLr) * (1 + Math.cos(Math.PI * share)) / 2;
  });
}

/**
 * lr · gammaⁿ after n times `every` steps, `torch.optim.lr_scheduler.StepLR`, behind the warm-up.
 *
 * @param options `every` counts steps from the first one on; `gamma` is 0.1 by default.
 */
export function stepSchedule(
  options: WarmUp & { readonly every: number; readonly gamma?: number },
): Schedule {
  checkOptions("stepSchedule", options);
  const { lr, every, gamma = 0.1 } = options;
  checkInteger("stepSchedule", "every", every, 1);
  checkNumber("stepSchedule", "gamma", gamma);
  return warmedUp("stepSchedule", options, (step) => lr * gamma ** Math.floor(step / every));
}

function warmedUp(name: string, { lr, warmUp = 0 }: WarmUp, after: Schedule): Schedule {
  checkNumber(name, "lr", lr);
  checkInteger(name, "warmUp", warmUp, 0);
  return (step) => step < warmUp ? lr * (step + 1) / (warmUp + 1) : after(step);
}
