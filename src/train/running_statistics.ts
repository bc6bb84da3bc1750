/**
 * The running statistics of batch normalisation, which forward passes change in training mode.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { severalValues } from "../layers/norm.ts";
import { distinct } from "../layers/parameter.ts";
import { copyInto, copyOf } from "../ops/arithmetic.ts";
import type { Tensor } from "../tensor.ts";

/** Runs a function. If it fails, restores the running statistics of the model. */
export async function restoringStatistics<T>(model: Layer, run: () => Promise<T>): Promise<T> {
  const copies = new Map<Tensor, Tensor>();
  try {
    for (const { isBuffer, tensor } of distinct(model.stateDict()).values()) {
      if (isBuffer && tensor) copies.set(tensor, copyOf(tensor));
    }
    return await run();
  } catch (error) {
    try {
      for (const [tensor, copy] of copies) copyInto(tensor, copy);
    } catch {
      // the backend is lost, or was disposed: the first error says more
    }
    throw error;
  } finally {
    for (const copy of copies.values()) copy.dispose();
  }
}

/** Adds to the error of a batch normalisation what to do about a batch with one sample. */
export function withAdvice(error: unknown, batchSize: number): unknown {
  if (!(error instanceof ArgumentError) || error.expected !== severalValues) return error;
  const advice = batchSize === 1
    ? "each batch has 1 sample: set a larger batchSize"
    : "the last batch has 1 sample: set dropLast or another batchSize";
  return new ArgumentError(error.op, error.parameter, error.value, `${severalValues}; ${advice}`);
}
