// Made by `deno task build` from assembly/geometry.ts.

import type { Layout } from "../block.ts";

/** Bytes of the largest block. */
export const blockBytes = 72;

/** Planes that become planes of another size. */
export interface PlaneGeometry {
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
}

/** The layout of {@linkcode PlaneGeometry}. */
export const planeLayout: Layout<PlaneGeometry> = {
  n: "i32",
  h: "i32",
  w: "i32",
  oh: "i32",
  ow: "i32",
};

/** Windows that move over padded planes. */
export interface WindowGeometry extends PlaneGeometry {
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
  /** Distance between taps of the kernel in a column. */
  readonly dilationH: number;
  /** Distance between taps of the kernel in a row. */
  readonly dilationW: number;
}

/** The layout of {@linkcode WindowGeometry}. */
export const windowLayout: Layout<WindowGeometry> = {
  ...planeLayout,
  kh: "i32",
  kw: "i32",
  strideH: "i32",
  strideW: "i32",
  top: "i32",
  left: "i32",
  bottom: "i32",
  right: "i32",
  dilationH: "i32",
  dilationW: "i32",
};

/** A 2-D convolution; a 1-D one has height 1. */
export interface Conv2dGeometry extends WindowGeometry {
  /** Input channels. */
  readonly inC: number;
  /** Output channels. */
  readonly outC: number;
  /** Groups of channels. */
  readonly groups: number;
}

/** The layout of {@linkcode Conv2dGeometry}. */
export const conv2dLayout: Layout<Conv2dGeometry> = {
  ...windowLayout,
  inC: "i32",
  outC: "i32",
  groups: "i32",
};

/** The filters of a convolution, to be packed. */
export interface FilterGeometry {
  /** Filters, one for each output channel. */
  readonly outC: number;
  /** Weights of a filter: input channels of a group · kernel height · kernel width. */
  readonly filterSize: number;
  /** Groups of channels. */
  readonly groups: number;
}

/** The layout of {@linkcode FilterGeometry}. */
export const filterLayout: Layout<FilterGeometry> = {
  outC: "i32",
  filterSize: "i32",
  groups: "i32",
};

/** A 2-D pooling; a 1-D one has height 1. */
export interface Pool2dGeometry extends WindowGeometry {
  /** Channels. */
  readonly c: number;
}

/** The layout of {@linkcode Pool2dGeometry}. */
export const pool2dLayout: Layout<Pool2dGeometry> = {
  ...windowLayout,
  c: "i32",
};

/** An adaptive pooling: its windows follow from the sizes of input and output. */
export interface AdaptiveGeometry extends PlaneGeometry {
  /** Channels. */
  readonly c: number;
}

/** The layout of {@linkcode AdaptiveGeometry}. */
export const adaptiveLayout: Layout<AdaptiveGeometry> = {
  ...planeLayout,
  c: "i32",
};

/** Planes whose maxima are known by their positions. */
export interface MaxPositionGeometry {
  /** Planes: samples · channels. */
  readonly planes: number;
  /** Elements of a plane of the input. */
  readonly size: number;
  /** Elements of a plane of the output. */
  readonly outSize: number;
}

/** The layout of {@linkcode MaxPositionGeometry}. */
export const maxPositionLayout: Layout<MaxPositionGeometry> = {
  planes: "i32",
  size: "i32",
  outSize: "i32",
};

/** A fully connected layer. */
export interface LinearGeometry {
  /** Samples. */
  readonly n: number;
  /** Features of the input. */
  readonly inF: number;
  /** Features of the output. */
  readonly outF: number;
}

/** The layout of {@linkcode LinearGeometry}. */
export const linearLayout: Layout<LinearGeometry> = {
  n: "i32",
  inF: "i32",
  outF: "i32",
};

/** A tensor seen along one axis. */
export interface AxisGeometry {
  /** Elements before the axis. */
  readonly outer: number;
  /** Elements on the axis. */
  readonly size: number;
  /** Elements behind the axis. */
  readonly inner: number;
}

/** The layout of {@linkcode AxisGeometry}. */
export const axisLayout: Layout<AxisGeometry> = {
  outer: "i32",
  size: "i32",
  inner: "i32",
};

/** A tensor [n, c, …] seen as planes of channels. */
export interface ChannelGeometry {
  /** Samples. */
  readonly n: number;
  /** Channels. */
  readonly c: number;
  /** Elements of a plane: all axes behind the channels. */
  readonly plane: number;
}

