// Average pooling with windows of one size, and adaptive average pooling to a given output size.
// A 1-D pooling has height 1.

import { AdaptiveGeometry, Pool2dGeometry } from "./geometry";
import { strided4 } from "./inline/lanes";
import { adaptiveBegin, adaptiveEnd, endTap, firstTap, innerBegin, innerEnd } from "./inline/window";
import { rowSum } from "./sums";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

/**
 * Each sum is divided by the area of its window: inside the input, or inside input and padding with
 * countIncludePad. (Windows that run over the padding's end with ceilMode are cut there, as in PyTorch.)
 *
 * @param y [planes, oh, ow], written
 * @param x [planes, h, w]
 * @param countIncludePad 1 or 0
 * @param divisor replaces the area; 0 for none
 */
export function avgPool2d(
  y: usize, x: usize, g: Pool2dGeometry, countIncludePad: i32, divisor: i32,
): void {
  const planes = g.n * g.c, size = g.h * g.w, out = g.oh * g.ow;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * planesPerItem, count = min(planesPerItem, planes - first);
    means(y + ((first * out) << 2), x + ((first * size) << 2), count, g, countIncludePad, divisor);
  }
  join(items);
}

/** The same for some planes. */
function means(y: usize, x: usize, planes: i32, g: Pool2dGeometry, countIncludePad: i32, divisor: i32): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow, kh = g.kh, kw = g.kw;
  const strideH = g.strideH, strideW = g.strideW, dilationH = g.dilationH, dilationW = g.dilationW;
  const top = g.top, left = g.left, bottom = g.bottom, right = g.right;
  const begin = innerBegin(left, strideW, ow);
  const end = innerEnd(left, strideW, (kw - 1) * dilationW + 1, w, begin, ow);
  const end4 = begin + ((end - begin) & ~3);
  for (let p = 0; p < planes; p++, x += (h * w) << 2) {
    for (let oy = 0; oy < oh; oy++) {
      const iy = oy * strideH - top;
      const ky0 = firstTap(iy, dilationH), ky1 = endTap(iy, dilationH, kh, h);
      const rows = countIncludePad ? endTap(iy, dilationH, kh, h + bottom) : ky1 - ky0;
      for (let ox = 0; ox < ow; ox++, y += 4) {
        const ix = ox * strideW - left;
        if (ox >= begin && ox < end4) {
          // four neighbouring outputs whose windows lie inside the row
          let sum = f32x4.splat(0);
          for (let ky = ky0; ky < ky1; ky++) {
            let from = x + (((iy + ky * dilationH) * w + ix) << 2);
            for (let kx = 0; kx < kw; kx++, from += dilationW << 2) {
              sum = f32x4.add(sum, strided4(from, strideW << 2));
            }
          }
          const area = divisor ? divisor as f32 : areaOf(rows, kw);
          v128.store(y, f32x4.div(sum, f32x4.splat(area)));
          ox += 3;
          y += 12;
          continue;
        }
        const kx0 = firstTap(ix, dilationW), kx1 = endTap(ix, dilationW, kw, w);
        const columns = countIncludePad ? endTap(ix, dilationW, kw, w + right) : kx1 - kx0;
        let sum: f32 = 0;
        for (let ky = ky0; ky < ky1; ky++) {
          const from = x + (((iy + ky * dilationH) * w + ix) << 2);
          for (let kx = kx0; kx < kx1; kx++) sum += load<f32>(from + ((kx * dilationW) << 2));
        }
        store<f32>(y, sum / (divisor ? divisor as f32 : areaOf(rows, columns)));
      }
    }
  }
}

/** dx = the dy of each window, divided as in avgPool2d, added to all of the window's inputs; written. */
export function avgPool2dBackward(
  dx: usize, dy: usize, g: Pool2dGeometry, countIncludePad: i32, divisor: i32,
): void {
  const planes = g.n * g.c, size = g.h * g.w, out = g.oh * g.ow;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * planesPerItem, last = min(planes, first + planesPerItem);
    for (let p = first; p < last; p++) {
      addWindows(dx + ((p * size) << 2), dy + ((p * out) << 2), g, countIncludePad, divisor);
    }
  }
  join(items);
}

