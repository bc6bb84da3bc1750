/**
 * Convolution algorithms, and weights packed for the direct one.
 *
 * @module
 */

import type { Conv2dGeometry, Epilogue } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { copyOf } from "./arithmetic.ts";
import { checkInteger, checkOptions, checkTensor, formatShape } from "./checks.ts";

/**
 * How a convolution is computed.
 *
 * "direct" multiplies the weights by the column matrix of the input. Depthwise convolutions, whose
 * groups have one input channel each and up to four output channels, have a kernel of their own.
 *
 * "winograd" uses minimal filtering (Lavin & Gray, "Fast Algorithms for Convolutional Neural
 * Networks", 2016). It takes less than half the time, but rounds more: results differ from "direct"
 * by up to 3·10⁻⁵ of the largest output for 3 taps, and 10⁻⁴ for 4 and 5. The taps are kernel size /
 * stride, rounded up. It needs a square kernel with 3 or 5 taps (3×3 and 5×5 with stride 1, 11×11
 * with stride 4), or 4 with a stride (7×7 with stride 2), and no dilation. An infinity in the input
 * makes all outputs of its tiles NaN.
 */
export type ConvAlgorithm = "direct" | "winograd";

/**
 * The choice of a convolution algorithm.
 */
export interface AlgorithmOptions {
  /**
   * How convolutions are computed. "winograd" is faster for many 3×3 and 5×5 kernels, but rounds
   * more. Default: "direct" in operations, the faster one in layers.
   */
  readonly algorithm?: ConvAlgorithm;
}

/** Options of {@linkcode prepareConv}. */
export interface PrepareOptions {
  /** Number of groups that the channels are split into. Default: 1. */
  readonly groups?: number;
}

/**
 * Weights packed for the direct kernel by {@linkcode prepareConv}. The caller disposes of them.
 *
 * @internal
 */
export class PreparedConv implements Disposable {
  /**
   * For {@linkcode prepareConv}.
   *
   * @param shape The shape of the weights, [outC, inC/groups, (kH,) kW].
   * @param packed The packed values.
   * @param options The options they were packed with.
   */
  constructor(
    readonly shape: Shape,
    readonly packed: Tensor,
    readonly options: Required<PrepareOptions>,
  ) {}

  /** Frees the memory. */
  dispose(): void {
    this.packed.dispose();
  }

