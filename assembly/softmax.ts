// Softmax and log-softmax along one axis of [outer, size, inner]. The maximum is subtracted first, so
// that no exponential overflows. A line with a NaN becomes NaN, as does a line of −∞ (0/0).
//
// A line is what is computed together: the floats along the axis, in vectors. If these floats are neighbours,
// inner is 1, four of them make a vector, and the lanes are combined. Otherwise the lanes are four lines next to
// each other. Multiply-adds are not fused, so that all builds give the same bits.

import { AxisGeometry } from "./geometry";
import { exp4 } from "./inline/exp";
import { sum4 } from "./inline/lanes";
import { loadUpTo, maskOf, storeUpTo } from "./inline/part";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";
import { CrossEntropyGeometry } from "./training_geometry";

// What forEachLine() computes.
const SOFTMAX: i32 = 0, LOG_SOFTMAX: i32 = 1, SOFTMAX_BACKWARD: i32 = 2, LOG_SOFTMAX_BACKWARD: i32 = 3;

/** y = exp(x) / Σ exp(x) along the axis; y may be x. */
export function softmax(y: usize, x: usize, g: AxisGeometry): void {
  forEachLine(SOFTMAX, y, x, 0, g);
}

/** y = x − log Σ exp(x) along the axis; y may be x. */
export function logSoftmax(y: usize, x: usize, g: AxisGeometry): void {
  forEachLine(LOG_SOFTMAX, y, x, 0, g);
}

/** dx = y · (dy − Σ dy·y) along the axis, y = softmax(x); dx may be dy. */
export function softmaxBackward(dx: usize, dy: usize, y: usize, g: AxisGeometry): void {
  forEachLine(SOFTMAX_BACKWARD, dx, dy, y, g);
}

/** dx = dy − exp(y) · Σ dy along the axis, y = logSoftmax(x); dx may be dy. */
export function logSoftmaxBackward(dx: usize, dy: usize, y: usize, g: AxisGeometry): void {
  forEachLine(LOG_SOFTMAX_BACKWARD, dx, dy, y, g);
}

/** The vectors of the current line, and the bytes from one to the next. */
let vectors: i32 = 0, step: usize = 0;
/** The lanes that count, in all vectors but the last, and in that one. */
let lanes: i32 = 0, lastLanes: i32 = 0;
/** Whether the lanes belong to one line. */
let isRow: bool = false;

/** Calls the function of `kind` for each line. Threads share the lines. */
function forEachLine(kind: i32, to: usize, from: usize, y: usize, g: AxisGeometry): void {
  const size = g.size, inner = g.inner, across = ceilDiv(inner, 4), all = g.outer * across;
  const each = rowsPerItem(size * min(4, inner)), items = ceilDiv(all, each);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    for (let i = item * each, end = min(all, i + each); i < end; i++) {
      const column = i % across * 4;
      if (inner == 1) selectRow(size);
      else selectColumns(size, inner, min(4, inner - column));
      const at: usize = (i / across * size * inner + column) << 2;
      if (kind == SOFTMAX) softmaxOfLine(to + at, from + at);
      else if (kind == LOG_SOFTMAX) logSoftmaxOfLine(to + at, from + at);
      else if (kind == SOFTMAX_BACKWARD) softmaxBackwardOfLine(to + at, from + at, y + at);
      else logSoftmaxBackwardOfLine(to + at, from + at, y + at);
    }
  }
  join(items);
}

/** Makes a line of `size` neighbouring floats the current one. */
function selectRow(size: i32): void {
  vectors = ceilDiv(size, 4);
  step = 16;
  lanes = 4;
  lastLanes = size - 4 * (vectors - 1);
  isRow = true;
}

/** Makes lines next to each other the current one, one in each lane. */
function selectColumns(size: i32, inner: i32, count: i32): void {
  vectors = size;
  step = (inner as usize) << 2;
  lanes = count;
  lastLanes = count;
  isRow = false;
}

/** Reads vector i of the line at x. Lanes that do not count have the value of `rest`. */
function read(x: usize, i: i32, rest: f32): v128 {
  const n = i == vectors - 1 ? lastLanes : lanes, v = loadUpTo(x + (i as usize) * step, n);
  return n < 4 ? v128.bitselect(v, f32x4.splat(rest), maskOf(n)) : v;
}

/** Writes vector i of the line at y, as far as its lanes count. */
function write(y: usize, i: i32, v: v128): void {
  storeUpTo(y + (i as usize) * step, v, i == vectors - 1 ? lastLanes : lanes);
}

