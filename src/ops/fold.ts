/**
 * Folding a batch normalisation into the convolution before it.
 *
 * @module
 */

import type { BatchNormTensors } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import type { Filters } from "../backend/kernels.ts";
import type { Tensor } from "../tensor.ts";
import {
  checkNonNegative,
  checkOptionalTensor,
  checkOptions,
  checkTensor,
  disposeOnError,
} from "./checks.ts";
import { checkNormTensors } from "./norm_checks.ts";
import { checkFilters } from "./prepared_conv.ts";

/**
 * Computes the weights and the bias of a convolution that normalises its output, too: with
 * f = γ / √(var + eps) for each output channel, weight · f and (bias − mean) · f + β.
 *
 * @param weight [outC, inC/groups, kW] or [outC, inC/groups, kH, kW].
 * @param bias [outC], or null.
 * @param tensors The running statistics, weight γ and bias β of the normalisation, [outC] each.
 * @param options `eps` is added to the variance (default 1e-5).
 * @returns New tensors in the shapes of weight and bias. The caller disposes of them.
 * @throws {ArgumentError} When the shapes do not fit together, or `eps` is negative.
 *
 * @internal
 */
export function foldConv(
  weight: Tensor,
  bias: Tensor | null,
  tensors: BatchNormTensors,
  options: { readonly eps?: number } = {},
): Filters {
  const op = "foldConv";
  checkTensor(op, "weight", weight, weight);
  const { shape, backend } = weight;
  checkFilters(op, shape);
  const [outC] = shape;
  bias = checkOptionalTensor(op, "bias", bias, weight, [outC]);
  const all = checkNormTensors(op, tensors, weight, outC);
  checkOptions(op, options, ["eps"]);
  const eps = checkNonNegative(op, "eps", options.eps ?? 1e-5);
  return disposeOnError(
    backend.empty(shape),
    (filters) =>
      disposeOnError(backend.empty([outC]), (biases) => {
        const folded = { weight: filters, bias: biases };
        kernelsOf(weight).foldBatchNorm(folded, weight, bias, all, eps);
        return folded;
      }),
  );
}
