/**
 * What kernels are told about sizes: checked numbers, worked out by the operations in ops/.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";

/** Windows that move over a padded plane. */
export interface WindowGeometry {
  /** Samples. */
  readonly n: number;
  /** Height of the input. */
  readonly h: number;
  /** Width of the input. */
  readonly w: number;
  /** Height of the output. */
  readonly oh: number;
  /** Width of the output. */
  readonly ow: number;
  /** Height of the kernel. */
  readonly kh: number;
  /** Width of the kernel. */
  readonly kw: number;
  /** Step between rows of windows. */
  readonly strideH: number;
  /** Step between columns of windows. */
  readonly strideW: number;
  /** Padding above. */
  readonly top: number;
  /** Padding to the left. */
  readonly left: number;
  /** Padding below. */
  readonly bottom: number;
  /** Padding to the right. */
  readonly right: number;
  /** Rows from tap to tap. */
  readonly dilationH: number;
  /** Columns from tap to tap. */
  readonly dilationW: number;
}

/** A 2-D convolution; a 1-D one has height 1. */
export interface Conv2dGeometry extends WindowGeometry {
  /** Input channels. */
  readonly inC: number;
  /** Output channels. */
  readonly outC: number;
  /** Groups of channels. */
  readonly groups: number;
}

/** A 2-D pooling; a 1-D one has height 1. */
export interface Pool2dGeometry extends WindowGeometry {
  /** Channels. */
  readonly c: number;
}

/** The sizes of an adaptive pooling; its windows follow from them. */
export type AdaptiveGeometry = Pick<Pool2dGeometry, "n" | "c" | "h" | "w" | "oh" | "ow">;

/** A tensor seen along one axis: what kernels take. */
export interface AxisGeometry {
  /** Elements before the axis. */
  readonly outer: number;
  /** Elements on the axis. */
  readonly size: number;
  /** Elements behind the axis. */
  readonly inner: number;
}

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
  /** Summand of each channel; null for 0. */
  readonly bias?: Tensor | null;
}
