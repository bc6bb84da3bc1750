// Depthwise convolution: every input channel has kernels of its own, outC / inC of them. As a matrix product,
// each channel would be one of a single row, with packing as expensive as the product. So each plane is computed
// from a padded copy of some of its rows, a strip (depthwise_strips.ts), four rows and eight columns at a time.
// Kernels of 3×3, the most common, have a loop of their own.

import {
  clearStrip, COLUMNS, fillGradientStrip, fillStrip, fillTaps, inputRow, outputStep, plan, ROWS, stripRows,
  strips, stripsPerItem, taps,
} from "./depthwise_strips";
import { Conv2dGeometry, FusedConv2dGeometry } from "./geometry";
import { HARDSWISH, highest, lowest, NONE, SILU } from "./inline/activate";
import { maddIf } from "./inline/lanes";
import { loadPart, storePart } from "./inline/part";
import { exactSilu, hardswish, silu } from "./silu";
import { bytesForThreads, ceilDiv, claim, join, threadScratch } from "./threads";

/** Results are clamped between these: that is all of NONE, RELU and RELU6. */
let low: f32 = 0, high: f32 = 0;

/** Bytes from the output to the residual, and from one row of it to the next. */
let residual: usize = 0, outputRow: usize = 0;
/** Columns of the output. */
let outputColumns: i32 = 0;
/** Address of the offsets of the taps (fillTaps). */
let offsets: usize = 0;
/** Whether to compute without fused multiply-adds, for the same results in every build. */
let isExact: bool = false;
/** Whether the kernel is 3×3, and neighbouring outputs share rows. */
let is3x3: bool = false;

/** Bytes of scratch memory that depthwise needs, in float64. */
export function depthwiseScratchSize(g: Conv2dGeometry): f64 {
  return bytesForThreads(plan(g, g.oh, g.ow, g.strideH, g.strideW));
}

/** Bytes of scratch memory that depthwiseBackwardInput needs, in float64. */
export function depthwiseBackwardInputScratchSize(g: Conv2dGeometry): f64 {
  return bytesForThreads(plan(g, g.h, g.w, 1, 1));
}

/**
 * y[n, outC, oh, ow] = activation(x[n, inC, h, w] ⋆ w + b + residual), groups = inC; written.
 * @param weight [outC, 1, kh, kw]
 * @param bias outC floats, or 0 for none
 * @param scratch depthwiseScratchSize bytes
 */
export function depthwise(
  y: usize, x: usize, weight: usize, bias: usize, scratch: usize, g: FusedConv2dGeometry,
): void {
  const inC = g.inC, multiplier = g.groupOutC, oh = g.oh, plane: usize = (g.h * g.w) << 2;
  offsets = threadScratch(scratch, plan(g, oh, g.ow, g.strideH, g.strideW));
  prepare(g.ow, g);
  residual = g.residual;
  isExact = g.isExact != 0;
  const adds = g.addsResidual != 0, activation = g.activation, columns = g.ow;
  low = lowest(activation), high = highest(activation);
  const strip = offsets + (taps << 3), total = g.n * inC * strips, items = ceilDiv(total, stripsPerItem);
  clearStrip(strip);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    for (let i = item * stripsPerItem, end = min(total, i + stripsPerItem); i < end; i++) {
      const first = i % strips * stripRows, p = i / strips;
      fillStrip(strip, x + (p as usize) * plane, first, g);
      for (let m = 0; m < multiplier; m++) {
        const c = p % inC * multiplier + m;
        const to = y + (((p * multiplier + m) * oh + first) as usize) * outputRow;
        const b: f32 = bias ? load<f32>(bias + (c << 2)) : 0;
        const rows = min(stripRows, oh - first);
        computeStrip(to, strip, weight + ((c * taps) << 2), b, rows, adds);
        if (activation == HARDSWISH) hardswish(to, rows * columns);
        else if (activation == SILU && isExact) exactSilu(to, rows * columns);
        else if (activation == SILU) silu(to, rows * columns);
      }
    }
  }
  join(items);
}

/**
 * dx = dy ⋆ the kernels turned by 180°, groups = inC; written.
 * @param weight [outC, 1, kh, kw]
 * @param scratch depthwiseBackwardInputScratchSize bytes
 */