/** The same for one plane. */
function addWindows(dx: usize, dy: usize, g: Pool2dGeometry, countIncludePad: i32, divisor: i32): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow, kh = g.kh, kw = g.kw;
  const strideH = g.strideH, strideW = g.strideW, dilationH = g.dilationH, dilationW = g.dilationW;
  const top = g.top, left = g.left, bottom = g.bottom, right = g.right;
  memory.fill(dx, 0, (h * w) << 2);
  for (let oy = 0; oy < oh; oy++) {
    const iy = oy * strideH - top;
    const ky0 = firstTap(iy, dilationH), ky1 = endTap(iy, dilationH, kh, h);
    const rows = countIncludePad ? endTap(iy, dilationH, kh, h + bottom) : ky1 - ky0;
    for (let ox = 0; ox < ow; ox++, dy += 4) {
      const ix = ox * strideW - left;
      const kx0 = firstTap(ix, dilationW), kx1 = endTap(ix, dilationW, kw, w);
      const columns = countIncludePad ? endTap(ix, dilationW, kw, w + right) : kx1 - kx0;
      const share = load<f32>(dy) / (divisor ? divisor as f32 : areaOf(rows, columns));
      for (let ky = ky0; ky < ky1; ky++) {
        const to = dx + (((iy + ky * dilationH) * w + ix) << 2);
        for (let kx = kx0; kx < kx1; kx++) {
          const at = to + ((kx * dilationW) << 2);
          store<f32>(at, load<f32>(at) + share);
        }
      }
    }
  }
}

/**
 * y[oy, ox] = the mean of rows ⌊oy·h/oh⌋ … ⌈(oy+1)·h/oh⌉ − 1 and the columns likewise.
 * @param y [planes, oh, ow], written
 * @param x [planes, h, w]
 */
export function adaptiveAvgPool2d(y: usize, x: usize, g: AdaptiveGeometry): void {
  const planes = g.n * g.c, size = g.h * g.w, out = g.oh * g.ow;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * planesPerItem, last = min(planes, first + planesPerItem);
    for (let p = first; p < last; p++) {
      const to = y + ((p * out) << 2), from = x + ((p * size) << 2);
      if (out == 1) store<f32>(to, (rowSum(from, size) / (size as f64)) as f32);
      else if (g.h == g.oh && g.w == g.ow) memory.copy(to, from, size << 2);
      else adaptiveMeans(to, from, g);
    }
  }
  join(items);
}

/** The same for one plane. */
function adaptiveMeans(y: usize, x: usize, g: AdaptiveGeometry): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow;
  for (let oy = 0; oy < oh; oy++) {
    const y0 = adaptiveBegin(oy, h, oh), y1 = adaptiveEnd(oy, h, oh);
    for (let ox = 0; ox < ow; ox++, y += 4) {
      const x0 = adaptiveBegin(ox, w, ow), x1 = adaptiveEnd(ox, w, ow);
      let sum: f32 = 0;
      for (let iy = y0; iy < y1; iy++) {
        for (let ix = x0; ix < x1; ix++) sum += load<f32>(x + ((iy * w + ix) << 2));
      }
      store<f32>(y, sum / areaOf(y1 - y0, x1 - x0));
    }
  }
}

/** dx = the dy of each window, divided by its area, added to all of its inputs; written. */
export function adaptiveAvgPool2dBackward(dx: usize, dy: usize, g: AdaptiveGeometry): void {
  const planes = g.n * g.c, size = g.h * g.w, out = g.oh * g.ow;
  const planesPerItem = rowsPerItem(size), items = ceilDiv(planes, planesPerItem);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * planesPerItem, last = min(planes, first + planesPerItem);
    for (let p = first; p < last; p++) {
      const to = dx + ((p * size) << 2), from = dy + ((p * out) << 2);
      if (g.h == g.oh && g.w == g.ow) memory.copy(to, from, size << 2);
      else addShares(to, from, g);
    }
  }
  join(items);
}

/** The same for one plane. */
function addShares(dx: usize, dy: usize, g: AdaptiveGeometry): void {
  const h = g.h, w = g.w, oh = g.oh, ow = g.ow;
  memory.fill(dx, 0, (h * w) << 2);
  for (let oy = 0; oy < oh; oy++) {
    const y0 = adaptiveBegin(oy, h, oh), y1 = adaptiveEnd(oy, h, oh);
    for (let ox = 0; ox < ow; ox++, dy += 4) {
      const x0 = adaptiveBegin(ox, w, ow), x1 = adaptiveEnd(ox, w, ow);
      const share = load<f32>(dy) / areaOf(y1 - y0, x1 - x0);
      for (let iy = y0; iy < y1; iy++) {
        for (let ix = x0; ix < x1; ix++) {
          const at = dx + ((iy * w + ix) << 2);
          store<f32>(at, load<f32>(at) + share);
        }
      }
    }
  }
}

/** The area of a window. In float64, because padding can make it exceed 32 bits. */
// @ts-ignore: decorator
@inline
function areaOf(rows: i32, columns: i32): f32 {
  return ((rows as f64) * (columns as f64)) as f32;
}
