// y[n, o] = x[n, :] · w[o, :] + b[o].
// Weights are used where they lie, four rows at a time: at batch 1 the time is that of reading them
// from memory.

import { gemmBlock, MR, packedRows, packB, packTransposedA } from "./gemm";
import { lanes4, madd, relu4, sum4 } from "./inline/lanes";

/**
 * @param y [n, outF], written
 * @param x [n, inF]
 * @param w [outF, inF]
 * @param bias outF floats, or 0 for none
 * @param relu 1 clamps y at 0
 */
export function linear(
  y: usize, x: usize, w: usize, bias: usize, n: i32, inF: i32, outF: i32, relu: i32,
): void {
  const row = (inF as usize) << 2;
  let o = 0;
  for (; o + 4 <= outF; o += 4, w += 4 * row) {
    const b = bias ? v128.load(bias + (o << 2)) : f32x4.splat(0);
    let s = 0;
    for (; s + 2 <= n; s += 2) {
      const to = y + ((s * outF + o) << 2);
      rows4x2(to, to + (outF << 2), x + (s as usize) * row, w, inF, b, relu);
    }
    for (; s < n; s++) {
      let v = f32x4.add(rows4(x + (s as usize) * row, w, inF), b);
      if (relu) v = relu4(v);
      v128.store(y + ((s * outF + o) << 2), v);
    }
  }
  for (; o < outF; o++, w += row) {
    for (let s = 0; s < n; s++) {
      let v = row1(x + (s as usize) * row, w, inF) + (bias ? load<f32>(bias + (o << 2)) : 0);
      if (relu && v < 0) v = 0;
      store<f32>(y + ((s * outF + o) << 2), v);
    }
  }
}

/** x · four rows of w. Two sums a row keep eight multiply-adds in flight. */
function rows4(x: usize, w: usize, n: i32): v128 {
  const row = (n as usize) << 2;
  const w1 = w + row, w2 = w1 + row, w3 = w2 + row;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let i: usize = 0;
  for (const end = row & ~31; i < end; i += 32) {
    const u = v128.load(x + i), v = v128.load(x + i, 16);
    a0 = madd(a0, u, v128.load(w + i));
    b0 = madd(b0, v, v128.load(w + i, 16));
    a1 = madd(a1, u, v128.load(w1 + i));
    b1 = madd(b1, v, v128.load(w1 + i, 16));
    a2 = madd(a2, u, v128.load(w2 + i));
    b2 = madd(b2, v, v128.load(w2 + i, 16));
    a3 = madd(a3, u, v128.load(w3 + i));
    b3 = madd(b3, v, v128.load(w3 + i, 16));
  }
  let sums = sums4(f32x4.add(a0, b0), f32x4.add(a1, b1), f32x4.add(a2, b2), f32x4.add(a3, b3));
  for (; i < row; i += 4) {
    sums = madd(sums, lanes4(w + i, w1 + i, w2 + i, w3 + i), v128.load32_splat(x + i));
  }
  return sums;
}

/** Two samples · four rows of w, plus b: a tile of 4×2, for which w is read once. */
function rows4x2(y: usize, y1: usize, x: usize, w: usize, n: i32, b: v128, relu: i32): void {
  const row = (n as usize) << 2;
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
  let sums = f32x4.add(sums4(a0, a1, a2, a3), b), sums1 = f32x4.add(sums4(c0, c1, c2, c3), b);
  for (; i < row; i += 4) {
    const t = lanes4(w + i, w1 + i, w2 + i, w3 + i);
    sums = madd(sums, t, v128.load32_splat(x + i));
    sums1 = madd(sums1, t, v128.load32_splat(x1 + i));
  }
  v128.store(y, relu ? relu4(sums) : sums);
  v128.store(y1, relu ? relu4(sums1) : sums1);
}

/** The sum of each vector's lanes, in one vector. */
// @ts-ignore: decorator
@inline
function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const v = f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(sum4(a)), 1, sum4(b)), 2, sum4(c));
  return f32x4.replace_lane(v, 3, sum4(d));
}

function row1(x: usize, w: usize, n: i32): f32 {
  const row = (n as usize) << 2;
  let a = f32x4.splat(0);
  let i: usize = 0;
  for (const end = row & ~15; i < end; i += 16) a = madd(a, v128.load(x + i), v128.load(w + i));
  let s = sum4(a);
  for (; i < row; i += 4) s += load<f32>(x + i) * load<f32>(w + i);
  return s;
}

/** Bytes of scratch that linearBackwardWeight needs, in float64. */
export function linearBackwardScratchSize(n: i32, inF: i32, outF: i32): f64 {
  return (n as f64) * ((packedRows(outF) as f64) + (inF as f64) + 8) * 4;
}

