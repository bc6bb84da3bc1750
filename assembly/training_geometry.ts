// The blocks of numbers (geometry.ts) that only training needs.

import { Flag } from "./geometry";

/** A mean cross-entropy of logits [n, c]. */
@unmanaged
export class CrossEntropyGeometry {
  /** Samples. */
  n: i32;
  /** Classes. */
  c: i32;
  /** Share of the target that is spread over all classes. */
  labelSmoothing: f32;
}

/** Which elements a dropout keeps, and how it scales them. */
@unmanaged
export class DropoutMask {
  /** Seed of the hash that decides. */
  seed: u32;
  /** Largest hash that keeps an element: the probability to keep it · 2³² − 1. */
  keep: u32;
  /** Factor of the elements that are kept: 1 / the probability to keep them. */
  scale: f32;
}

/** One step of stochastic gradient descent. */
@unmanaged
export class SgdStep {
  /** Learning rate. */
  lr: f32;
  /** Share of the velocity that is kept; above 0 it takes a velocity. */
  momentum: f32;
  /** Share of the weights that is added to the gradient. */
  weightDecay: f32;
  /** Looks ahead along the velocity. */
  nesterov: Flag;
}

/** One step of AdamW. */
@unmanaged
export class AdamWStep {
  /** Factor of the weights: 1 − lr · weight decay. */
  shrink: f32;
  /** β₁, the share of the mean gradient that is kept. */
  beta1: f32;
  /** 1 − β₁; in float32 the subtraction would lose digits. */
  rest1: f32;
  /** β₂, the share of the mean squared gradient that is kept. */
  beta2: f32;
  /** 1 − β₂; in float32 the subtraction would lose digits. */
  rest2: f32;
  /** lr / (1 − β₁ᵗ). */
  step: f32;
  /** √(1 − β₂ᵗ). */
  root: f32;
  /** Added to the divisor. */
  eps: f32;
}

/** Planes whose maxima are known by their positions. */
@unmanaged
export class MaxPositionGeometry {
  /** Planes: samples · channels. */
  planes: i32;
  /** Elements of a plane of the input. */
  size: i32;
  /** Elements of a plane of the output. */
  outSize: i32;
}
