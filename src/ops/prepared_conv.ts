/**
 * Convolutions' weights laid out for a kernel.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkInteger, checkTensor } from "./checks.ts";

/**
 * How a convolution is computed: "direct" through the column matrix, "winograd" by minimal filtering
 * (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016), which takes less than
 * half the time and rounds more: it differs from "direct" by up to 10⁻⁵ of the largest output for
 * 3×3 kernels and 10⁻⁴ for 5×5.
 *
 * "winograd" takes square kernels that have 3 or 5 taps for each step of their stride (3×3 and 5×5
 * with stride 1, 11×11 with stride 4), without dilation. An infinity in the input makes all outputs of
 * its tiles NaN.
 *
 * @internal
 */
export type ConvAlgorithm = "direct" | "winograd";

/**
 * A choice between ways to the same result.
 *
 * @internal
 */
export interface AlgorithmOptions {
  /** Default: an operation computes directly, a layer by what is faster for it. */
  readonly algorithm?: ConvAlgorithm;
}

/** What weights are laid out for. */
export interface PrepareOptions {
  /** Groups that input and output channels are split into. Default 1. */
  readonly groups?: number;
}

/**
 * Weights laid out for "direct" by {@linkcode prepareConv}; the caller's to dispose.
 *
 * @internal
 */
export class PreparedConv implements Disposable {
  /**
   * See {@linkcode prepareConv}.
   *
   * @param shape The weights' own shape, [outC, inC/groups, (kH,) kW].
   * @param packed The packed values.
   * @param options What they were laid out for.
   */
  constructor(
    readonly shape: Shape,
    readonly packed: Tensor,
    readonly options: Required<PrepareOptions>,
  ) {}

  /** Gives their memory back. */
  dispose(): void {
    this.packed.dispose();
  }

  /** What `using` calls at the end of the block: {@linkcode PreparedConv.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Lays weights out for {@linkcode conv1d} or {@linkcode conv2d}, so that many direct calls share the
 * work; "winograd" takes them as they are.
 *
 * @param weight [outC, inC/groups, K] or [outC, inC/groups, kH, kW].
 */
export function prepareConv(weight: Tensor, options: PrepareOptions = {}): PreparedConv {
  const op = "prepareConv";
  const { groups = 1 } = options;
  checkTensor(op, "weight", weight, weight);
  const { shape, backend } = weight;
  if (shape.length !== 3 && shape.length !== 4) {
    throw new ArgumentError(op, "the shape of weight", shape, "[outC, inC/groups, (kH,) kW]");
  }
  checkInteger(op, "groups", groups, 1);
  if (shape[0] % groups !== 0) {
    throw new ArgumentError(op, "groups", groups, `a divisor of the ${shape[0]} output channels`);
  }
  return new PreparedConv(shape, kernelsOf(backend).packConv2d(weight, groups), { groups });
}

/** Whether "winograd" can compute a convolution with weights of this shape, stride and dilation. */
export function suitsWinograd(
  [, , kh, kw]: Shape,
  stride: number | readonly number[] = 1,
  dilation: number | readonly number[] = 1,
): boolean {
  const [strideH, strideW = strideH] = [stride].flat(), taps = Math.ceil(kh / strideH);
  return kh === kw && strideH === strideW && [dilation].flat().every((d) => d === 1) &&
    (taps === 3 || taps === 5);
}

/** Throws unless the algorithm exists and can compute such a convolution. */
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
  if (suitsWinograd(weightShape, stride, dilation)) return;
  const steps = `${weightShape} with stride ${stride} and dilation ${dilation}`;
  const takes = "3 or 5 taps (k / stride) on both axes and dilation 1 for winograd";
  throw new ArgumentError(op, "the shape of weight", steps, takes);
}
