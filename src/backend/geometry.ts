/**
 * The sizes and settings that kernels take. The operations in ops/ check and compute them. Their fields are
 * declared in assembly/geometry.ts.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";

export type {
  AdamWStep,
  AdaptiveGeometry,
  AxisGeometry,
  ChannelGeometry,
  Conv2dGeometry,
  CopyGeometry,
  DropoutMask,
  LocalResponseNormGeometry,
  Pool2dGeometry,
  RowNormGeometry,
  SgdStep,
  WindowGeometry,
} from "./wasm/generated/geometry.ts";

/**
 * Statistics and the optional affine map of a batch normalisation, each of shape [C].
 *
 * @internal
 */
export interface BatchNormTensors {
  /** Mean of each channel. */
  readonly runningMean: Tensor;
  /** Variance of each channel. */
  readonly runningVar: Tensor;
  /** Factor of each channel; null for 1. */
  readonly weight?: Tensor | null;
  /** Offset of each channel; null for 0. */
  readonly bias?: Tensor | null;
}
