/** The argument checks that operations and layers of normalisations share. */

import type { BatchNormTensors, LocalResponseNormGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import {
  checkInteger,
  checkNumber,
  checkObject,
  checkOptionalTensor,
  checkTensor,
} from "./checks.ts";

/** Checks the tensors of a batch normalisation. Those that are missing become null. */
export function checkNormTensors(
  op: string,
  tensors: BatchNormTensors,
  x: Tensor,
  channels: number,
): Required<BatchNormTensors> {
  checkObject(op, "tensors", tensors);
  const { runningMean, runningVar } = tensors;
  checkTensor(op, "runningMean", runningMean, x, [channels]);
  checkTensor(op, "runningVar", runningVar, x, [channels]);
  const weight = checkOptionalTensor(op, "weight", tensors.weight, x, [channels]);
  const bias = checkOptionalTensor(op, "bias", tensors.bias, x, [channels]);
  return { runningMean, runningVar, weight, bias };
}

/** The constants of a local response normalisation. */
type Constants = Pick<LocalResponseNormGeometry, "alpha" | "beta" | "k">;

/** Checks the arguments of a local response normalisation, and returns its constants. */
export function checkLocalResponseNorm(
  op: string,
  size: number,
  options: Partial<Constants>,
): Constants {
  checkInteger(op, "size", size, 1);
  if (size % 2 === 0) throw new ArgumentError(op, "size", size, "odd");
  return {
    alpha: checkNumber(op, "alpha", options.alpha ?? 1e-4),
    beta: checkNumber(op, "beta", options.beta ?? 0.75),
    k: checkNumber(op, "k", options.k ?? 1),
  };
}

/** Checks that the gradients of parameters, which are added to, share no memory with what is read. */
export function checkGradients(
  op: string,
  dweight: Tensor | null,
  dbias: Tensor | null,
  inputs: readonly (Tensor | null)[],
): void {
  for (const gradient of [dweight, dbias]) {
    if (gradient && inputs.some((tensor) => tensor?.storage === gradient.storage)) {
      const found = "the memory of an input";
      throw new ArgumentError(op, "a gradient", gradient, "another tensor", found);
    }
  }
  if (dweight && dweight.storage === dbias?.storage) {
    throw new ArgumentError(op, "dbias", dbias, "another tensor", "the memory of dweight");
  }
}
