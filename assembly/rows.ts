// Rows of floats that are copied with zeros around them.

import { strided4 } from "./inline/lanes";

/**
 * to[begin … end − 1] = every stride-th float, zeros in the rest of the columns.
 * @param from the first float to copy
 * @returns the address behind the row
 */
// @ts-ignore: decorator
@inline
export function copyRow(
  to: usize, from: usize, begin: i32, end: i32, columns: i32, stride: i32,
): usize {
  to = zeros(to, begin);
  const stop = to + ((end - begin) << 2), step: usize = stride << 2;
  for (; to + 16 <= stop; to += 16, from += 4 * step) v128.store(to, strided4(from, step));
  for (; to < stop; to += 4, from += step) store<f32>(to, load<f32>(from));
  return zeros(to, columns - end);
}

/** Writes zeros, and returns the address behind them. */
export function zeros(to: usize, count: i32): usize {
  const end = to + (count << 2);
  for (; to + 16 <= end; to += 16) v128.store(to, f32x4.splat(0));
  for (; to < end; to += 4) store<f32>(to, 0);
  return end;
}