export function depthwiseBackwardInput(
  dx: usize, dy: usize, weight: usize, scratch: usize, g: Conv2dGeometry,
): void {
  const inC = g.inC, multiplier = g.groupOutC, h = g.h, plane: usize = (g.oh * g.ow) << 2;
  offsets = threadScratch(scratch, plan(g, h, g.w, 1, 1));
  prepare(g.w, g);
  residual = 0;
  isExact = false;
  low = lowest(NONE), high = highest(NONE);
  const turned = offsets + (taps << 2), strip = turned + (taps << 2);
  const total = g.n * inC * strips, items = ceilDiv(total, stripsPerItem);
  clearStrip(strip);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    for (let i = item * stripsPerItem, end = min(total, i + stripsPerItem); i < end; i++) {
      const first = i % strips * stripRows, p = i / strips;
      const to = dx + ((p * h + first) as usize) * outputRow;
      for (let m = 0; m < multiplier; m++) {
        turn(turned, weight + (((p % inC * multiplier + m) * taps) << 2));
        fillGradientStrip(strip, dy + ((p * multiplier + m) as usize) * plane, first, g);
        computeStrip(to, strip, turned, 0, min(stripRows, h - first), m > 0);
      }
    }
  }
  join(items);
}

/** Turns a kernel by 180°, which is to reverse it. */
function turn(to: usize, w: usize): void {
  for (let from = w + ((taps - 1) << 2); from >= w; from -= 4, to += 4) store<f32>(to, load<f32>(from));
}

/** Sets what all strips of a kernel have in common. */
function prepare(columns: i32, g: Conv2dGeometry): void {
  fillTaps(offsets, g);
  outputColumns = columns;
  outputRow = (columns as usize) << 2;
  is3x3 = g.kh == 3 && g.kw == 3 && g.dilationH == 1 && outputStep == inputRow;
}

/** Computes `rows` rows of one plane. Only with relaxed SIMD do exact results take other instructions. */
function computeStrip(to: usize, strip: usize, w: usize, bias: f32, rows: i32, adds: bool): void {
  if (ASC_FEATURE_RELAXED_SIMD && isExact) exactRows(to, strip, w, bias, rows, adds);
  else fusedRows(to, strip, w, bias, rows, adds);
}

/** allRows() in functions of their own, so that each is compiled once. */
function fusedRows(to: usize, strip: usize, w: usize, bias: f32, rows: i32, adds: bool): void {
  allRows(true, to, strip, w, bias, rows, adds);
}

function exactRows(to: usize, strip: usize, w: usize, bias: f32, rows: i32, adds: bool): void {
  allRows(false, to, strip, w, bias, rows, adds);
}

/** The rows of a strip, ROWS at a time. */
// @ts-ignore: decorator
@inline
function allRows(
  fuses: bool, to: usize, strip: usize, w: usize, bias: f32, rows: i32, adds: bool,
): void {
  const next = (ROWS as usize) * outputRow, nextInput = (ROWS as usize) * outputStep;
  for (let i = 0; i < rows; i += ROWS, to += next, strip += nextInput) {
    const count = min(ROWS, rows - i);
    if (is3x3) {
      rows3x3(fuses, to, strip, w, bias, count, adds);
      continue;
    }
    for (let j = 0; j < outputColumns; j += COLUMNS) {
      tile4x8(fuses, to + (j << 2), strip + (j << 2), w, bias, count, min(COLUMNS, outputColumns - j), adds);
    }
  }
}

/** Sums of four rows and eight columns, of which rows × columns are stored. */
// @ts-ignore: decorator
@inline
function tile4x8(
  fuses: bool, to: usize, from: usize, w: usize, bias: f32, rows: i32, columns: i32, adds: bool,
): void {
  const step1 = outputStep, step2 = step1 + outputStep, step3 = step2 + outputStep;
  let c00 = f32x4.splat(bias), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let o = offsets, end = offsets + (taps << 2); o < end; o += 4, w += 4) {
    const s = v128.load32_splat(w), p = from + load<i32>(o);
    c00 = maddIf(fuses, c00, s, v128.load(p));
    c01 = maddIf(fuses, c01, s, v128.load(p, 16));
    c10 = maddIf(fuses, c10, s, v128.load(p + step1));
    c11 = maddIf(fuses, c11, s, v128.load(p + step1, 16));
    c20 = maddIf(fuses, c20, s, v128.load(p + step2));
    c21 = maddIf(fuses, c21, s, v128.load(p + step2, 16));
    c30 = maddIf(fuses, c30, s, v128.load(p + step3));
    c31 = maddIf(fuses, c31, s, v128.load(p + step3, 16));
  }
  finish8(to, c00, c01, columns, adds);
  if (rows > 1) finish8(to + outputRow, c10, c11, columns, adds);
  if (rows > 2) finish8(to + 2 * outputRow, c20, c21, columns, adds);
  if (rows > 3) finish8(to + 3 * outputRow, c30, c31, columns, adds);
}

/**
 * Four rows with a 3×3 kernel, of which `rows` are stored, four columns at a time. Each row of inputs is
 * used for up to three rows of outputs, and the kernel stays in registers.
 */
