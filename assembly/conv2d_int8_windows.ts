// The columns of a convolution in 8 bits, rounded while they are packed: each output pixel has a step of its
// own, from the extremes of its window. That halves the error of a step for the whole sample. A value is
// rounded once for each window that holds it.
//
// A sample is copied as floats, [groups][channels + 2][padded plane]. The last two planes of a group hold the
// extremes of a pixel's channels.

import { wordsOf } from "./conv2d_int8_weights";
import { LANES } from "./gemm_int8";
import { NR } from "./gemm_tiles";
import { Conv2dGeometry } from "./geometry";
import { lanes4 } from "./inline/lanes";
import { chooseFour, loadUpTo, MAGIC, rounded, storeUpTo, words2, words4 } from "./quantize";
import { ceilDiv, claim, join } from "./threads";

/** Planes of extremes: the largest values, then the least ones, as integers (widenRange). */
export const EXTREMES: i32 = 2;

/** images[count][groups][channels + 2][padded plane] = the samples x, padded, and their extremes. */
export function copySamples(images: usize, x: usize, count: i32, g: Conv2dGeometry): void {
  const c = g.groupInC, width = g.paddedW, height = g.paddedH, plane: usize = (height * width) << 2;
  const each = max(1, 16384 / (c * width)), perGroup = ceilDiv(height, each);
  const items = count * g.groups * perGroup;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const group = item / perGroup, first = item % perGroup * each, end = min(height, first + each);
    const image = images + (group as usize) * ((c + EXTREMES) as usize) * plane;
    const from = x + (group as usize) * ((c * g.h * g.w) << 2);
    for (let i = 0; i < c; i++) {
      copyRows(image + (i as usize) * plane, from + ((i * g.h * g.w) << 2), first, end, g);
    }
    findExtremes(image + ((first * width) << 2), c, plane, (end - first) * width);
  }
  join(items);
}

/** Rows first … end − 1 of a padded plane. */
function copyRows(to: usize, x: usize, first: i32, end: i32, g: Conv2dGeometry): void {
  const row: usize = g.paddedW << 2, width: usize = g.w << 2, left: usize = g.left << 2;
  to += (first as usize) * row;
  for (let r = first; r < end; r++, to += row) {
    const y = r - g.top;
    memory.fill(to, 0, row);
    if (y >= 0 && y < g.h) memory.copy(to + left, x + (y as usize) * width, width);
  }
}

/** The extremes of n pixels, behind their channels. */
function findExtremes(image: usize, c: i32, plane: usize, n: i32): void {
  const to = image + (c as usize) * plane;
  for (let i: usize = 0; n > 0; n -= 4, i += 16) {
    let high = i32x4.splat(0), low = high;
    for (let p = image + i; p < to; p += plane) {
      const v = loadUpTo(p, n);
      high = i32x4.max_s(high, v);
      low = i32x4.max_u(low, v);
    }
    storeUpTo(to + i, high, n);
    storeUpTo(to + plane + i, low, n);
  }
}

/** Address of the window of output pixel p in the first plane; strides are 1. */
// @ts-ignore: decorator
@inline
function windowAt(image: usize, p: i32, g: Conv2dGeometry): usize {
  return image + (((p / g.ow) * g.paddedW + p % g.ow) << 2);
}

/**
 * Packs the windows of pixels first … first + columns − 1 in panels of 8, as packColumns does. Their steps,
 * and what stands for 0, are behind the words of each panel.
 * @param offsets of each weight and extreme, in bytes from the first element of a window
 * @param factors 32 bytes
 */
export function packWindows(
  to: usize, image: usize, offsets: usize, factors: usize, first: i32, columns: i32, g: Conv2dGeometry,
): void {
  const words = wordsOf(g.groupInC - EXTREMES) * g.kh * g.kw, last = first + columns - 1;
  const steps: usize = (words * NR) << 2;
  for (let p = first; p <= last; p += NR, to += steps + NR * 8) {
    packFour(to, to + steps, image, offsets, factors, p, last, g);
    packFour(to + 16, to + steps + 16, image, offsets, factors, p + 4, last, g);
  }
}

/** Half a panel: the windows of pixels p … p + 3. The last pixel stands in for those behind it. */
function packFour(
  to: usize, steps: usize, image: usize, offsets: usize, factors: usize, p: i32, last: i32,
  g: Conv2dGeometry,
): void {
  const c = g.groupInC - EXTREMES, taps = (g.kh * g.kw) << 2, plane: usize = (g.paddedH * g.paddedW) << 2;
  const p0 = windowAt(image, min(p, last), g), p1 = windowAt(image, min(p + 1, last), g);
  const p2 = windowAt(image, min(p + 2, last), g), p3 = windowAt(image, min(p + 3, last), g);
  const isRow = p3 - p0 == 12; // four neighbours

  let high = i32x4.splat(0), low = high;
  let o = offsets + c * taps;
  for (const end = o + taps; o < end; o += 4) {
    const k = load<i32>(o) as usize;
    high = i32x4.max_s(high, four(isRow, p0 + k, p1 + k, p2 + k, p3 + k));
    low = i32x4.max_u(low, four(isRow, p0 + k + plane, p1 + k + plane, p2 + k + plane, p3 + k + plane));
  }
  v128.store(factors, high);
  v128.store(factors, low, 16);
  chooseFour(steps, steps + NR * 4, factors, factors + 16, 4);
  const by = v128.load(factors), from = v128.load(factors, 16);
  const bottom = f32x4.splat(MAGIC), top = f32x4.splat(MAGIC + 127);

  for (let i = 0; i < c; i += LANES) {
    const left: usize = min(LANES, c - i) - 1; // the last channel stands in for missing ones
    const c1 = min(1, left) * plane, c2 = min(2, left) * plane, c3 = min(3, left) * plane;
    o = offsets + i * taps;
    for (const end = o + taps; o < end; o += 4, to += NR * 4) {
      const k = load<i32>(o) as usize, q0 = p0 + k, q1 = p1 + k, q2 = p2 + k, q3 = p3 + k;
      const v0 = rounded(four(isRow, q0, q1, q2, q3), by, from, bottom, top);
      const v1 = rounded(four(isRow, q0 + c1, q1 + c1, q2 + c1, q3 + c1), by, from, bottom, top);
      if (LANES == 2) {
        v128.store(to, words2(v0, v1));
        continue;
      }
      const v2 = rounded(four(isRow, q0 + c2, q1 + c2, q2 + c2, q3 + c2), by, from, bottom, top);
      const v3 = rounded(four(isRow, q0 + c3, q1 + c3, q2 + c3, q3 + c3), by, from, bottom, top);
      v128.store(to, words4(v0, v1, v2, v3));
    }
  }
}

/** Four floats from four addresses. */
// @ts-ignore: decorator
@inline
function four(areNeighbours: bool, p0: usize, p1: usize, p2: usize, p3: usize): v128 {
  return areNeighbours ? v128.load(p0) : lanes4(p0, p1, p2, p3);
}
