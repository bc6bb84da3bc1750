// The column matrix of a convolution ("im2col"). It has a row for each weight k = (c, ky, kx) and a
// column for each output pixel; an element is the input value that this weight multiplies for that
// pixel. The matrix never exists as a whole: blocks of it are packed for gemm.ts from a zero-padded copy
// of the sample, or added back to one.
//
// In that copy, the element of row k and pixel p is at windowAt(p) + offsets[k]: where the window of p begins, and
// how far weight k is from there.

import { NR } from "./gemm";
import { Conv2dGeometry } from "./geometry";
import { lanes4, strided4 } from "./inline/lanes";

/** Offset of each k in the padded sample, in bytes from the beginning of a window: an i32 for each. */
export function fillOffsets(offsets: usize, g: Conv2dGeometry): void {
  const c = g.groupInC, kh = g.kh, kw = g.kw, plane = g.paddedH * g.paddedW;
  const row = g.dilationH * g.paddedW, step = g.dilationW;
  for (let i = 0; i < c; i++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++, offsets += 4) {
        store<i32>(offsets, (i * plane + ky * row + kx * step) << 2);
      }
    }
  }
}

/** padded[c, top+h+bottom, left+w+right] = x[c, h, w] with zeros around, c channels of a group. */
export function padImage(padded: usize, x: usize, g: Conv2dGeometry): void {
  const c = g.groupInC, h = g.h, w = g.w, top = g.top, left = g.left;
  const hp = g.paddedH, wp = g.paddedW;
  memory.fill(padded, 0, (c * hp * wp) << 2);
  for (let i = 0; i < c; i++) {
    let to = padded + (((i * hp + top) * wp + left) << 2);
    for (let r = 0; r < h; r++, to += wp << 2, x += w << 2) memory.copy(to, x, w << 2);
  }
}

/** x[c, h, w] = padded[c, top+h+bottom, left+w+right] without the padding. */
export function cropImage(x: usize, padded: usize, g: Conv2dGeometry): void {
  const c = g.groupInC, h = g.h, w = g.w, top = g.top, left = g.left;
  const hp = g.paddedH, wp = g.paddedW;
  for (let i = 0; i < c; i++) {
    let from = padded + (((i * hp + top) * wp + left) << 2);
    for (let r = 0; r < h; r++, from += wp << 2, x += w << 2) memory.copy(x, from, w << 2);
  }
}

/** Address at which the window of output pixel p begins; the steps between windows count floats. */
// @ts-ignore: decorator
@inline
function windowAt(image: usize, p: i32, ow: i32, rowStep: i32, columnStep: i32): usize {
  return image + (((p / ow) * rowStep + (p % ow) * columnStep) << 2);
}

/**
 * Packs `depth` rows of the column matrix for the pixels first … first + columns − 1 as B, in panels
 * of 8 pixels. The last panel repeats its last pixel.
 */
export function packColumns(
  to: usize, image: usize, offsets: usize, depth: i32, first: i32, columns: i32, g: Conv2dGeometry,
): void {
  const ow = g.ow, rowStep = g.strideH * g.paddedW, columnStep = g.strideW;
  const last = first + columns - 1;
  const end = offsets + (depth << 2);
  for (let j = 0; j < columns; j += NR) {
    const p = first + j;
    const p0 = windowAt(image, p, ow, rowStep, columnStep);
    const p7 = windowAt(image, min(p + 7, last), ow, rowStep, columnStep);
    const p15 = windowAt(image, min(p + 15, last), ow, rowStep, columnStep);
    if (p15 - p0 == 60 && p + 15 <= last) { // 16 neighbours in one row: two panels, a line of the cache
      const panel = (depth * NR) << 2;
      for (let o = offsets; o < end; o += 4, to += 32) {
        const from = p0 + load<i32>(o);
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        v128.store(to + panel, v128.load(from, 32));
        v128.store(to + panel, v128.load(from, 48), 16);
      }
      to += panel;
      j += NR;
      continue;
    }
    if (p7 - p0 == 28 && p + 7 <= last) { // 8 neighbours in one row
      for (let o = offsets; o < end; o += 4, to += 32) {
        const from = p0 + load<i32>(o);
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
      }
      continue;
    }
    if (columnStep == 2 && p7 - p0 == 56 && p + 7 <= last) { // every second one of a row
      for (let o = offsets; o < end; o += 4, to += 32) {
        const from = p0 + load<i32>(o);
        v128.store(to, strided4(from, 8));
        v128.store(to, strided4(from + 32, 8), 16);
      }
      continue;
    }
    const p1 = windowAt(image, min(p + 1, last), ow, rowStep, columnStep);
    const p2 = windowAt(image, min(p + 2, last), ow, rowStep, columnStep);
    const p3 = windowAt(image, min(p + 3, last), ow, rowStep, columnStep);
    const p4 = windowAt(image, min(p + 4, last), ow, rowStep, columnStep);
    const p5 = windowAt(image, min(p + 5, last), ow, rowStep, columnStep);
    const p6 = windowAt(image, min(p + 6, last), ow, rowStep, columnStep);
    for (let o = offsets; o < end; o += 4, to += 32) {
      const k = load<i32>(o) as usize;
      v128.store(to, lanes4(p0 + k, p1 + k, p2 + k, p3 + k));
      v128.store(to, lanes4(p4 + k, p5 + k, p6 + k, p7 + k), 16);
    }
  }
}

