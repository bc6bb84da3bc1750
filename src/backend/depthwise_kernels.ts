/**
 * The kernels of depthwise convolutions, and what all convolutions do with their result.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import type { Conv2dGeometry } from "./geometry.ts";

/** What a convolution does with its result before it stores it. */
export interface Epilogue {
  /** A tensor like y that is added; may be y. */
  readonly residual: Tensor | null;
  /** The code of the activation that follows (assembly/inline/activate.ts), 0 for none. */
  readonly activation: number;
  /** Whether a depthwise convolution gives the same results in every build. */
  readonly isExact?: boolean;
}

/** The kernels of depthwise convolutions, which have groups = inC. Weights are [outC, 1, (kH,) kW]. */
export interface DepthwiseKernels {
  /** As conv2d, with weights that are not packed. */
  depthwise(
    y: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    epilogue: Epilogue,
  ): void;
  /** As conv2dBackwardInput, with weights that are not packed. */
  depthwiseBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void;
  /** As conv2dBackwardWeight: dw += dy · columnsᵀ. */
  depthwiseBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void;
}
