// y[n, o] = activation(x[n, :] · w[o, :] + b[o]), with weights that are not packed.
// A single sample takes twelve rows of weights at a time, as fast as memory delivers them. Two samples
// take four rows at a time, which is fastest while the rows stay in a cache. For a small batch whose
// weights come from memory, linear_batch.ts reads each of them once.

import { addBias } from "./bias";
import { LinearGeometry } from "./geometry";
import { inlinedPart, SILU } from "./inline/activate";
import { lanes4, madd, sum4 } from "./inline/lanes";
import { linearPanels, panelSamples, panelScratchSize } from "./linear_batch";
import { siluPhase } from "./silu";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

/** Rows of w that make an item, a multiple of 12; more if rows are short. */
const ROWS: i32 = 48;

/** Bytes of scratch memory that linear needs, in float64. */
export function linearScratchSize(g: LinearGeometry): f64 {
  return panelScratchSize(panelSamples(g.n), g.inF);
}

/**
 * @param y [n, outF], written
 * @param x [n, inF]
 * @param w [outF, inF]
 * @param bias outF floats, or 0 for none
 * @param scratch linearScratchSize bytes
 * @param activation a code of inline/activate.ts
 */
export function linear(
  y: usize, x: usize, w: usize, bias: usize, scratch: usize, g: LinearGeometry, activation: i32,
): void {
  linearPhase(y, x, w, bias, scratch, g, inlinedPart(activation));
  if (activation == SILU) siluPhase(y, g.n * g.outF, true);
}

/** The same for activations that are inlined. */
function linearPhase(
  y: usize, x: usize, w: usize, bias: usize, scratch: usize, g: LinearGeometry, activation: i32,
): void {
  const n = g.n, inF = g.inF, outF = g.outF, row = (inF as usize) << 2;
  const m = panelSamples(n);
  if (m) linearPanels(y, x, w, bias, scratch, m, g, activation);
  if (m == n) return;
  y += (m * outF) << 2;
  x += (m as usize) * row;
  const rows = max(ROWS, ceilDiv(rowsPerItem(inF), 12) * 12), items = ceilDiv(outF, rows);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const o = i * rows;
    const b = bias ? bias + (o << 2) : 0;
    const from = w + (o as usize) * row;
    byRows(y + (o << 2), x, from, b, n - m, min(rows, outF - o), g, activation);
  }
  join(items);
}

/** The first `rows` outputs of n samples. Each group of rows is used on all samples before the next. */
function byRows(
  y: usize, x: usize, w: usize, bias: usize, n: i32, rows: i32, g: LinearGeometry, activation: i32,
): void {
  const row = (g.inF as usize) << 2, next = (g.outF as usize) << 2;
  for (let o = 0; o < rows;) {
    const group = rows - o >= 12 ? 12 : rows - o >= 4 ? 4 : 1;
    let s = 0, at = x, to = y + (o << 2);
    for (; group > 1 && s + 2 <= n; s += 2, at += 2 * row, to += 2 * next) {
      for (let r = 0; r < group; r += 4) {
        rows4x2(to + (r << 2), next, at, w + (r as usize) * row, row);
      }
    }
    for (; s < n; s++, at += row, to += next) {
      if (group == 12) rows12(to, at, w, row);
      else if (group == 4) v128.store(to, rows4(at, w, row));
      else store<f32>(to, row1(at, w, row));
    }
    w += (group as usize) * row;
    o += group;
  }
  addBias(y, next, n, rows, bias, activation);
}

/**
 * x · twelve rows of w. Rows are read in whole cache lines. x, which does not fit in the first-level
 * cache beside them, is read once for all twelve.
 */