/**
 * Packs such a block transposed: as B with a row for each of `depth` pixels, in panels of 8 k's. The last panel
 * repeats its last k.
 *
 * @param panel bytes from one panel to the next
 * @param offsets those of the first of `columns` k's
 * @param first the first pixel
 */
export function packColumnsTransposed(
  to: usize, panel: usize, image: usize, offsets: usize, columns: i32, first: i32, depth: i32,
  g: Conv2dGeometry,
): void {
  const ow = g.ow, rowStep = g.strideH * g.paddedW, columnStep = g.strideW;
  const last = columns - 1;
  for (let j = 0; j < columns; j += NR, to += panel) {
    const k0 = load<i32>(offsets + (j << 2)) as usize;
    const k1 = load<i32>(offsets + (min(j + 1, last) << 2)) as usize;
    const k2 = load<i32>(offsets + (min(j + 2, last) << 2)) as usize;
    const k3 = load<i32>(offsets + (min(j + 3, last) << 2)) as usize;
    const k4 = load<i32>(offsets + (min(j + 4, last) << 2)) as usize;
    const k5 = load<i32>(offsets + (min(j + 5, last) << 2)) as usize;
    const k6 = load<i32>(offsets + (min(j + 6, last) << 2)) as usize;
    const k7 = load<i32>(offsets + (min(j + 7, last) << 2)) as usize;
    let ox = first % ow;
    let row = image + ((first / ow * rowStep) << 2);
    let from = row + ((ox * columnStep) << 2);
    for (let d = 0, t = to; d < depth; d++, t += 32) {
      v128.store(t, lanes4(from + k0, from + k1, from + k2, from + k3));
      v128.store(t, lanes4(from + k4, from + k5, from + k6, from + k7), 16);
      from += columnStep << 2;
      if (++ox == ow) {
        ox = 0;
        row += rowStep << 2;
        from = row;
      }
    }
  }
}

/**
 * Adds `rows` rows of the column matrix, for the pixels first … first + columns − 1, to the image:
 * each element to the position that it belongs to ("col2im").
 *
 * @param from row-major, ld floats from one row to the next
 */
export function addColumns(
  image: usize, from: usize, ld: i32, offsets: usize, rows: i32, first: i32, columns: i32,
  g: Conv2dGeometry,
): void {
  const ow = g.ow, rowStep = g.strideH * g.paddedW, columnStep = g.strideW;
  const end = first + columns;
  for (let r = 0; r < rows; r++, from += ld << 2) {
    const base = image + (load<i32>(offsets + (r << 2)) as usize);
    let source = from;
    for (let p = first; p < end;) {
      const stop = min(end, p - p % ow + ow);
      let to = windowAt(base, p, ow, rowStep, columnStep);
      if (columnStep == 1) {
        for (; p + 4 <= stop; p += 4, to += 16, source += 16) {
          v128.store(to, f32x4.add(v128.load(to), v128.load(source)));
        }
      }
      for (; p < stop; p++, to += columnStep << 2, source += 4) {
        store<f32>(to, load<f32>(to) + load<f32>(source));
      }
    }
  }
}
