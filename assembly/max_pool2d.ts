// Max pooling: y[oy, ox] = max over the window's taps that lie inside the input.
// The maximum starts at −∞, so padding never wins. A NaN in the window gives NaN. Of equal values the first
// wins, row by row. (All as in PyTorch. Without positions, 0 and −0 count as the same value, either of which
// can win.) Every window overlaps the input. A 1-D pooling has height 1.
//
// Without positions, a window's columns come first: each has a maximum, which all windows that contain the column
// share. With positions, four neighbouring outputs are computed at a time where their windows lie inside the row.

import { AdaptiveGeometry, Pool2dGeometry } from "./geometry";
import { strided4 } from "./inline/lanes";
import { adaptiveBegin, adaptiveEnd, endTap, firstTap, innerBegin, innerEnd } from "./inline/window";
import { ceilDiv, claim, COLUMN_MAXIMA, COLUMN_MAXIMA_FLOATS, join, rowsPerItem, threadMemory } from "./threads";
import { MaxPositionGeometry } from "./training_geometry";

/**
 * @param y [planes, oh, ow], written
 * @param indices [planes, oh, ow] int32, the position iy·w + ix of each maximum in its plane; 0 for none
 * @param x [planes, h, w]
 */
export function maxPool2d(y: usize, indices: usize, x: usize, g: Pool2dGeometry): void {
  const planes = g.n * g.c, size = g.h * g.w, out = g.oh * g.ow;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * planesPerItem, to: usize = (first * out) << 2, from: usize = (first * size) << 2;
    const count = min(planesPerItem, planes - first);
    if (indices) maximaWithIndices(y + to, indices + to, x + from, count, g);
    else maxima(y + to, x + from, count, g);
  }
  join(items);
}

/** The maxima of some planes. */
function maxima(y: usize, x: usize, planes: i32, g: Pool2dGeometry): void {
  const oh = g.oh, ow = g.ow, strideW = g.strideW, span = (g.kw - 1) * g.dilationW + 1;
  // neighbouring outputs whose columns have room; and whether they are too few, so that each is computed by itself
  const fit = (COLUMN_MAXIMA_FLOATS - span) / strideW + 1;
  const alone = ow < 4 || fit < 4, across = alone || fit >= ow ? ow : fit & ~3;
  // several rows of outputs at a time, because loads of what has only just been stored are slow
  const down = alone ? oh : max(1, COLUMN_MAXIMA_FLOATS / ((across - 1) * strideW + span));
  const columns = threadMemory + COLUMN_MAXIMA;
  for (let p = 0; p < planes; p++, x += (g.h * g.w) << 2, y += (oh * ow) << 2) {
    for (let oy = 0; oy < oh; oy += down) {
      const rows = min(down, oh - oy);
      for (let ox = 0, count = across; ox < ow; ox += count) {
        ox = max(0, min(ox, ow - 4)); // at least four outputs, some of which can have been computed
        count = min(across, ow - ox);
        const width = (count - 1) * strideW + span;
        if (alone || !columnMaxima(columns, x, oy, rows, ox * strideW - g.left, width, g)) {
          oneByOne(y, x, oy, rows, ox, count, g);
          continue;
        }
        for (let i = 0; i < rows; i++) {
          rowMaxima(y + (((oy + i) * ow + ox) << 2), columns + ((i * width) << 2), count, g);
        }
      }
    }
  }
}

/**
 * The maximum of each column of some rows of windows; −∞ in the padding. f32x4.pmax is one instruction on x86,
 * where f32x4.max takes eight, but it can lose NaNs. So the inputs are also added up, which keeps them.
 * @param to [rows, width], written
 * @param oy the first row of windows
 * @param ix the first column; it can lie in the padding
 * @returns false if there are fewer than four columns of inputs, or their sum is NaN, so that one of them may be.
 * (The sum of ∞ and −∞ is NaN, too.)
 */