function rows12(y: usize, x: usize, w: usize, row: usize): void {
  const w1 = w + row, w2 = w1 + row, w3 = w2 + row, w4 = w3 + row, w5 = w4 + row, w6 = w5 + row;
  const w7 = w6 + row, w8 = w7 + row, w9 = w8 + row, w10 = w9 + row, w11 = w10 + row;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0;
  let a9 = a0, a10 = a0, a11 = a0;
  let i: usize = 0;
  for (const end = row & ~63; i < end; i += 64) {
    const s = v128.load(x + i), t = v128.load(x + i, 16);
    const u = v128.load(x + i, 32), v = v128.load(x + i, 48);
    a0 = line(a0, w + i, s, t, u, v);
    a1 = line(a1, w1 + i, s, t, u, v);
    a2 = line(a2, w2 + i, s, t, u, v);
    a3 = line(a3, w3 + i, s, t, u, v);
    a4 = line(a4, w4 + i, s, t, u, v);
    a5 = line(a5, w5 + i, s, t, u, v);
    a6 = line(a6, w6 + i, s, t, u, v);
    a7 = line(a7, w7 + i, s, t, u, v);
    a8 = line(a8, w8 + i, s, t, u, v);
    a9 = line(a9, w9 + i, s, t, u, v);
    a10 = line(a10, w10 + i, s, t, u, v);
    a11 = line(a11, w11 + i, s, t, u, v);
  }
  a0 = laneSums(a0, a1, a2, a3);
  a4 = laneSums(a4, a5, a6, a7);
  a8 = laneSums(a8, a9, a10, a11);
  for (; i < row; i += 4) {
    const v = v128.load32_splat(x + i);
    a0 = madd(a0, lanes4(w + i, w1 + i, w2 + i, w3 + i), v);
    a4 = madd(a4, lanes4(w4 + i, w5 + i, w6 + i, w7 + i), v);
    a8 = madd(a8, lanes4(w8 + i, w9 + i, w10 + i, w11 + i), v);
  }
  v128.store(y, a0);
  v128.store(y, a4, 16);
  v128.store(y, a8, 32);
}

/** a + the products of one cache line of w with s, t, u and v. */
// @ts-ignore: decorator
@inline
function line(a: v128, w: usize, s: v128, t: v128, u: v128, v: v128): v128 {
  a = madd(a, s, v128.load(w));
  a = madd(a, t, v128.load(w, 16));
  a = madd(a, u, v128.load(w, 32));
  return madd(a, v, v128.load(w, 48));
}

/** x · four rows of w. */
function rows4(x: usize, w: usize, row: usize): v128 {
  const w1 = w + row, w2 = w1 + row, w3 = w2 + row;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let i: usize = 0;
  for (const end = row & ~15; i < end; i += 16) {
    const u = v128.load(x + i);
    a0 = madd(a0, u, v128.load(w + i));
    a1 = madd(a1, u, v128.load(w1 + i));
    a2 = madd(a2, u, v128.load(w2 + i));
    a3 = madd(a3, u, v128.load(w3 + i));
  }
  let sums = laneSums(a0, a1, a2, a3);
  for (; i < row; i += 4) {
    sums = madd(sums, lanes4(w + i, w1 + i, w2 + i, w3 + i), v128.load32_splat(x + i));
  }
  return sums;
}

/** Two samples · four rows of w. `next` is the distance between two samples of y. */
function rows4x2(y: usize, next: usize, x: usize, w: usize, row: usize): void {
  const x1 = x + row, w1 = w + row, w2 = w1 + row, w3 = w2 + row;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  let i: usize = 0;
  for (const end = row & ~15; i < end; i += 16) {
    const u = v128.load(x + i), v = v128.load(x1 + i);
    let t = v128.load(w + i);
    a0 = madd(a0, t, u);
    c0 = madd(c0, t, v);
    t = v128.load(w1 + i);
    a1 = madd(a1, t, u);
    c1 = madd(c1, t, v);
    t = v128.load(w2 + i);
    a2 = madd(a2, t, u);
    c2 = madd(c2, t, v);
    t = v128.load(w3 + i);
    a3 = madd(a3, t, u);
    c3 = madd(c3, t, v);
  }
  let sums = laneSums(a0, a1, a2, a3), sums1 = laneSums(c0, c1, c2, c3);
  for (; i < row; i += 4) {
    const t = lanes4(w + i, w1 + i, w2 + i, w3 + i);
    sums = madd(sums, t, v128.load32_splat(x + i));
    sums1 = madd(sums1, t, v128.load32_splat(x1 + i));
  }
  v128.store(y, sums);
  v128.store(y + next, sums1);
}

/** The sums of the lanes of four vectors, as one vector. */
// @ts-ignore: decorator
@inline
function laneSums(a: v128, b: v128, c: v128, d: v128): v128 {
  const v = f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(sum4(a)), 1, sum4(b)), 2, sum4(c));
  return f32x4.replace_lane(v, 3, sum4(d));
}

/** x · one row of w. */
function row1(x: usize, w: usize, row: usize): f32 {
  let a = f32x4.splat(0);
  let i: usize = 0;
  for (const end = row & ~15; i < end; i += 16) a = madd(a, v128.load(x + i), v128.load(w + i));
  let s = sum4(a);
  for (; i < row; i += 4) s += load<f32>(x + i) * load<f32>(w + i);
  return s;
}
