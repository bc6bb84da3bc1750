/**
 * The gradients of convolutions.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Conv2dGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkTensor,
  type OutOptions,
  produce,
} from "./checks.ts";
import {
  conv1dGeometry,
  type Conv1dOptions,
  conv2dGeometry,
  type Conv2dOptions,
} from "./conv_geometry.ts";
import { type AlgorithmOptions, checkAlgorithm } from "./prepared_conv.ts";

/**
 * The gradient of {@linkcode conv2d} with respect to its input: Wᵀ·dy, each column added where its
 * window stood. With a stride above 1 it is always computed directly.
 *
 * @param dy [N, outC, oH, oW].
 * @param weight [outC, C/groups, kH, kW].
 * @param inputShape [N, C, H, W] of the forward pass.
 * @returns dx, [N, C, H, W].
 */
export function conv2dBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: Conv2dOptions & AlgorithmOptions & OutOptions = {},
): Tensor {
  const op = "conv2dBackwardInput", { algorithm = "direct", out } = options;
  checkTensor(op, "weight", weight, dy);
  const g = conv2dGeometry(op, inputShape, weight.shape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.oh, g.ow]);
  checkAlgorithm(op, algorithm, weight.shape, options.stride, options.dilation);
  if (algorithm === "direct" || g.strideH > 1) {
    return backwardInput(op, dy, weight, g, inputShape, out);
  }
  const target = { shape: inputShape, out, reads: [weight] };
  return produce(op, dy, target, (dx) => kernelsOf(dy).winogradBackwardInput(dx, dy, weight, g));
}

/**
 * The gradient of {@linkcode conv2d} with respect to its weights, accumulated:
 * dw[o, c, k, l] += Σ dy[n, o, i, j] · x[n, c, i·stride + k·dilation − padding, …].
 *
 * @param dy [N, outC, oH, oW].
 * @param x [N, C, H, W], the input of the forward pass.
 * @param weightShape [outC, C/groups, kH, kW].
 * @returns dw, [outC, C/groups, kH, kW].
 */
export function conv2dBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: Conv2dOptions & AlgorithmOptions & AccumulateOptions = {},
): Tensor {
  const op = "conv2dBackwardWeight", { algorithm = "direct" } = options;
  checkTensor(op, "x", x, dy);
  const g = conv2dGeometry(op, x.shape, weightShape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.oh, g.ow]);
  checkAlgorithm(op, algorithm, weightShape, options.stride, options.dilation);
  const compute = (dw: Tensor) =>
    algorithm === "direct"
      ? kernelsOf(dy).conv2dBackwardWeight(dw, dy, x, g)
      : kernelsOf(dy).winogradBackwardWeight(dw, dy, x, g);
  return accumulate(op, dy, weightShape, options, [x], compute);
}

/**
 * The gradient of {@linkcode conv1d} with respect to its input; see
 * {@linkcode conv2dBackwardInput}.
 *
 * @param dy [N, outC, oL].
 * @param weight [outC, C/groups, K].
 * @param inputShape [N, C, L] of the forward pass.
 * @returns dx, [N, C, L].
 */
export function conv1dBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: Conv1dOptions & OutOptions = {},
): Tensor {
  const op = "conv1dBackwardInput";
  checkTensor(op, "weight", weight, dy);
  const g = conv1dGeometry(op, inputShape, weight.shape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.ow]);
  return backwardInput(op, dy, weight, g, inputShape, options.out);
}

/**
 * The gradient of {@linkcode conv1d} with respect to its weights, accumulated; see
 * {@linkcode conv2dBackwardWeight}.
 *
 * @param dy [N, outC, oL].
 * @param x [N, C, L], the input of the forward pass.
 * @param weightShape [outC, C/groups, K].
 * @returns dw, [outC, C/groups, K].
 */
export function conv1dBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: Conv1dOptions & AccumulateOptions = {},
): Tensor {
  const op = "conv1dBackwardWeight";
  checkTensor(op, "x", x, dy);
  const g = conv1dGeometry(op, x.shape, weightShape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.ow]);
  const compute = (dw: Tensor) => kernelsOf(dy).conv2dBackwardWeight(dw, dy, x, g);
  return accumulate(op, dy, weightShape, options, [x], compute);
}

/**
 * The gradient of a bias, accumulated: db[c] += Σ dy over all axes but the second.
 *
 * @param dy [N, C, …], of a convolution or a linear layer.
 * @returns db, [C].
 */
export function biasBackward(dy: Tensor, options: AccumulateOptions = {}): Tensor {
  const op = "biasBackward";
  checkTensor(op, "dy", dy, dy);
  if (dy.shape.length < 2) throw new ArgumentError(op, "the shape of dy", dy.shape, "[N, C, …]");
  const compute = (db: Tensor) => kernelsOf(dy).biasBackward(db, dy);
  return accumulate(op, dy, [dy.shape[1]], options, [], compute);
}

function backwardInput(
  op: string,
  dy: Tensor,
  weight: Tensor,
  g: Conv2dGeometry,
  shape: Shape,
  out: Tensor | undefined,
): Tensor {
  return produce(op, dy, { shape, out, reads: [weight] }, (dx) => {
    using packed = kernelsOf(dy).packConv2dTransposed(weight, g.groups);
    kernelsOf(dy).conv2dBackwardInput(dx, dy, packed, g);
  });
}
