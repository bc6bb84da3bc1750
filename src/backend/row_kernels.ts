/**
 * The kernels that copy and resample values, and those that normalise rows. As in kernels.ts, the
 * operations in ops/ have checked the arguments.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import type { AdaptiveGeometry, CopyGeometry, RowNormGeometry } from "./geometry.ts";

/** The kernels that move values, forward and backward. */
export interface LayoutKernels {
  /** Copies elements of x to other places of y, and leaves the rest of y as it is. */
  stridedCopy(y: Tensor, x: Tensor, g: CopyGeometry): void;
  /**
   * y = weighted sums of the rows and columns of each plane of x. A table is described in
   * assembly/resample.ts.
   */
  resample(
    y: Tensor,
    x: Tensor,
    rows: Tensor<Int32Array>,
    columns: Tensor<Int32Array>,
    g: AdaptiveGeometry,
  ): void;
}

/** The kernels that normalise rows: the groups of channels of each sample. */
export interface RowNormKernels {
  /**
   * y = (x − mean) · rstd · weight + bias, with the mean and 1 / √(variance + eps) of each row,
   * which are written to the statistics; y may be x.
   */
  rowNorm(
    y: Tensor,
    x: Tensor,
    tensors: RowNormTensors,
    g: RowNormGeometry,
  ): void;
  /** dx = the gradient of rowNorm, dweight += … and dbias += …, unless null; dx may be dy. */
  rowNormBackward(
    dx: Tensor,
    dy: Tensor,
    x: Tensor,
    tensors: RowNormBackwardTensors,
    g: RowNormGeometry,
  ): void;
}

/** What rowNorm reads, and the statistics that it writes. */
export interface RowNormTensors {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly statistics: RowStatistics | null;
}

/** What rowNormBackward reads, and adds to. */
export interface RowNormBackwardTensors extends RowStatistics {
  readonly weight: Tensor | null;
  readonly dweight: Tensor | null;
  readonly dbias: Tensor | null;
}

/**
 * The statistics of normalised rows.
 *
 * @internal
 */
export interface RowStatistics {
  /** The mean of each row. */
  readonly mean: Tensor;
  /** 1 / √(variance + eps) of each row. */
  readonly rstd: Tensor;
}
