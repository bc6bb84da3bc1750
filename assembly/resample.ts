// Planes of another size. Each row of the output is a weighted sum of rows of the input, and each column
// one of columns: nearest neighbours, bilinear interpolation, mirrored borders, and their gradients. A table
// for each axis says which. Its first out + 1 words are the positions in the table where the taps of each
// output position begin, and the last ones end. A tap is the position in the input and its weight.

import { AdaptiveGeometry } from "./geometry";
import { madd } from "./inline/lanes";
import { bytesForThreads, ceilDiv, claim, join, rowsPerItem, threadScratch } from "./threads";

/** Bytes of a tap. */
const TAP: i32 = 8;

/** Bytes of scratch memory that resample needs: a row of the input for each thread. */
export function resampleScratchSize(g: AdaptiveGeometry): f64 {
  return bytesForThreads((g.w as f64) * 4);
}

/**
 * y[i, j] = Σ rowWeight · columnWeight · x[row, column] over the taps of row i and column j; 0 without taps.
 * @param y [planes, oh, ow], written
 * @param x [planes, h, w]
 * @param rows the table of the rows
 * @param columns the table of the columns
 */
export function resample(
  y: usize, x: usize, rows: usize, columns: usize, scratch: usize, g: AdaptiveGeometry,
): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow, all = g.n * g.c * oh;
  const line = threadScratch(scratch, (w as f64) * 4);
  const perItem = rowsPerItem(max(w, ow)), items = ceilDiv(all, perItem);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const first = item * perItem, last = min(all, first + perItem);
    for (let r = first; r < last; r++) {
      const oy = r % oh, to = y + ((r * ow) << 2), plane = x + ((r / oh * h * w) << 2);
      const taps = rows + (load<i32>(rows + (oy << 2)) << 2);
      const end = rows + (load<i32>(rows + (oy << 2), 4) << 2);
      if (r > first && oy > 0 && isSameTap(taps, end)) {
        memory.copy(to, to - (ow << 2), ow << 2);
      } else if (end - taps == TAP && load<f32>(taps, 4) == 1) {
        resampleRow(to, plane + ((load<i32>(taps) * w) << 2), columns, ow);
      } else {
        sumRows(line, plane, taps, end, w);
        resampleRow(to, line, columns, ow);
      }
    }
  }
  join(items);
}

/** Whether a position has a single tap, which is that of the position before, too. */
// @ts-ignore: decorator
@inline
function isSameTap(taps: usize, end: usize): bool {
  return end - taps == TAP && load<i64>(taps) == load<i64>(taps - TAP);
}

/** line = Σ weight · x[row] over the taps. */
function sumRows(line: usize, x: usize, taps: usize, end: usize, w: i32): void {
  const step = (w as usize) << 2;
  let i: usize = 0;
  for (; i + 16 <= step; i += 16) {
    let sum = f32x4.splat(0);
    for (let tap = taps; tap < end; tap += TAP) {
      sum = madd(sum, v128.load(x + (load<i32>(tap) as usize) * step + i), v128.load32_splat(tap, 4));
    }
    v128.store(line + i, sum);
  }
  for (; i < step; i += 4) {
    let sum: f32 = 0;
    for (let tap = taps; tap < end; tap += TAP) {
      sum += load<f32>(x + (load<i32>(tap) as usize) * step + i) * load<f32>(tap, 4);
    }
    store<f32>(line + i, sum);
  }
}

/** y[j] = Σ weight · x[column] over the taps of column j. */
function resampleRow(y: usize, x: usize, columns: usize, ow: i32): void {
  let tap = columns + (load<i32>(columns) << 2);
  for (let j = 0; j < ow; j++, y += 4) {
    const end = columns + (load<i32>(columns + (j << 2), 4) << 2);
    let sum: f32 = 0;
    if (tap < end) { // the first product by itself, which keeps −0
      sum = load<f32>(x + (load<i32>(tap) << 2)) * load<f32>(tap, 4);
      for (tap += TAP; tap < end; tap += TAP) {
        sum += load<f32>(x + (load<i32>(tap) << 2)) * load<f32>(tap, 4);
      }
    }
    store<f32>(y, sum);
  }
}
