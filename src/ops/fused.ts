/**
 * What an operation can add to its result before storing it: a residual and an activation.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { OutOptions } from "./checks.ts";

/**
 * The activations that an operation can apply to its result, with PyTorch's names. "relu6" is
 * min(max(y, 0), 6), "hardswish" is y · min(max(y + 3, 0), 6) / 6, and "silu" is y / (1 + exp(−y)).
 *
 * @internal
 */
export type FusedActivation = "relu" | "relu6" | "hardswish" | "silu";

/**
 * Options of operations that can apply an activation.
 *
 * @internal
 */
export interface ActivationOptions extends OutOptions {
  /** Applies an activation to the result. Default: none. */
  readonly activation?: FusedActivation;
}

/**
 * Options of operations that can add a tensor and apply an activation.
 *
 * @internal
 */
export interface FusedOptions extends ActivationOptions {
  /** A tensor in the shape of the result, which is added before the activation. It may be `out`. */
  readonly residual?: Tensor;
}

/** The codes of activations in kernels (assembly/inline/activate.ts). */
const codes: ReadonlyMap<FusedActivation | undefined, number> = new Map([
  [undefined, 0],
  ["relu", 1],
  ["relu6", 2],
  ["hardswish", 3],
  ["silu", 4],
]);

/** Checks the option `activation`, and returns its code for kernels: 0 for none. */
export function checkActivation(op: string, { activation }: ActivationOptions): number {
  const code = codes.get(activation);
  if (code !== undefined) return code;
  throw new ArgumentError(op, "activation", activation, '"relu", "relu6", "hardswish" or "silu"');
}