function columnMaxima(
  to: usize, x: usize, oy: i32, rows: i32, ix: i32, width: i32, g: Pool2dGeometry,
): bool {
  const h = g.h, w = g.w, kh = g.kh, dilation = g.dilationH, strideH = g.strideH;
  const begin = max(0, -ix), end = min(width, w - ix), row: usize = width << 2;
  if (end - begin < 4) return false;
  const step: usize = (dilation * w) << 2;
  let sum = f32x4.splat(0);
  x += (ix + begin) << 2;
  for (let i = 0, iy = oy * strideH - g.top; i < rows; i++, iy += strideH, to += row) {
    const first = firstTap(iy, dilation), taps = endTap(iy, dilation, kh, h) - first;
    fillLowest(to, begin);
    fillLowest(to + (end << 2), width - end);
    let from = x + (((iy + first * dilation) * w) << 2);
    const shift = to + (begin << 2) - from; // from the first input of a column to its maximum
    const last = from + ((end - begin - 4) << 2);
    for (;; from = min(from + 16, last)) { // the last four can overlap those before
      let best = v128.load(from), part = best;
      if (taps == 3) {
        const v = v128.load(from + step), next = v128.load(from + 2 * step);
        best = f32x4.pmax(f32x4.pmax(best, v), next);
        part = f32x4.add(part, f32x4.add(v, next));
      } else {
        for (let ky = 1, at = from + step; ky < taps; ky++, at += step) {
          const v = v128.load(at);
          best = f32x4.pmax(best, v);
          part = f32x4.add(part, v);
        }
      }
      sum = f32x4.add(sum, part);
      v128.store(from + shift, best);
      if (from == last) break;
    }
  }
  return !v128.any_true(f32x4.ne(sum, sum));
}

/** Writes −∞ `count` times. */
// @ts-ignore: decorator
@inline
function fillLowest(to: usize, count: i32): void {
  for (const end = to + (count << 2); to < end; to += 4) store<f32>(to, -Infinity as f32);
}

/** The maxima of `count` ≥ 4 neighbouring windows from those of their columns. */
function rowMaxima(y: usize, from: usize, count: i32, g: Pool2dGeometry): void {
  const kw = g.kw, stride: usize = g.strideW << 2, dilation: usize = g.dilationW << 2;
  const last = from + ((count - 4) as usize) * stride, end = y + ((count - 4) << 2);
  if (kw == 3 && dilation == 4 && stride == 8) { // columns 0 2 4 6, 1 3 5 7 and 2 4 6 8
    for (;; from = min(from + 32, last), y = min(y + 16, end)) {
      const low = v128.load(from), high = v128.load(from, 16), next = v128.load(from, 20);
      const even = i32x4.shuffle(low, high, 0, 2, 4, 6), odd = i32x4.shuffle(low, high, 1, 3, 5, 7);
      v128.store(y, f32x4.pmax(f32x4.pmax(even, odd), i32x4.shuffle(even, next, 1, 2, 3, 7)));
      if (from == last) return;
    }
  }
  if (kw == 3 && dilation == 4 && stride == 4) {
    for (;; from = min(from + 16, last), y = min(y + 16, end)) {
      v128.store(y, f32x4.pmax(f32x4.pmax(v128.load(from), v128.load(from, 4)), v128.load(from, 8)));
      if (from == last) return;
    }
  }
  for (;; from = min(from + 4 * stride, last), y = min(y + 16, end)) {
    let best = f32x4.splat(-Infinity as f32);
    for (let kx = 0, at = from; kx < kw; kx++, at += dilation) best = f32x4.pmax(best, strided4(at, stride));
    v128.store(y, best);
    if (from == last) return;
  }
}