/**
 * dw[outF, inF] += dyᵀ · x, accumulated.
 * @param dy [n, outF]
 * @param x [n, inF]
 */
export function linearBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize, n: i32, inF: i32, outF: i32,
): void {
  const b = scratch + ((packedRows(outF) * n) << 2);
  packTransposedA(scratch, dy, outF, n);
  packB(b, x, inF, n, inF);
  // panel by panel, so that dw is walked row by row
  for (let o = 0; o < outF; o += MR) {
    const to = dw + (((o as usize) * (inF as usize)) << 2);
    gemmBlock(to, inF, scratch + ((o * n) << 2), 0, b, 0, min(MR, outF - o), inF, n, 0);
  }
}

/** Rows of w that linearBackwardInput takes at a time: as many as the first-level cache has ways. */
const ROWS: i32 = 8;

/**
 * dx[n, inF] = dy · w, written.
 * @param dy [n, outF]
 * @param w [outF, inF]
 */
export function linearBackwardInput(
  dx: usize, dy: usize, w: usize, n: i32, inF: i32, outF: i32,
): void {
  memory.fill(dx, 0, (n * inF) << 2);
  const row = (inF as usize) << 2;
  for (let o = 0; o < outF; o += ROWS, w += (ROWS as usize) * row) {
    const rows = min(ROWS, outF - o);
    let s = 0;
    for (; s + 4 <= n; s += 4) {
      addRows4(dx + (s as usize) * row, dy + ((s * outF + o) << 2), w, inF, outF, rows);
    }
    for (; s < n; s++) addRows1(dx + (s as usize) * row, dy + ((s * outF + o) << 2), w, inF, rows);
  }
}

/** Four samples' dx[i] += Σ dy[r] · w[r, i] over `rows` rows, 8 columns at a time. */
function addRows4(dx: usize, dy: usize, w: usize, inF: i32, outF: i32, rows: i32): void {
  const row = (inF as usize) << 2, sample = (outF as usize) << 2;
  const dx1 = dx + row, dx2 = dx1 + row, dx3 = dx2 + row;
  const dy1 = dy + sample, dy2 = dy1 + sample, dy3 = dy2 + sample;
  let i: usize = 0;
  for (const end = row & ~31; i < end; i += 32) {
    let a0 = v128.load(dx + i), a1 = v128.load(dx + i, 16);
    let b0 = v128.load(dx1 + i), b1 = v128.load(dx1 + i, 16);
    let c0 = v128.load(dx2 + i), c1 = v128.load(dx2 + i, 16);
    let d0 = v128.load(dx3 + i), d1 = v128.load(dx3 + i, 16);
    let from = w + i;
    for (let r: usize = 0; r < (rows as usize) << 2; r += 4, from += row) {
      const w0 = v128.load(from), w1 = v128.load(from, 16);
      let g = v128.load32_splat(dy + r);
      a0 = madd(a0, g, w0);
      a1 = madd(a1, g, w1);
      g = v128.load32_splat(dy1 + r);
      b0 = madd(b0, g, w0);
      b1 = madd(b1, g, w1);
      g = v128.load32_splat(dy2 + r);
      c0 = madd(c0, g, w0);
      c1 = madd(c1, g, w1);
      g = v128.load32_splat(dy3 + r);
      d0 = madd(d0, g, w0);
      d1 = madd(d1, g, w1);
    }
    v128.store(dx + i, a0);
    v128.store(dx + i, a1, 16);
    v128.store(dx1 + i, b0);
    v128.store(dx1 + i, b1, 16);
    v128.store(dx2 + i, c0);
    v128.store(dx2 + i, c1, 16);
    v128.store(dx3 + i, d0);
    v128.store(dx3 + i, d1, 16);
  }
  for (let s = 0; s < 4; s++) addTail(dx + (s as usize) * row, dy + (s as usize) * sample, w, row, i, rows);
}

function addRows1(dx: usize, dy: usize, w: usize, inF: i32, rows: i32): void {
  const row = (inF as usize) << 2;
  let i: usize = 0;
  for (const end = row & ~15; i < end; i += 16) {
    let a = v128.load(dx + i);
    for (let r = 0, from = w + i; r < rows; r++, from += row) {
      a = madd(a, v128.load32_splat(dy + (r << 2)), v128.load(from));
    }
    v128.store(dx + i, a);
  }
  addTail(dx, dy, w, row, i, rows);
}

/** The columns from byte i on that fill no vector. */
function addTail(dx: usize, dy: usize, w: usize, row: usize, i: usize, rows: i32): void {
  for (; i < row; i += 4) {
    let a = load<f32>(dx + i);
    for (let r = 0, from = w + i; r < rows; r++, from += row) {
      a += load<f32>(dy + (r << 2)) * load<f32>(from);
    }
    store<f32>(dx + i, a);
  }
}