/** The layout of {@linkcode ChannelGeometry}. */
export const channelLayout: Layout<ChannelGeometry> = {
  n: "i32",
  c: "i32",
  plane: "i32",
};

/** A batch normalisation. */
export interface BatchNormGeometry extends ChannelGeometry {
  /** Added to the variance. */
  readonly eps: number;
}

/** The layout of {@linkcode BatchNormGeometry}. */
export const batchNormLayout: Layout<BatchNormGeometry> = {
  ...channelLayout,
  eps: "f32",
};

/** The gradient of a batch normalisation, with the addresses for which a call has no room. */
export interface BatchNormBackwardGeometry extends BatchNormGeometry {
  /** Address of the mean of each channel. */
  readonly mean: number;
  /** Address of the variance of each channel. */
  readonly variance: number;
  /** Address of the factor of each channel; 0 for 1. */
  readonly weight: number;
}

/** The layout of {@linkcode BatchNormBackwardGeometry}. */
export const batchNormBackwardLayout: Layout<BatchNormBackwardGeometry> = {
  ...batchNormLayout,
  mean: "i32",
  variance: "i32",
  weight: "i32",
};

/** A local response normalisation: x / (k + alpha/size · Σ x²)^beta over neighbouring channels. */
export interface LocalResponseNormGeometry extends ChannelGeometry {
  /** Channels in a window. */
  readonly size: number;
  /** Factor of the mean square. */
  readonly alpha: number;
  /** Exponent. */
  readonly beta: number;
  /** Summand. */
  readonly k: number;
}

/** The layout of {@linkcode LocalResponseNormGeometry}. */
export const localResponseNormLayout: Layout<LocalResponseNormGeometry> = {
  ...channelLayout,
  size: "i32",
  alpha: "f32",
  beta: "f32",
  k: "f32",
};

/** A mean cross-entropy of logits [n, c]. */
export interface CrossEntropyGeometry {
  /** Samples. */
  readonly n: number;
  /** Classes. */
  readonly c: number;
  /** Share of the target that is spread over all classes. */
  readonly labelSmoothing: number;
}

/** The layout of {@linkcode CrossEntropyGeometry}. */
export const crossEntropyLayout: Layout<CrossEntropyGeometry> = {
  n: "i32",
  c: "i32",
  labelSmoothing: "f32",
};

/** Which elements a dropout keeps, and how it scales them. */
export interface DropoutMask {
  /** Seed of the hash that decides. */
  readonly seed: number;
  /** Largest hash that keeps an element: the probability to keep it · 2³² − 1. */
  readonly keep: number;
  /** Factor of the elements that are kept: 1 / the probability to keep them. */
  readonly scale: number;
}

/** The layout of {@linkcode DropoutMask}. */
export const dropoutMaskLayout: Layout<DropoutMask> = {
  seed: "i32",
  keep: "i32",
  scale: "f32",
};

/** One step of stochastic gradient descent. */
export interface SgdStep {
  /** Learning rate. */
  readonly lr: number;
  /** Share of the velocity that is kept; above 0 it takes a velocity. */
  readonly momentum: number;
  /** Share of the weights that is added to the gradient. */
  readonly weightDecay: number;
  /** Looks ahead along the velocity. */
  readonly nesterov: boolean;
  /** The velocity is written for the first time. */
  readonly first: boolean;
}

/** The layout of {@linkcode SgdStep}. */
export const sgdStepLayout: Layout<SgdStep> = {
  lr: "f32",
  momentum: "f32",
  weightDecay: "f32",
  nesterov: "i32",
  first: "i32",
};

/** One step of AdamW. */
export interface AdamWStep {
  /** Factor of the weights: 1 − lr · weight decay. */
  readonly shrink: number;
  /** β₁, the share of the mean gradient that is kept. */
  readonly beta1: number;
  /** 1 − β₁; in float32 the subtraction would lose digits. */
  readonly rest1: number;
  /** β₂, the share of the mean squared gradient that is kept. */
  readonly beta2: number;
  /** 1 − β₂; in float32 the subtraction would lose digits. */
  readonly rest2: number;
  /** lr / (1 − β₁ᵗ). */
  readonly step: number;
  /** √(1 − β₂ᵗ). */
  readonly root: number;
  /** Added to the divisor. */
  readonly eps: number;
}

/** The layout of {@linkcode AdamWStep}. */
export const adamWStepLayout: Layout<AdamWStep> = {
  shrink: "f32",
  beta1: "f32",
  rest1: "f32",
  beta2: "f32",
  rest2: "f32",
  step: "f32",
  root: "f32",
  eps: "f32",
};
