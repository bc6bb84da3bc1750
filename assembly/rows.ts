// Rows of floats that are copied, or set to zero.

import { strided4 } from "./inline/lanes";

/** Writes zeros, and returns the address behind them. */
export function zeros(to: usize, count: i32): usize {
  const end = to + (count << 2);
  for (; to + 16 <= end; to += 16) v128.store(to, f32x4.splat(0));
  for (; to < end; to += 4) store<f32>(to, 0);
  return end;
}

/** Copies neighbouring floats. */
// @ts-ignore: decorator
@inline
export function copyFloats(to: usize, from: usize, count: i32): void {
  const end = to + (count << 2);
  if (count < 4) {
    for (; to < end; to += 4, from += 4) store<f32>(to, load<f32>(from));
    return;
  }
  for (; to + 16 < end; to += 16, from += 16) v128.store(to, v128.load(from));
  v128.store(end - 16, v128.load(from - (to + 16 - end))); // may overlap the last one
}

/** Copies floats that are `step` bytes apart. */
// @ts-ignore: decorator
@inline
export function copyStrided(to: usize, from: usize, count: i32, step: usize): void {
  const end = to + (count << 2);
  for (; to + 16 <= end; to += 16, from += 4 * step) v128.store(to, strided4(from, step));
  for (; to < end; to += 4, from += step) store<f32>(to, load<f32>(from));
}
