// The arguments of kernels that are numbers rather than addresses: sizes, strides, rates. Each class is
// a block of memory that the caller fills before the call. Its fields take four bytes each, one after
// the other, those of the class that it extends first.
//
// The fields are declared here (for training in training_geometry.ts) and nowhere else. `deno task build`
// turns them into TypeScript (src/backend/wasm/generated/geometry.ts) for both backends and all operations.

import { FusedKind } from "./codes";

/** A truth value: 0 or 1 in memory, a boolean in TypeScript. */
export type Flag = i32;

/** Planes that become planes of another size. */
@unmanaged
export class PlaneGeometry {
  /** Samples. */
  n: i32;
  /** Height of the input. */
  h: i32;
  /** Width of the input. */
  w: i32;
  /** Height of the output. */
  oh: i32;
  /** Width of the output. */
  ow: i32;
}

/** Windows that move over padded planes. */
@unmanaged
export class WindowGeometry extends PlaneGeometry {
  /** Height of the kernel. */
  kh: i32;
  /** Width of the kernel. */
  kw: i32;
  /** Step between rows of windows. */
  strideH: i32;
  /** Step between columns of windows. */
  strideW: i32;
  /** Padding above. */
  top: i32;
  /** Padding to the left. */
  left: i32;
  /** Padding below. */
  bottom: i32;
  /** Padding to the right. */
  right: i32;
  /** Distance between taps of the kernel in a column. */
  dilationH: i32;
  /** Distance between taps of the kernel in a row. */
  dilationW: i32;

  /** Whether there is any padding. */
  @inline
  get isPadded(): bool {
    return (this.top | this.left | this.bottom | this.right) != 0;
  }

  /** Height of the padded input. */
  @inline
  get paddedH(): i32 {
    return this.h + this.top + this.bottom;
  }

  /** Width of the padded input. */
  @inline
  get paddedW(): i32 {
    return this.w + this.left + this.right;
  }
}

/** A 2-D convolution; a 1-D one has height 1. */
@unmanaged
export class Conv2dGeometry extends WindowGeometry {
  /** Input channels. */
  inC: i32;
  /** Output channels. */
  outC: i32;
  /** Groups of channels. */
  groups: i32;

  /** Input channels of a group. */
  @inline
  get groupInC(): i32 {
    return this.inC / this.groups;
  }

  /** Output channels of a group. */
  @inline
  get groupOutC(): i32 {
    return this.outC / this.groups;
  }

  /** Weights of one output channel: rows of the column matrix. */
  @inline
  get filterSize(): i32 {
    return this.inC / this.groups * this.kh * this.kw;
  }
}

/** A convolution, and what it does with its result before it stores it. */
@unmanaged
export class FusedConv2dGeometry extends Conv2dGeometry {
  /** Whether another tensor is added before the activation. */
  addsResidual: Flag;
  /** Bytes from y to that tensor; 0 for y itself. */
  residual: i32;
  /** The activation that follows. */
  activation: FusedKind;
  /** Whether every build gives the same results. Only depthwise kernels read it. */
  isExact: Flag;
}

/** The filters of a convolution, to be packed. */
@unmanaged
export class FilterGeometry {
  /** Filters, one for each output channel. */
  outC: i32;
  /** Weights of a filter: input channels of a group · kernel height · kernel width. */
  filterSize: i32;
  /** Groups of channels. */
  groups: i32;
}

/** Rows of filters, to be rounded to 8 bits and packed. */
@unmanaged
export class Int8FilterGeometry extends FilterGeometry {
  /** Weights of a filter for each input channel: kernel height · kernel width. */
  taps: i32;
  /** The first row. */
  first: i32;
  /** The number of rows. */
  rows: i32;
  /** Whether the steps of the rows are given. */
  isScaled: Flag;
}

/** A convolution with weights in 8 bits, which rounds its input. */
@unmanaged
export class Int8Conv2dGeometry extends FusedConv2dGeometry {
  /** The least value of the input, if it is known beforehand. */
  low: f32;
  /** The largest value; low if the range has to be found. */
  high: f32;
}

/** A 2-D pooling; a 1-D one has height 1. */
@unmanaged
export class Pool2dGeometry extends WindowGeometry {
  /** Channels. */
  c: i32;
}

/** An adaptive pooling: its windows follow from the sizes of input and output. */
@unmanaged
export class AdaptiveGeometry extends PlaneGeometry {
  /** Channels. */
  c: i32;
}