/** The maxima of some windows of a plane, each by itself: `rows` × `count`, from row oy and column ox on. */
function oneByOne(y: usize, x: usize, oy: i32, rows: i32, ox: i32, count: i32, g: Pool2dGeometry): void {
  const w = g.w, ow = g.ow, dilation = g.dilationH;
  for (const end = oy + rows; oy < end; oy++) {
    const iy = oy * g.strideH - g.top, first = firstTap(iy, dilation);
    const taps = endTap(iy, dilation, g.kh, g.h) - first, row = (iy + first * dilation) * w;
    for (let i = ox; i < ox + count; i++) {
      maxOne(y + ((oy * ow + i) << 2), 0, x, row, taps, i * g.strideW - g.left, g);
    }
  }
}

/** The maxima of some planes, and their positions. */
function maximaWithIndices(y: usize, indices: usize, x: usize, planes: i32, g: Pool2dGeometry): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow, kh = g.kh, kw = g.kw, top = g.top, left = g.left;
  const strideH = g.strideH, strideW = g.strideW, dilationH = g.dilationH, dilationW = g.dilationW;
  const begin = innerBegin(left, strideW, ow);
  let end = innerEnd(left, strideW, (kw - 1) * dilationW + 1, w, begin, ow);
  if (end - begin < 4) end = begin;
  for (let p = 0; p < planes; p++, x += (h * w) << 2) {
    for (let oy = 0; oy < oh; oy++, y += ow << 2, indices += ow << 2) {
      const iy = oy * strideH - top;
      const ky0 = firstTap(iy, dilationH), rows = endTap(iy, dilationH, kh, h) - ky0;
      const row = (iy + ky0 * dilationH) * w; // the first one inside the plane
      for (let ox = 0; ox < ow; ox++) {
        if (ox == begin) ox = end;
        if (ox == ow) break;
        maxOne(y + (ox << 2), indices + (ox << 2), x, row, rows, ox * strideW - left, g);
      }
      if (end == begin) continue;
      const at: usize = begin << 2;
      maxFoursWithIndices(y + at, indices + at, x, row + begin * strideW - left, rows, end - begin, g);
    }
  }
}

/**
 * The maximum of one window, any part of which can lie in the padding.
 * @param row position in x where the first row of taps begins
 */
function maxOne(y: usize, indices: usize, x: usize, row: i32, rows: i32, ix: i32, g: Pool2dGeometry): void {
  const dilationW = g.dilationW, step = g.dilationH * g.w;
  const kx0 = firstTap(ix, dilationW), kx1 = endTap(ix, dilationW, g.kw, g.w);
  let best: f32 = -Infinity as f32;
  let at = row + ix + kx0 * dilationW;
  for (let ky = 0; ky < rows; ky++, row += step) {
    for (let kx = kx0; kx < kx1; kx++) {
      const position = row + ix + kx * dilationW;
      const v = load<f32>(x + (position << 2));
      if (v > best || v != v) {
        best = v;
        at = position;
      }
    }
  }
  store<f32>(y, best);
  if (indices) store<i32>(indices, at);
}

/** Where the next four of `count` outputs begin. The last four can overlap those before. */
// @ts-ignore: decorator
@inline
function nextFour(i: i32, count: i32): i32 {
  return i + 4 < count ? min(i + 4, count - 4) : count;
}

/**
 * The maxima of `count` ≥ 4 neighbouring windows, four at a time, and their positions.
 * @param first position of the first tap of the first window
 */
function maxFoursWithIndices(
  y: usize, indices: usize, x: usize, first: i32, rows: i32, count: i32, g: Pool2dGeometry,
): void {
  const kw = g.kw, stride = g.strideW, dilation = g.dilationW, step = g.dilationH * g.w;
  const lane = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(stride));
  for (let i = 0; i < count; i = nextFour(i, count)) {
    let best = f32x4.splat(-Infinity as f32), row = first + i * stride;
    let at = i32x4.add(i32x4.splat(row), lane);
    for (let ky = 0; ky < rows; ky++, row += step) {
      for (let kx = 0, position = row; kx < kw; kx++, position += dilation) {
        const v = strided4(x + (position << 2), stride << 2);
        const wins = v128.or(f32x4.gt(v, best), f32x4.ne(v, v));
        best = v128.bitselect(v, best, wins);
        at = v128.bitselect(i32x4.add(i32x4.splat(position), lane), at, wins);
      }
    }
    v128.store(y + (i << 2), best);
    v128.store(indices + (i << 2), at);
  }
}

