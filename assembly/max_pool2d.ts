// Max pooling: y[oy, ox] = max over the window's taps that lie inside the input.
// The maximum starts at −∞, so padding never wins. A NaN in the window gives NaN. Of equal values the first
// wins, row by row. (All as in PyTorch.) A 1-D pooling has height 1.
//
// Four neighbouring outputs are computed at a time where their windows lie inside the row.

import { AdaptiveGeometry, MaxPositionGeometry, Pool2dGeometry } from "./geometry";
import { strided4 } from "./inline/lanes";
import { adaptiveBegin, adaptiveEnd, endTap, firstTap, innerBegin, innerEnd } from "./inline/window";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

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
    maxPoolPlanes(y + to, indices ? indices + to : 0, x + from, min(planesPerItem, planes - first), g);
  }
  join(items);
}

/** The same for some planes. */
function maxPoolPlanes(y: usize, indices: usize, x: usize, planes: i32, g: Pool2dGeometry): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow, kh = g.kh, kw = g.kw, top = g.top, left = g.left;
  const strideH = g.strideH, strideW = g.strideW, dilationH = g.dilationH, dilationW = g.dilationW;
  const begin = innerBegin(left, strideW, ow);
  let end = innerEnd(left, strideW, (kw - 1) * dilationW + 1, w, begin, ow);
  if (end - begin < 4) end = begin;
  const three = kw == 3 && strideW == 2 && dilationW == 1;
  for (let p = 0; p < planes; p++, x += (h * w) << 2) {
    for (let oy = 0; oy < oh; oy++, y += ow << 2) {
      const iy = oy * strideH - top;
      const ky0 = firstTap(iy, dilationH), rows = endTap(iy, dilationH, kh, h) - ky0;
      const row = (iy + ky0 * dilationH) * w; // the first one inside the plane
      for (let ox = 0; ox < ow; ox++) {
        if (ox == begin) ox = end;
        if (ox == ow) break;
        const at = indices ? indices + (ox << 2) : 0;
        maxOne(y + (ox << 2), at, x, row, rows, ox * strideW - left, g);
      }
      if (end > begin) {
        const to = y + (begin << 2), position = row + begin * strideW - left, from = x + (position << 2);
        if (indices) maxFoursWithIndices(to, indices + (begin << 2), x, position, rows, end - begin, g);
        else if (three) maxFoursOf3(to, from, rows, end - begin, g);
        else maxFours(to, from, rows, end - begin, g);
      }
      if (indices) indices += ow << 2;
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
 * The maxima of `count` ≥ 4 neighbouring windows, four at a time. f32x4.max would keep NaN, but takes
 * eight instructions on x86. pmax is one; a comparison beside it finds NaN.
 * @param x the first tap of the first window
 * @param rows rows of taps
 */
function maxFours(y: usize, x: usize, rows: i32, count: i32, g: Pool2dGeometry): void {
  const kw = g.kw, stride: usize = g.strideW << 2, dilation: usize = g.dilationW << 2;
  const step: usize = (g.dilationH * g.w) << 2;
  for (let i = 0; i < count; i = nextFour(i, count)) {
    let best = f32x4.splat(-Infinity as f32), nan = f32x4.splat(0);
    for (let ky = 0, row = x + (i as usize) * stride; ky < rows; ky++, row += step) {
      for (let kx = 0, from = row; kx < kw; kx++, from += dilation) {
        const v = strided4(from, stride);
        best = f32x4.pmax(best, v);
        nan = v128.or(nan, f32x4.ne(v, v));
      }
    }
    v128.store(y + (i << 2), v128.or(best, nan)); // all bits set: a NaN
  }
}

/**
 * The same for windows of width 3 and stride 2. Four of them cover nine columns, a0 … a8. First comes the
 * maximum of each column, then that of even, odd and next even columns:
 *   a0 a2 a4 a6 | a1 a3 a5 a7 | a2 a4 a6 a8
 */
function maxFoursOf3(y: usize, x: usize, rows: i32, count: i32, g: Pool2dGeometry): void {
  const step: usize = (g.dilationH * g.w) << 2;
  for (let i = 0; i < count; i = nextFour(i, count)) {
    let low = f32x4.splat(-Infinity as f32), high = low, last = low, sum = f32x4.splat(0);
    const first = x + (i << 3);
    for (let ky = 0, from = first; ky < rows; ky++, from += step) {
      const a = v128.load(from), b = v128.load(from, 16), c = v128.load(from, 20); // a0…a3, a4…a7, a5…a8
      low = f32x4.pmax(low, a);
      high = f32x4.pmax(high, b);
      last = f32x4.pmax(last, c);
      sum = f32x4.add(sum, f32x4.add(a, f32x4.add(b, c)));
    }
    if (v128.any_true(f32x4.ne(sum, sum))) { // a NaN, or infinities of both signs
      maxFours(y + (i << 2), first, rows, 4, g);
      continue;
    }
    const even = i32x4.shuffle(low, high, 0, 2, 4, 6), odd = i32x4.shuffle(low, high, 1, 3, 5, 7);
    const next = i32x4.shuffle(even, last, 1, 2, 3, 7);
    v128.store(y + (i << 2), f32x4.pmax(f32x4.pmax(even, odd), next));
  }
}

/**
 * The same with the position of each maximum.
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