/** A fully connected layer. */
@unmanaged
export class LinearGeometry {
  /** Samples. */
  n: i32;
  /** Features of the input. */
  inF: i32;
  /** Features of the output. */
  outF: i32;
}

/** Products of pairs of matrices. */
@unmanaged
export class MatMulGeometry {
  /** Pairs. */
  batch: i32;
  /** Rows of the result. */
  m: i32;
  /** Columns of the result. */
  n: i32;
  /** Products of each sum. */
  k: i32;
  /** Whether the first matrix of a pair lies transposed in memory, [k, m]. */
  transposeA: Flag;
  /** Whether the second one does, [n, k]. */
  transposeB: Flag;
  /** Whether the products are added to the result. */
  accumulate: Flag;
}

/** A tensor seen along one axis. */
@unmanaged
export class AxisGeometry {
  /** Elements before the axis. */
  outer: i32;
  /** Elements on the axis. */
  size: i32;
  /** Elements behind the axis. */
  inner: i32;
}

/** A tensor [n, c, …] seen as planes of channels. */
@unmanaged
export class ChannelGeometry {
  /** Samples. */
  n: i32;
  /** Channels. */
  c: i32;
  /** Elements of a plane: all axes behind the channels. */
  plane: i32;
}

/** A copy along five axes, of which the outer ones can have size 1. */
@unmanaged
export class CopyGeometry {
  /** Size of axis 0 (outermost). */
  n0: i32;
  /** Size of axis 1. */
  n1: i32;
  /** Size of axis 2. */
  n2: i32;
  /** Size of axis 3. */
  n3: i32;
  /** Size of axis 4 (innermost). */
  n4: i32;
  /** Elements between neighbours along axis 0 of the output. */
  y0: i32;
  /** Elements between neighbours along axis 1 of the output. */
  y1: i32;
  /** Elements between neighbours along axis 2 of the output. */
  y2: i32;
  /** Elements between neighbours along axis 3 of the output. */
  y3: i32;
  /** Elements between neighbours along axis 4 of the output. */
  y4: i32;
  /** Elements between neighbours along axis 0 of the input. */
  x0: i32;
  /** Elements between neighbours along axis 1 of the input. */
  x1: i32;
  /** Elements between neighbours along axis 2 of the input. */
  x2: i32;
  /** Elements between neighbours along axis 3 of the input. */
  x3: i32;
  /** Elements between neighbours along axis 4 of the input. */
  x4: i32;
  /** Index of the first element written. */
  yAt: i32;
  /** Index of the first element read. */
  xAt: i32;
}

/** A batch normalisation. */
@unmanaged
export class BatchNormGeometry extends ChannelGeometry {
  /** Added to the variance. */
  eps: f32;
}

/** A batch normalisation with an activation. */
@unmanaged
export class FusedBatchNormGeometry extends BatchNormGeometry {
  /** The activation that follows. */
  activation: FusedKind;
}

/** The gradient of a batch normalisation, with the addresses for which a call has no room. */
@unmanaged
export class BatchNormBackwardGeometry extends BatchNormGeometry {
  /** Address of the mean of each channel. */
  mean: usize;
  /** Address of the variance of each channel. */
  variance: usize;
  /** Address of the factor of each channel; 0 for 1. */
  weight: usize;
}

/** A batch normalisation that is folded into filters [c, plane], with its addresses. */
@unmanaged
export class BatchNormFoldGeometry extends BatchNormBackwardGeometry {
  /** Address of the offset of each channel; 0 for 0. */
  bias: usize;
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

/** A local response normalisation: x / (k + alpha/size · Σ x²)^beta over neighbouring channels. */
@unmanaged
export class LocalResponseNormGeometry extends ChannelGeometry {
  /** Channels in a window. */
  size: i32;
  /** Factor of the mean square. */
  alpha: f32;
  /** Exponent. */
  beta: f32;
  /** Summand. */
  k: f32;
}

/** How a tensor b is repeated over a larger one, [outer, size, inner]. */
@unmanaged
export class BroadcastGeometry extends AxisGeometry {
  /** Elements of b from one outer index to the next; 0 where b is repeated. */
  outerStep: i32;
  /** Elements of b from one index on the axis to the next; 0 where b is repeated. */
  step: i32;
  /** 1, or 0 where b is repeated. */
  innerStep: i32;
}