/**
 * y[oy, ox] = the maximum of the same windows as those of adaptiveAvgPool2d.
 * @param y [planes, oh, ow], written
 * @param indices [planes, oh, ow] int32, the position of each maximum in its plane; 0 for none
 * @param x [planes, h, w]
 */
export function adaptiveMaxPool2d(y: usize, indices: usize, x: usize, g: AdaptiveGeometry): void {
  const planes = g.n * g.c, size = g.h * g.w, out = g.oh * g.ow;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * planesPerItem, last = min(planes, first + planesPerItem);
    for (let p = first; p < last; p++) {
      const at: usize = (p * out) << 2;
      adaptiveMaxima(y + at, indices ? indices + at : 0, x + ((p * size) << 2), g);
    }
  }
  join(items);
}

/** The same for one plane. */
function adaptiveMaxima(y: usize, indices: usize, x: usize, g: AdaptiveGeometry): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow;
  for (let oy = 0; oy < oh; oy++) {
    const y0 = adaptiveBegin(oy, h, oh), y1 = adaptiveEnd(oy, h, oh);
    for (let ox = 0; ox < ow; ox++, y += 4) {
      const x0 = adaptiveBegin(ox, w, ow), x1 = adaptiveEnd(ox, w, ow);
      let best: f32 = -Infinity as f32, at = y0 * w + x0;
      for (let iy = y0; iy < y1; iy++) {
        for (let position = iy * w + x0; position < iy * w + x1; position++) {
          const v = load<f32>(x + (position << 2));
          if (v > best || v != v) {
            best = v;
            at = position;
          }
        }
      }
      store<f32>(y, best);
      if (!indices) continue;
      store<i32>(indices, at);
      indices += 4;
    }
  }
}

/**
 * dx[i] = Σ dy over the windows whose maximum is at i; written. Every index must lie inside its plane:
 * callers check with maxIndex.
 * @param dx [planes, size]
 * @param dy [planes, outSize]
 * @param indices [planes, outSize] int32 from maxPool2d
 */
export function maxPool2dBackward(
  dx: usize, dy: usize, indices: usize, g: MaxPositionGeometry,
): void {
  const planes = g.planes, size = g.size, outSize = g.outSize;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const first = item * planesPerItem, count = min(planesPerItem, planes - first);
    let to = dx + ((first * size) << 2), from: usize = (first * outSize) << 2;
    memory.fill(to, 0, (count * size) << 2);
    for (let p = 0; p < count; p++, to += size << 2) {
      for (let i = 0; i < outSize; i++, from += 4) {
        const at = to + (load<i32>(indices + from) << 2);
        store<f32>(at, load<f32>(at) + load<f32>(dy + from));
      }
    }
  }
  join(items);
}

/** The largest of n integers, read as uint32. */
export function maxIndex(indices: usize, n: i32): f64 {
  const end = indices + ((n as usize) << 2);
  let most4 = i32x4.splat(0), most: u32 = 0;
  for (; indices + 16 <= end; indices += 16) most4 = i32x4.max_u(most4, v128.load(indices));
  for (; indices < end; indices += 4) most = max(most, load<u32>(indices));
  most = max(most, max(i32x4.extract_lane(most4, 0) as u32, i32x4.extract_lane(most4, 1) as u32));
  return max(most, max(i32x4.extract_lane(most4, 2) as u32, i32x4.extract_lane(most4, 3) as u32)) as f64;
}
