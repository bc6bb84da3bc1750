// As geometry.ts, for kernels that copy blocks of elements or normalise rows.

/** A copy along five axes, of which the outer ones can have size 1. */
@unmanaged
export class CopyGeometry {
  /** Elements along each axis. */
  n0: i32;
  n1: i32;
  n2: i32;
  n3: i32;
  n4: i32;
  /** Elements between neighbours along each axis of the output. */
  y0: i32;
  y1: i32;
  y2: i32;
  y3: i32;
  y4: i32;
  /** Elements between neighbours along each axis of the input. */
  x0: i32;
  x1: i32;
  x2: i32;
  x3: i32;
  x4: i32;
  /** Index of the first element written. */
  yAt: i32;
  /** Index of the first element read. */
  xAt: i32;
}

/** A normalisation of rows: of the groups of channels of each sample. */
@unmanaged
export class RowNormGeometry {
  /** Samples. */
  n: i32;
  /** Rows of a sample. */
  groups: i32;
  /** Channels of a row, each with a weight and a bias. */
  channels: i32;
  /** Elements of a channel. */
  plane: i32;
  /** Added to the variance. */
  eps: f32;
}

/** The gradient of a normalisation of rows, with the addresses for which a call has no room. */
@unmanaged
export class RowNormBackwardGeometry extends RowNormGeometry {
  /** Address of the mean of each row. */
  mean: usize;
  /** Address of 1 / √(variance + eps) of each row. */
  rstd: usize;
  /** Address of the factor of each channel; 0 for 1. */
  weight: usize;
}
