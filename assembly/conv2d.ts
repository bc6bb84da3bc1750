// 2-D convolution (cross-correlation, as in every deep-learning library) through packing and GEMM:
//   y[n, o, :] = W[o, k] · columns(x[n])[k, :] + b[o],   k = (c, ky, kx), a column per output pixel
// The column matrix (columns.ts) is packed in blocks, KC deep and NC wide, right before they are
// multiplied. A 1-D convolution has height 1.

import { addColumns, cropImage, fillOffsets, packColumns, packColumnsTransposed, padImage } from "./columns";
import {
  FIRST, gemmBlock, KC, MR, NR, packA, packB, packedRows, packTransposedA, panelled, RELU,
} from "./gemm";
import { claim, forThreads, join, ofThread, parts, threads } from "./threads";

/** Columns packed at a time: with KC rows a block takes 1.1 MB. */
const NC: i32 = 736;
/** Rows of columns computed at a time on the way back to the input: 565 KB with NC. */
const RC: i32 = 192;

/** Floats that conv2dPack writes for weights [outC, inC/groups, kh, kw]; k = inC/groups · kh · kw. */
export function conv2dPackedSize(outC: i32, k: i32, groups: i32): f64 {
  return (groups as f64) * (packedRows(outC / groups) as f64) * (k as f64);
}

/** Lays out weights [outC, k] for conv2d, group by group. */
export function conv2dPack(packed: usize, w: usize, outC: i32, k: i32, groups: i32): void {
  const m = outC / groups;
  for (let g = 0; g < groups; g++) {
    packA(packed + ((g * packedRows(m) * k) << 2), (MR * k) << 2, w + ((g * m * k) << 2), k, m, k);
  }
}

/** Bytes of scratch that conv2d needs. In float64, so that a size beyond 32 bits arrives as what it is. */
export function conv2dScratchSize(
  inC: i32, h: i32, w: i32, kh: i32, kw: i32, top: i32, left: i32, bottom: i32, right: i32, groups: i32,
): f64 {
  return forThreads(ownBytes(inC / groups, h, w, kh, kw, top, left, bottom, right));
}

/** What each thread needs of it: the offsets of k, a padded group of channels, a block of columns. */
function ownBytes(
  channels: i32, h: i32, w: i32, kh: i32, kw: i32, top: i32, left: i32, bottom: i32, right: i32,
): f64 {
  const c = channels as f64, pad = top | left | bottom | right;
  const padded = pad ? c * ((h + top + bottom) as f64) * ((w + left + right) as f64) : 0;
  return (padded + c * (kh as f64) * (kw as f64) + (KC * NC) as f64) * 4 + 16;
}

/** Columns that a thread computes at a time: few enough for all threads to have some. */
function columnsAtOnce(images: i32, pixels: i32): i32 {
  const each = parts(pixels, parts(4 * threads, images));
  return threads > 1 ? min(NC, max(8 * NR, (each + NR - 1) & ~(NR - 1))) : NC;
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

  const padded = ofThread(scratch, ownBytes(c, h, w, kh, kw, top, left, bottom, right));
  const offsets = padded + ((pad ? (c * hp * wp) as usize : 0) << 2);
  const block = (offsets + (k << 2) + 15) & ~15;
  fillOffsets(offsets, c, kh, kw, hp * wp, dilationH * wp, dilationW);

  const images = n * groups, atOnce = columnsAtOnce(images, pixels), blocks = parts(pixels, atOnce);
  let paddedImage = -1;
  for (let item = claim(images * blocks); item >= 0; item = claim(images * blocks)) {
    const s = item / blocks, j = item % blocks * atOnce, columns = min(atOnce, pixels - j);
    const g = s % groups;
    const a = packed + ((g * packedRows(m) * k) << 2);
    const out = y + ((s * m * pixels) << 2);
    let image = x + ((s * c * h * w) << 2);
    if (pad) {
      if (s != paddedImage) padImage(padded, image, c, h, w, top, left, bottom, right);
      paddedImage = s;
      image = padded;
    }
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
  join(images * blocks);
}

/** Bytes of scratch that conv2dBackwardWeight and conv2dBackwardInput need, in float64. */
export function conv2dBackwardScratchSize(
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, kh: i32, kw: i32,
  top: i32, left: i32, bottom: i32, right: i32, groups: i32,
): f64 {
  return forThreads(
    backwardOwnBytes(n, inC / groups, h, w, outC / groups, oh * ow, kh, kw, top, left, bottom, right),
  );
}

/** What each thread needs of it. */
function backwardOwnBytes(
  n: i32, channels: i32, h: i32, w: i32, outputs: i32, pixels: i32, kh: i32, kw: i32,
  top: i32, left: i32, bottom: i32, right: i32,
): f64 {
  const c = channels as f64, m = packedRows(outputs) as f64;
  const pad = top | left | bottom | right;
  const padded = pad ? c * ((h + top + bottom) as f64) * ((w + left + right) as f64) : 0;
  const samples = samplesAtOnce(n, pixels) as f64;
  const dy = max(m * (KC as f64), (outputs as f64) * (NC as f64));
  const columns = max(KC, RC) * NC;
  return (padded * samples + c * (kh as f64) * (kw as f64) + dy + (columns as f64)) * 4 + 16;
}

/** How many samples' pixels make one block of depth. */
// @ts-ignore: decorator
@inline
function samplesAtOnce(n: i32, pixels: i32): i32 {
  return min(n, max(1, KC / min(KC, pixels)));
}

/**
 * dw[outC, inC/groups, kh, kw] += Σ over samples and pixels of dy · column, i.e. dy · columnsᵀ,
 * accumulated. Where an image has few pixels, several samples make one block of depth.
 *
 * @param dy [n, outC, oh, ow]
 * @param x [n, inC, h, w]
 */
export function conv2dBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize,
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, kh: i32, kw: i32,
  strideH: i32, strideW: i32, top: i32, left: i32, bottom: i32, right: i32,
  dilationH: i32, dilationW: i32, groups: i32,
): void {
  const c = inC / groups, m = outC / groups, k = c * kh * kw, pixels = oh * ow;
  const pad = top | left | bottom | right;
  const hp = h + top + bottom, wp = w + left + right;
  const samples = samplesAtOnce(n, pixels);
  const image = c * hp * wp;

  const own = ofThread(
    scratch, backwardOwnBytes(n, c, h, w, m, pixels, kh, kw, top, left, bottom, right),
  );
  const offsets = own + ((pad ? (image * samples) as usize : 0) << 2);
  const a = (offsets + (k << 2) + 15) & ~15;
  const block = a + ((packedRows(m) * KC) << 2);
  fillOffsets(offsets, c, kh, kw, hp * wp, dilationH * wp, dilationW);

  // a thread computes some columns of dw, over all samples
  const atOnce = min(NC, panelled(parts(k, threads > 1 ? 2 * threads : 1)));
  const blocks = parts(k, atOnce);
  for (let item = claim(groups * blocks); item >= 0; item = claim(groups * blocks)) {
    const g = item / blocks, j = item % blocks * atOnce, columns = min(atOnce, k - j);
    for (let s = 0; s < n; s += samples) {
      const count = min(samples, n - s);
      const first = x + (((s * inC + g * c) * h * w) << 2);
      if (pad) {
        for (let i = 0; i < count; i++) {
          const from = first + ((i * inC * h * w) << 2);
          padImage(own + ((i * image) << 2), from, c, h, w, top, left, bottom, right);
        }
      }
      const images = pad ? own : first;
      const imageStep = pad ? image : inC * h * w;
      for (let l = 0; l < pixels; l += KC) {
        const part = min(KC, pixels - l), depth = part * count;
        for (let i = 0; i < count; i++) {
          const from = dy + ((((s + i) * outC + g * m) * pixels + l) << 2);
          packA(a + ((i * part * MR) << 2), (depth * MR) << 2, from, pixels, m, part);
          packColumnsTransposed(
            block + ((i * part * NR) << 2), (depth * NR) << 2, images + ((i * imageStep) << 2),
            offsets + (j << 2), columns, l, part, ow, strideH * wp, strideW,
          );
        }
        gemmBlock(dw + ((g * m * k + j) << 2), k, a, (depth * MR) << 2, block, 0, m, columns, depth, 0);
      }
    }
  }
  join(groups * blocks);
}

