// SiLU, x · sigmoid(x), and hard swish of results that a kernel has just stored (inline/activate.ts).

import { activate4, HARDSWISH } from "./inline/activate";
import { silu4 } from "./inline/exp";
import { loadPart, storePart } from "./inline/part";
import { ceilDiv, CHUNK, claim, join } from "./threads";

/** Replaces each of n floats by its SiLU. */
export function silu(y: usize, n: i32): void {
  const end = y + ((n & ~3) << 2);
  for (; y < end; y += 16) v128.store(y, silu4(v128.load(y)));
  if (n & 3) storePart(y, silu4(loadPart(y, n & 3)), n & 3);
}

/** The same for a matrix with `step` bytes from one row to the next. */
export function siluRows(y: usize, step: usize, rows: i32, columns: i32): void {
  for (let i = 0; i < rows; i++, y += step) silu(y, columns);
}

/** Replaces each of n floats by its SiLU, without fused multiply-adds. */
export function exactSilu(y: usize, n: i32): void {
  const end = y + ((n & ~3) << 2);
  for (; y < end; y += 16) v128.store(y, silu4(v128.load(y), false));
  if (n & 3) storePart(y, silu4(loadPart(y, n & 3), false), n & 3);
}

/** Replaces each of n floats by its hard swish. */
export function hardswish(y: usize, n: i32): void {
  const end = y + ((n & ~3) << 2);
  for (; y < end; y += 16) v128.store(y, activate4(v128.load(y), HARDSWISH));
  if (n & 3) storePart(y, activate4(loadPart(y, n & 3), HARDSWISH), n & 3);
}

/** The same for a matrix with `step` bytes from one row to the next. */
export function hardswishRows(y: usize, step: usize, rows: i32, columns: i32): void {
  for (let i = 0; i < rows; i++, y += step) hardswish(y, columns);
}

/** The same as silu() for n floats that threads share, as a phase of its own. */
export function siluPhase(y: usize, n: i32, fuses: bool): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at = y + ((i * CHUNK) << 2), size = min(CHUNK, n - i * CHUNK);
    if (fuses) silu(at, size);
    else exactSilu(at, size);
  }
  join(items);
}