/** The largest float of each line; NaN if one is NaN. */
function largest(x: usize): v128 {
  let top = f32x4.splat(-Infinity);
  for (let i = 0; i < vectors; i++) top = f32x4.max(top, read(x, i, -Infinity));
  if (!isRow) return top;
  top = f32x4.max(top, i8x16.shuffle(top, top, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.max(top, i8x16.shuffle(top, top, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
}

/** The sum of each line, from the sums of the lanes. */
// @ts-ignore: decorator
@inline
function total(sums: v128): v128 {
  return isRow ? f32x4.splat(sum4(sums)) : sums;
}

/** The sum of each line's exponentials of x − top, which are written to y unless it is 0. */
function exponentials(y: usize, x: usize, top: v128): v128 {
  let sums = f32x4.splat(0);
  for (let i = 0; i < vectors; i++) {
    const e = exp4(f32x4.sub(read(x, i, -Infinity), top), false);
    if (y) write(y, i, e);
    sums = f32x4.add(sums, e);
  }
  return total(sums);
}

function softmaxOfLine(y: usize, x: usize): void {
  const sum = exponentials(y, x, largest(x));
  for (let i = 0; i < vectors; i++) write(y, i, f32x4.div(read(y, i, 0), sum));
}

function logSoftmaxOfLine(y: usize, x: usize): void {
  const top = largest(x), shift = log4(exponentials(0, x, top));
  for (let i = 0; i < vectors; i++) write(y, i, f32x4.sub(f32x4.sub(read(x, i, 0), top), shift));
}

function softmaxBackwardOfLine(dx: usize, dy: usize, y: usize): void {
  let sums = f32x4.splat(0);
  for (let i = 0; i < vectors; i++) sums = f32x4.add(sums, f32x4.mul(read(dy, i, 0), read(y, i, 0)));
  const sum = total(sums);
  for (let i = 0; i < vectors; i++) {
    write(dx, i, f32x4.mul(read(y, i, 0), f32x4.sub(read(dy, i, 0), sum)));
  }
}

function logSoftmaxBackwardOfLine(dx: usize, dy: usize, y: usize): void {
  let sums = f32x4.splat(0);
  for (let i = 0; i < vectors; i++) sums = f32x4.add(sums, read(dy, i, 0));
  const sum = total(sums);
  for (let i = 0; i < vectors; i++) {
    const product = f32x4.mul(exp4(read(y, i, 0), false), sum);
    write(dx, i, f32x4.sub(read(dy, i, 0), product));
  }
}

/** The natural logarithm of each lane. */
function log4(v: v128): v128 {
  const v0 = f32x4.splat(Mathf.log(f32x4.extract_lane(v, 0)));
  if (isRow) return v0; // all lanes are the same
  const v1 = f32x4.replace_lane(v0, 1, Mathf.log(f32x4.extract_lane(v, 1)));
  const v2 = f32x4.replace_lane(v1, 2, Mathf.log(f32x4.extract_lane(v, 2)));
  return f32x4.replace_lane(v2, 3, Mathf.log(f32x4.extract_lane(v, 3)));
}

/**
 * Cross-entropy and its gradient, log-softmax and negative log-likelihood in one:
 *   loss = mean over n of −Σ q[c] · log p[c],   dx = (p − q) / n,   p = softmax(x),
 * where q is smoothing/c for every class, and 1 − smoothing more for the target.
 *
 * @param loss one float, written
 * @param dx [n, c], written; may be x
 * @param x [n, c]
 * @param targets n int32, each in 0 … c − 1
 */
export function crossEntropy(
  loss: usize, dx: usize, x: usize, targets: usize, g: CrossEntropyGeometry,
): void {
  const n = g.n, c = g.c, smoothing = g.labelSmoothing;
  const row = (c as usize) << 2;
  const share = smoothing / (c as f32), weight = <f32>1 / (n as f32);
  let loss64: f64 = 0;
  selectRow(c);
  for (let s = 0; s < n; s++, x += row, dx += row, targets += 4) {
    const target = (load<i32>(targets) as usize) << 2;
    const top = largest(x), top0 = f32x4.extract_lane(top, 0), chosen = load<f32>(x + target) - top0;
    let rest: f32 = 0;
    if (share > 0) {
      for (let k: usize = 0; k < row; k += 4) rest += load<f32>(x + k) - top0;
    }
    const sums = exponentials(dx, x, top), log = f32x4.extract_lane(log4(sums), 0);
    // an impossible class (−∞) makes the loss infinite only with smoothing
    const spread: f32 = share > 0 ? share * (rest - (c as f32) * log) : 0;
    loss64 -= ((1 - smoothing) * (chosen - log) + spread) as f64;
    const sum = f32x4.extract_lane(sums, 0);
    for (let k: usize = 0; k < row; k += 4) {
      const q = share + (k == target ? 1 - smoothing : 0);
      store<f32>(dx + k, (load<f32>(dx + k) / sum - q) * weight);
    }
  }
  store<f32>(loss, (loss64 / (n as f64)) as f32);
}