/** Lays out weights [outC, k] for conv2dBackwardInput, group by group: Wᵀ in panels of 4 k's. */
export function conv2dPackTransposed(packed: usize, w: usize, outC: i32, k: i32, groups: i32): void {
  const m = outC / groups;
  for (let g = 0; g < groups; g++) {
    packTransposedA(packed + ((g * packedRows(k) * m) << 2), w + ((g * m * k) << 2), k, m);
  }
}

/** Floats that conv2dPackTransposed writes. */
export function conv2dPackedTransposedSize(outC: i32, k: i32): f64 {
  return (outC as f64) * (packedRows(k) as f64);
}

/**
 * dx[n, inC, h, w] = the columns Wᵀ · dy, each added where its window stood; written.
 *
 * @param dy [n, outC, oh, ow]
 * @param packed weights from conv2dPackTransposed
 */
export function conv2dBackwardInput(
  dx: usize, dy: usize, packed: usize, scratch: usize,
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, kh: i32, kw: i32,
  strideH: i32, strideW: i32, top: i32, left: i32, bottom: i32, right: i32,
  dilationH: i32, dilationW: i32, groups: i32,
): void {
  const c = inC / groups, m = outC / groups, k = c * kh * kw, pixels = oh * ow;
  const pad = top | left | bottom | right;
  const hp = h + top + bottom, wp = w + left + right;

  const own = ofThread(
    scratch, backwardOwnBytes(n, c, h, w, m, pixels, kh, kw, top, left, bottom, right),
  );
  const offsets = own + ((pad ? (c * hp * wp) as usize : 0) << 2);
  const b = (offsets + (k << 2) + 15) & ~15;
  const columns = b + ((m * NC) << 2);
  fillOffsets(offsets, c, kh, kw, hp * wp, dilationH * wp, dilationW);

  for (let s = claim(n * groups); s >= 0; s = claim(n * groups)) {
    const a = packed + (((s % groups) * packedRows(k) * m) << 2);
    const sample = dx + ((s * c * h * w) << 2);
    const image = pad ? own : sample;
    memory.fill(image, 0, (c * hp * wp) << 2);
    for (let j = 0; j < pixels; j += NC) {
      const count = min(NC, pixels - j), ld = panelled(count);
      for (let l = 0; l < m; l += KC) {
        const from = dy + (((s * m + l) * pixels + j) << 2);
        packB(b + ((l * ld) << 2), from, pixels, min(KC, m - l), count);
      }
      for (let r = 0; r < k; r += RC) {
        const rows = min(RC, k - r);
        for (let l = 0; l < m; l += KC) {
          gemmBlock(
            columns, ld, a + ((r * m + l * MR) << 2), (m * MR) << 2, b + ((l * ld) << 2), 0,
            rows, ld, min(KC, m - l), l == 0 ? FIRST : 0,
          );
        }
        addColumns(image, columns, ld, offsets + (r << 2), rows, j, count, ow, strideH * wp, strideW);
      }
    }
    if (pad) cropImage(sample, own, c, h, w, top, left, bottom, right);
  }
  join(n * groups);
}
