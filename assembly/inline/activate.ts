// Activations that a kernel applies to its result before it stores it. A NaN stays NaN. All of them are
// inlined. SiLU is too long to be inlined: a kernel computes its
// results as with NONE, and then calls silu() (silu.ts) on rows that are still in a cache.

import { FusedKind } from "../codes";
import { relu4 } from "./lanes";

export const NONE: i32 = FusedKind.none;
export const RELU: i32 = FusedKind.relu;
export const RELU6: i32 = FusedKind.relu6;
export const HARDSWISH: i32 = FusedKind.hardswish;
export const SILU: i32 = FusedKind.silu;

// The factors lie in memory, as in winograd.ts.
const THREE: usize = memory.data<f32>([3]), SIX: usize = memory.data<f32>([6]);
const SIXTH: usize = memory.data<f32>([1 / 6]);

/** The code of what is inlined for an activation. */
// @ts-ignore: decorator
@inline
export function inlinedPart(activation: i32): i32 {
  return activation == SILU ? NONE : activation;
}

/** The least result of an activation that clamps; the others are computed afterwards. */
// @ts-ignore: decorator
@inline
export function lowest(activation: i32): f32 {
  return activation == RELU || activation == RELU6 ? 0 : -Infinity;
}

/** The largest result. */
// @ts-ignore: decorator
@inline
export function highest(activation: i32): f32 {
  return activation == RELU6 ? 6 : Infinity;
}

/** The activation of four lanes. pmin and pmax keep a NaN that is their first operand. */
// @ts-ignore: decorator
@inline
export function activate4(x: v128, activation: i32): v128 {
  if (activation == NONE) return x;
  if (activation == RELU) return relu4(x);
  if (activation == RELU6) return clamp4(x);
  const between = clamp4(f32x4.add(x, v128.load32_splat(THREE)));
  return f32x4.mul(x, f32x4.mul(between, v128.load32_splat(SIXTH)));
}

/** The activation of one number. */
// @ts-ignore: decorator
@inline
export function activate(x: f32, activation: i32): f32 {
  if (activation == NONE) return x;
  if (activation == RELU) return x < 0 ? 0 : x;
  if (activation == RELU6) return clamp(x);
  return x * (clamp(x + 3) * (<f32>1 / 6));
}

// @ts-ignore: decorator
@inline
function clamp4(x: v128): v128 {
  return f32x4.pmin(relu4(x), v128.load32_splat(SIX));
}

// @ts-ignore: decorator
@inline
function clamp(x: f32): f32 {
  return x < 0 ? 0 : x > 6 ? 6 : x;
}
