/**
 * The sizes and settings that kernels take. The operations in ops/ check and compute them. Their
 * fields are declared in assembly/geometry.ts.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import type { ActivationKind, FusedKind } from "./wasm/generated/geometry.ts";

export type {
  AdamWStep,
  AdaptiveGeometry,
  AxisGeometry,
  BroadcastGeometry,
  ChannelGeometry,
  Conv2dGeometry,
  CopyGeometry,
  DropoutMask,
  FusedKind,
  LocalResponseNormGeometry,
  MatMulGeometry,
  Pool2dGeometry,
  RowNormGeometry,
  SgdStep,
  WindowGeometry,
} from "./wasm/generated/geometry.ts";

/** An activation function: its kind, which says what the numbers a and b mean. */
export interface Activation {
  /** See ActivationKind in assembly/codes.ts. */
  readonly kind: ActivationKind;
  /** The first number; 0 where there is none. */
  readonly a: number;
  /** The second number; 0 where there is none. */
  readonly b: number;
}

/** What a convolution does with its result before it stores it. */
export interface Epilogue {
  /** A tensor like y that is added; may be y. */
  readonly residual: Tensor | null;
  /** The activation that follows. */
  readonly activation: FusedKind;
  /** Whether a depthwise convolution gives the same results in every build. */
  readonly isExact?: boolean;
}

/**
 * Statistics and the optional affine map of a batch normalisation, each of shape [C].
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
