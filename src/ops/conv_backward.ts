/**
 * The gradients of convolutions.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkOptions,
  checkTensor,
  type OutOptions,
  produce,
} from "./checks.ts";
import {
  type Conv1dOptions,
  type Conv2dOptions,
  convGeometry,
  convOptionNames,
  type ConvOptions,
} from "./conv_geometry.ts";
import {
  type AlgorithmOptions,
  checkAlgorithm,
  correlateBackwardInput,
  correlateBackwardWeight,
} from "./prepared_conv.ts";

/**
 * Computes the gradient of {@linkcode conv2d} with respect to its input: Wᵀ·dy, with each column
 * added to the elements of its window. With a stride above 1, the algorithm is always "direct".
 *
 * @param dy [N, outC, oH, oW].
 * @param weight [outC, C/groups, kH, kW].
 * @param inputShape [N, C, H, W] of the forward pass.
 * @param options Those of the forward pass.
 * @returns dx, [N, C, H, W].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function conv2dBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: Conv2dOptions & AlgorithmOptions & OutOptions = {},
): Tensor {
  checkOptions("conv2dBackwardInput", options, [...convOptionNames, "algorithm", "out"]);
  return convBackwardInput(2, dy, weight, inputShape, options);
}

/**
 * Adds up the gradient of {@linkcode conv2d} with respect to its weights:
 * dw[o, c, k, l] += Σ dy[n, o, i, j] · x[n, c, i·stride + k·dilation − padding, …].
 *
 * @param dy [N, outC, oH, oW].
 * @param x [N, C, H, W], the input of the forward pass.
 * @param weightShape [outC, C/groups, kH, kW].
 * @param options Those of the forward pass. `into` is the gradient to add to.
 * @returns dw, [outC, C/groups, kH, kW].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function conv2dBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: Conv2dOptions & AlgorithmOptions & AccumulateOptions = {},
): Tensor {
  checkOptions("conv2dBackwardWeight", options, [...convOptionNames, "algorithm", "into"]);
  return convBackwardWeight(2, dy, x, weightShape, options);
}

/**
 * Computes the gradient of {@linkcode conv1d} with respect to its input, like
 * {@linkcode conv2dBackwardInput}.
 *
 * @param dy [N, outC, oL].
 * @param weight [outC, C/groups, K].
 * @param inputShape [N, C, L] of the forward pass.
 * @param options Those of the forward pass.
 * @returns dx, [N, C, L].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function conv1dBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: Conv1dOptions & OutOptions = {},
): Tensor {
  checkOptions("conv1dBackwardInput", options, [...convOptionNames, "out"]);
  return convBackwardInput(1, dy, weight, inputShape, options);
}

/**
 * Adds up the gradient of {@linkcode conv1d} with respect to its weights, like
 * {@linkcode conv2dBackwardWeight}.
 *
 * @param dy [N, outC, oL].
 * @param x [N, C, L], the input of the forward pass.
 * @param weightShape [outC, C/groups, K].
 * @param options Those of the forward pass. `into` is the gradient to add to.
 * @returns dw, [outC, C/groups, K].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function conv1dBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: Conv1dOptions & AccumulateOptions = {},
): Tensor {
  checkOptions("conv1dBackwardWeight", options, [...convOptionNames, "into"]);
  return convBackwardWeight(1, dy, x, weightShape, options);
}

/**
 * Adds up the gradient of a bias: db[c] += Σ dy over all axes but the second.
 *
 * @param dy [N, C, …], the gradient of a convolution's or linear layer's output.
 * @param options `into` is the gradient to add to.
 * @returns db, [C].
 * @throws {ArgumentError} When dy has fewer than two axes, or `into` another shape.
 */
export function biasBackward(dy: Tensor, options: AccumulateOptions = {}): Tensor {
  const op = "biasBackward";
  checkTensor(op, "dy", dy, dy);
  checkOptions(op, options, ["into"]);
  if (dy.shape.length < 2) throw new ArgumentError(op, "the shape of dy", dy.shape, "[N, C, …]");
  const compute = (db: Tensor) => kernelsOf(dy).biasBackward(db, dy);
  return accumulate(op, dy, [dy.shape[1]], options, [], compute);
}

/** Computes {@linkcode conv1dBackwardInput} or {@linkcode conv2dBackwardInput}, for a layer, too. */
export function convBackwardInput(
  axes: 1 | 2,
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: ConvOptions & AlgorithmOptions & OutOptions,
): Tensor {
  const op = `conv${axes}dBackwardInput`;
  const { algorithm = "direct", out, stride, dilation } = options;
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "weight", weight, dy);
  const { g, output } = convGeometry(op, axes, inputShape, weight.shape, options);
  checkTensor(op, "dy", dy, dy, output);
  checkAlgorithm(op, algorithm, weight.shape, stride, dilation);
  return produce(op, dy, { shape: inputShape, out, reads: [weight] }, (dx) => {
    if (algorithm === "winograd" && g.strideH === 1) {
      return kernelsOf(dy).winogradBackwardInput(dx, dy, weight, g);
    }
    correlateBackwardInput(dx, dy, weight, g);
  });
}

/** Computes {@linkcode conv1dBackwardWeight} or {@linkcode conv2dBackwardWeight}, for a layer, too. */
export function convBackwardWeight(
  axes: 1 | 2,
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: ConvOptions & AlgorithmOptions & AccumulateOptions,
): Tensor {
  const op = `conv${axes}dBackwardWeight`;
  const { algorithm = "direct", stride, dilation } = options;
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "x", x, dy);
  const { g, output } = convGeometry(op, axes, x.shape, weightShape, options);
  checkTensor(op, "dy", dy, dy, output);
  checkAlgorithm(op, algorithm, weightShape, stride, dilation);
  return accumulate(op, dy, weightShape, options, [x], (dw) => {
    if (algorithm === "winograd") kernelsOf(dy).winogradBackwardWeight(dw, dy, x, g);
    else correlateBackwardWeight(dw, dy, x, g);
  });
}