  /** Calls {@linkcode PreparedConv.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Packs weights once for many calls of {@linkcode conv1d} or {@linkcode conv2d} with the algorithm
 * "direct".
 *
 * @param weight [outC, inC/groups, K] or [outC, inC/groups, kH, kW].
 * @throws {ArgumentError} When weight has another number of axes, or the groups do not divide outC.
 */
export function prepareConv(weight: Tensor, options: PrepareOptions = {}): PreparedConv {
  const op = "prepareConv";
  checkOptions(op, options, ["groups"]);
  const { groups = 1 } = options;
  checkTensor(op, "weight", weight, weight);
  const { shape, backend } = weight;
  checkFilters(op, shape, groups);
  const packed = isDepthwise(shape, groups)
    ? copyOf(weight) // its kernel takes weights as they are
    : kernelsOf(backend).packConv2d(weight, groups);
  return new PreparedConv(shape, packed, { groups });
}

/** Checks the shape of a convolution's weights, and that the groups divide its output channels. */
export function checkFilters(op: string, shape: Shape, groups = 1): void {
  if (shape.length !== 3 && shape.length !== 4) {
    throw new ArgumentError(op, "the shape of weight", shape, "[outC, inC/groups, (kH,) kW]");
  }
  checkInteger(op, "groups", groups, 1);
  if (shape[0] % groups === 0) return;
  throw new ArgumentError(op, "groups", groups, `a divisor of the ${shape[0]} output channels`);
}

/**
 * Lays out the weights [C, outC/groups, (kH,) kW] of a transposed convolution for its kernel.
 *
 * @returns undefined for kernels that take weights as they are.
 */
export function packTransposed(weight: Tensor, groups: number): Tensor | undefined {
  if (isDepthwise(weight.shape, groups)) return undefined;
  return kernelsOf(weight).packConv2dTransposed(weight, groups);
}

/**
 * Computes y[o] = Σ w[o, c] ⋆ x[c] + bias[o], with the depthwise kernel or as a matrix product.
 *
 * @param isPacked Whether `w` is packed by {@linkcode prepareConv}.
 */
export function correlate(
  y: Tensor,
  x: Tensor,
  w: Tensor,
  bias: Tensor | null,
  g: Conv2dGeometry,
  epilogue: Epilogue,
  isPacked = false,
): void {
  const kernels = kernelsOf(x);
  if (hasDepthwiseKernel(g)) return kernels.depthwise(y, x, w, bias, g, epilogue);
  if (isPacked) return kernels.conv2d(y, x, w, bias, g, epilogue);
  using packed = kernels.packConv2d(w, g.groups);
  kernels.conv2d(y, x, packed, bias, g, epilogue);
}

/**
 * Computes the gradient dx of {@linkcode correlate}.
 *
 * @param isPacked Whether `w` is packed by {@linkcode packTransposed}.
 */
export function correlateBackwardInput(
  dx: Tensor,
  dy: Tensor,
  w: Tensor,
  g: Conv2dGeometry,
  isPacked = false,
): void {
  const kernels = kernelsOf(dy);
  if (hasDepthwiseKernel(g)) return kernels.depthwiseBackwardInput(dx, dy, w, g);
  if (isPacked) return kernels.conv2dBackwardInput(dx, dy, w, g);
  using packed = kernels.packConv2dTransposed(w, g.groups);
  kernels.conv2dBackwardInput(dx, dy, packed, g);
}

/** Adds the gradient of the weights of {@linkcode correlate} to dw. */
export function correlateBackwardWeight(
  dw: Tensor,
  dy: Tensor,
  x: Tensor,
  g: Conv2dGeometry,
): void {
  const kernels = kernelsOf(dy);
  if (hasDepthwiseKernel(g)) kernels.depthwiseBackwardWeight(dw, dy, x, g);
  else kernels.conv2dBackwardWeight(dw, dy, x, g);
}

function hasDepthwiseKernel({ outC, inC, groups }: Conv2dGeometry): boolean {
  return isDepthwise([outC, inC / groups], groups);
}

/** With more outputs of each input channel, a matrix product is as fast. */
const maxDepthwiseOutputs = 4;

/** Returns whether a direct convolution is computed by the depthwise kernel. */
export function isDepthwise([outC, groupC]: Shape, groups: number): boolean {
  return groupC === 1 && groups > 1 && outC / groups <= maxDepthwiseOutputs;
}

/** Returns whether "winograd" supports this shape of weights, stride and dilation. */
export function supportsWinograd(
  [, , kh, kw]: Shape,
  stride: number | readonly number[] = 1,
  dilation: number | readonly number[] = 1,
): boolean {
  const [strideH, strideW = strideH] = [stride].flat(), taps = Math.ceil(kh / strideH);
  return kh === kw && strideH === strideW && [dilation].flat().every((d) => d === 1) &&
    (taps === 3 || taps === 5 || taps === 4 && strideH > 1);
}

/** Checks that the algorithm exists and supports the convolution. */
export function checkAlgorithm(
  op: string,
  algorithm: ConvAlgorithm,
  weightShape: Shape,
  stride: number | readonly number[] = 1,
  dilation: number | readonly number[] = 1,
): void {
  if (algorithm === "direct") return;
  if (algorithm !== "winograd") {
    throw new ArgumentError(op, "algorithm", algorithm, '"direct" or "winograd"');
  }
  if (supportsWinograd(weightShape, stride, dilation)) return;
  const actual = `${formatShape(weightShape)} with stride ${stride} and dilation ${dilation}`;
  const expected = "square with 3 to 5 taps (kernel size / stride), 4 only with a stride, and " +
    "dilation 1 for winograd";
  throw new ArgumentError(op, "the shape of weight", weightShape, expected, actual);
}
