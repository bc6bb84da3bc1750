/**
 * The kernels of depthwise convolutions.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import type { Conv2dGeometry, Epilogue } from "./geometry.ts";

/**
 * The kernels of depthwise convolutions, which have groups = inC. Weights are [outC, 1, (kH,) kW].
 */
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
