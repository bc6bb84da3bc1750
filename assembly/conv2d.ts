// 2-D convolution (cross-correlation, as in every deep-learning library) through packing and GEMM:
//   y[n, o, :] = W[o, k] · columns(x[n])[k, :] + b[o],   k = (c, ky, kx), a column per output pixel
// The column matrix never exists as a whole: blocks of it are packed from a zero-padded copy of
// the sample, KC deep and NC wide, right before they are multiplied. A 1-D convolution has height 1.

import { FIRST, gemmBlock, KC, MR, NR, packA, packedRows, RELU } from "./gemm";

/** Columns packed at a time: with KC rows a block takes 1.1 MB. */
const NC: i32 = 736;

/** Floats that conv2dPack writes for weights [outC, inC/groups, kh, kw]; k = inC/groups · kh · kw. */
export function conv2dPackedSize(outC: i32, k: i32, groups: i32): f64 {
  return (groups as f64) * (packedRows(outC / groups) as f64) * (k as f64);
}

/** Lays out weights [outC, k] for conv2d, group by group. */
export function conv2dPack(packed: usize, w: usize, outC: i32, k: i32, groups: i32): void {
  const m = outC / groups;
  for (let g = 0; g < groups; g++) {
    packA(packed + ((g * packedRows(m) * k) << 2), w + ((g * m * k) << 2), m, k);
  }
}

/**
 * Bytes of scratch that conv2d needs: a padded group of channels, the offsets of k, a block of
 * columns. In float64, so that a size beyond 32 bits arrives as what it is.
 */
export function conv2dScratchSize(
  inC: i32, h: i32, w: i32, kh: i32, kw: i32, top: i32, left: i32, bottom: i32, right: i32, groups: i32,
): f64 {
  const c = (inC / groups) as f64;
  const pad = top | left | bottom | right;
  const padded = pad ? c * ((h + top + bottom) as f64) * ((w + left + right) as f64) : 0;
  return (padded + c * (kh as f64) * (kw as f64) + (KC * NC) as f64) * 4 + 16;
}

/**
 * y[n, outC, oh, ow] = x[n, inC, h, w] ⋆ w + b, written, not accumulated.
 * @param packed weights from conv2dPack
 * @param bias outC floats, or 0 for none
 * @param scratch conv2dScratchSize bytes
 * @param relu 1 clamps y at 0
 */
export function conv2d(
  y: usize, x: usize, packed: usize, bias: usize, scratch: usize,
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, kh: i32, kw: i32,
  strideH: i32, strideW: i32, top: i32, left: i32, bottom: i32, right: i32,
  dilationH: i32, dilationW: i32, groups: i32, relu: i32,
): void {
  const c = inC / groups, m = outC / groups, k = c * kh * kw, pixels = oh * ow;
  const pad = top | left | bottom | right;
  const hp = h + top + bottom, wp = w + left + right;

  const padded = scratch;
  const offsets = padded + ((pad ? (c * hp * wp) as usize : 0) << 2);
  const block = (offsets + (k << 2) + 15) & ~15;
  fillOffsets(offsets, c, kh, kw, hp * wp, dilationH * wp, dilationW);

  for (let s = 0; s < n * groups; s++) {
    const g = s % groups;
    const a = packed + ((g * packedRows(m) * k) << 2);
    const out = y + ((s * m * pixels) << 2);
    let image = x + ((s * c * h * w) << 2);
    if (pad) {
      padImage(padded, image, c, h, w, top, left, bottom, right);
      image = padded;
    }
    for (let j = 0; j < pixels; j += NC) {
      const columns = min(NC, pixels - j);
      for (let l = 0; l < k; l += KC) {
        const depth = min(KC, k - l);
        packColumns(block, image, offsets + (l << 2), depth, j, columns, ow, strideH * wp, strideW);
        gemmBlock(
          out + (j << 2), pixels, a + ((l * MR) << 2), (MR * k) << 2, block,
          bias ? bias + ((g * m) << 2) : 0, m, columns, depth,
          (l == 0 ? FIRST : 0) | (relu && l + depth == k ? RELU : 0),
        );
      }
    }
  }
}

/** Where each k = (c, ky, kx) stands in the padded sample, in bytes from a window's first element. */
function fillOffsets(offsets: usize, c: i32, kh: i32, kw: i32, plane: i32, row: i32, step: i32): void {
  for (let i = 0; i < c; i++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++, offsets += 4) {
        store<i32>(offsets, (i * plane + ky * row + kx * step) << 2);
      }
    }
  }
}

/** padded[c, top+h+bottom, left+w+right] = x[c, h, w] with zeros around. */
function padImage(
  padded: usize, x: usize, c: i32, h: i32, w: i32, top: i32, left: i32, bottom: i32, right: i32,
): void {
  const hp = h + top + bottom, wp = w + left + right;
  memory.fill(padded, 0, (c * hp * wp) << 2);
  for (let i = 0; i < c; i++) {
    let to = padded + (((i * hp + top) * wp + left) << 2);
    for (let r = 0; r < h; r++, to += wp << 2, x += w << 2) memory.copy(to, x, w << 2);
  }
}

/**
 * Packs `depth` rows of the column matrix for the pixels first … first + columns − 1 into panels
 * of 8; the last panel repeats its last pixel.
 */
function packColumns(
  to: usize, image: usize, offsets: usize, depth: i32, first: i32, columns: i32,
  ow: i32, rowStep: i32, columnStep: i32,
): void {
  const last = first + columns - 1;
  const end = offsets + (depth << 2);
  for (let j = 0; j < columns; j += NR) {
    const p = first + j;
    const p0 = window(image, p, ow, rowStep, columnStep);
    const p7 = window(image, min(p + 7, last), ow, rowStep, columnStep);
    if (p7 - p0 == 28 && p + 7 <= last) {
      // 8 neighbours in one row
      for (let o = offsets; o < end; o += 4, to += 32) {
        const from = p0 + load<i32>(o);
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
      }
      continue;
    }
    const p1 = window(image, min(p + 1, last), ow, rowStep, columnStep);
    const p2 = window(image, min(p + 2, last), ow, rowStep, columnStep);
    const p3 = window(image, min(p + 3, last), ow, rowStep, columnStep);
    const p4 = window(image, min(p + 4, last), ow, rowStep, columnStep);
    const p5 = window(image, min(p + 5, last), ow, rowStep, columnStep);
    const p6 = window(image, min(p + 6, last), ow, rowStep, columnStep);
    for (let o = offsets; o < end; o += 4, to += 32) {
      const k = load<i32>(o) as usize;
      v128.store(to, lanes(p0 + k, p1 + k, p2 + k, p3 + k));
      v128.store(to, lanes(p4 + k, p5 + k, p6 + k, p7 + k), 16);
    }
  }
}

/** Address of the first element of output pixel p's window. */
// @ts-ignore: decorator
@inline
function window(image: usize, p: i32, ow: i32, rowStep: i32, columnStep: i32): usize {
  return image + (((p / ow) * rowStep + (p % ow) * columnStep) << 2);
}

// @ts-ignore: decorator
@inline
function lanes(p0: usize, p1: usize, p2: usize, p3: usize): v128 {
  let v = v128.load32_zero(p0);
  v = v128.load_lane<f32>(p1, v, 1);
  v = v128.load_lane<f32>(p2, v, 2);
  return v128.load_lane<f32>(p3, v, 3);
}
