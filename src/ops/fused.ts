/**
 * What an operation can add to its result before storing it: a residual and an activation.
 *
 * @module
 */

import type { FusedKind } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { OutOptions } from "./checks.ts";

/**
 * The activations that an operation can apply to its result, with PyTorch's names. "relu6" is
 * min(max(y, 0), 6), "hardswish" is y · min(max(y + 3, 0), 6) / 6, and "silu" is y / (1 + exp(−y)).
 */
export type FusedActivation = "relu" | "relu6" | "hardswish" | "silu";

/**
 * Options of operations that can apply an activation.
 */
export interface ActivationOptions extends OutOptions {
  /** Applies an activation to the result. Default: none. */
  readonly activation?: FusedActivation;
}

/**
 * Options of operations that can add a tensor and apply an activation.
 */
export interface FusedOptions extends ActivationOptions {
  /** A tensor in the shape of the result, which is added before the activation. It may be `out`. */
  readonly residual?: Tensor;
}

const names: readonly (FusedActivation & FusedKind)[] = ["relu", "relu6", "hardswish", "silu"];

/** Checks the option `activation`, and returns its name for kernels. */
export function checkActivation(op: string, { activation }: ActivationOptions): FusedKind {
  if (activation === undefined) return "none";
  if (names.includes(activation)) return activation;
  throw new ArgumentError(op, "activation", activation, '"relu", "relu6", "hardswish" or "silu"');
}