// @ts-ignore: decorator
@inline
function rows3x3(fuses: bool, to: usize, from: usize, w: usize, bias: f32, rows: i32, adds: bool): void {
  const w0 = v128.load32_splat(w), w1 = v128.load32_splat(w, 4), w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12), w4 = v128.load32_splat(w, 16), w5 = v128.load32_splat(w, 20);
  const w6 = v128.load32_splat(w, 24), w7 = v128.load32_splat(w, 28), w8 = v128.load32_splat(w, 32);
  const o1 = load<i32>(offsets, 4) as usize, o2 = load<i32>(offsets, 8) as usize;
  for (let left = outputColumns; left > 0; left -= 4, from += 16, to += 16) {
    let p = from, v = v128.load(p), y0 = maddIf(fuses, f32x4.splat(bias), v, w0);
    v = v128.load(p + o1), y0 = maddIf(fuses, y0, v, w1);
    v = v128.load(p + o2), y0 = maddIf(fuses, y0, v, w2);
    p += inputRow;
    let y1: v128, y2: v128, y3: v128;
    v = v128.load(p), y0 = maddIf(fuses, y0, v, w3), y1 = maddIf(fuses, f32x4.splat(bias), v, w0);
    v = v128.load(p + o1), y0 = maddIf(fuses, y0, v, w4), y1 = maddIf(fuses, y1, v, w1);
    v = v128.load(p + o2), y0 = maddIf(fuses, y0, v, w5), y1 = maddIf(fuses, y1, v, w2);
    p += inputRow;
    v = v128.load(p), y0 = maddIf(fuses, y0, v, w6),
      y1 = maddIf(fuses, y1, v, w3), y2 = maddIf(fuses, f32x4.splat(bias), v, w0);
    v = v128.load(p + o1), y0 = maddIf(fuses, y0, v, w7),
      y1 = maddIf(fuses, y1, v, w4), y2 = maddIf(fuses, y2, v, w1);
    v = v128.load(p + o2), y0 = maddIf(fuses, y0, v, w8),
      y1 = maddIf(fuses, y1, v, w5), y2 = maddIf(fuses, y2, v, w2);
    finish4(to, y0, left, adds);
    p += inputRow;
    v = v128.load(p),
      y1 = maddIf(fuses, y1, v, w6), y2 = maddIf(fuses, y2, v, w3), y3 = maddIf(fuses, f32x4.splat(bias), v, w0);
    v = v128.load(p + o1),
      y1 = maddIf(fuses, y1, v, w7), y2 = maddIf(fuses, y2, v, w4), y3 = maddIf(fuses, y3, v, w1);
    v = v128.load(p + o2),
      y1 = maddIf(fuses, y1, v, w8), y2 = maddIf(fuses, y2, v, w5), y3 = maddIf(fuses, y3, v, w2);
    if (rows > 1) finish4(to + outputRow, y1, left, adds);
    p += inputRow;
    v = v128.load(p), y2 = maddIf(fuses, y2, v, w6), y3 = maddIf(fuses, y3, v, w3);
    v = v128.load(p + o1), y2 = maddIf(fuses, y2, v, w7), y3 = maddIf(fuses, y3, v, w4);
    v = v128.load(p + o2), y2 = maddIf(fuses, y2, v, w8), y3 = maddIf(fuses, y3, v, w5);
    if (rows > 2) finish4(to + 2 * outputRow, y2, left, adds);
    p += inputRow;
    v = v128.load(p), y3 = maddIf(fuses, y3, v, w6);
    v = v128.load(p + o1), y3 = maddIf(fuses, y3, v, w7);
    v = v128.load(p + o2), y3 = maddIf(fuses, y3, v, w8);
    if (rows > 3) finish4(to + 3 * outputRow, y3, left, adds);
  }
}

/** Stores eight sums, or as many as there are columns. */
// @ts-ignore: decorator
@inline
function finish8(to: usize, v0: v128, v1: v128, columns: i32, adds: bool): void {
  finish4(to, v0, columns, adds);
  if (columns > 4) finish4(to + 16, v1, columns - 4, adds);
}

/** Stores four sums, or as many as there are columns. */
// @ts-ignore: decorator
@inline
function finish4(to: usize, v: v128, columns: i32, adds: bool): void {
  if (columns < 4) {
    finishPart(to, v, columns, adds);
    return;
  }
  if (adds) v = f32x4.add(v, v128.load(to + residual));
  v128.store(to, clamped(v));
}

/** Stores one to three sums. */
function finishPart(to: usize, v: v128, columns: i32, adds: bool): void {
  if (adds) v = f32x4.add(v, loadPart(to + residual, columns));
  storePart(to, clamped(v), columns);
}

/** Four results between the bounds. A NaN stays NaN. */
// @ts-ignore: decorator
@inline
function clamped(v: v128): v128 {
  return f32x4.pmin(f32x4.pmax(v, f32x4.splat(low)), f32x4.splat(high));
}
