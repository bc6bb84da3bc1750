// The gradients of y[n, o] = x[n, :] · w[o, :] + b[o]. That of w is a product of gemm.ts. That of x reads
// each row of w once: w is large, and comes from memory.

import { gemmBlock, MR, NR, ROW, threadProduct } from "./gemm";
import { packB, packedRows, packTransposedA } from "./gemm_pack";
import { LinearGeometry } from "./geometry";
import { madd } from "./inline/lanes";
import { ceilDiv, claim, join, rowsPerItem, threads } from "./threads";

/** Rows of dw that make an item: whole panels. */
const ROWS: i32 = 48;

/** Bytes of scratch memory that linearBackwardWeight needs, in float64. */
export function linearBackwardScratchSize(g: LinearGeometry): f64 {
  return (g.n as f64) * ((packedRows(g.outF) as f64) + (g.inF as f64) + 8) * 4;
}

/**
 * dw[outF, inF] += dyᵀ · x.
 * @param dy [n, outF]
 * @param x [n, inF]
 */
export function linearBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize, g: LinearGeometry,
): void {
  const n = g.n, inF = g.inF, outF = g.outF;
  const b = scratch + ((packedRows(outF) * n) << 2);
  const wide = max(1, rowsPerItem(n) / NR) * NR, packs = 1 + ceilDiv(inF, wide);
  for (let i = claim(packs); i >= 0; i = claim(packs)) {
    const c = (i - 1) * wide;
    if (i == 0) packTransposedA(scratch, dy, outF, outF, n);
    else packB(b + ((c * n) << 2), x + (c << 2), inF, n, min(wide, inF - c));
  }
  join(packs);

  const product = threadProduct();
  product.n = inF;
  product.k = n;
  product.ldc = inF;
  product.bPanel = (n * NR) << 2;
  product.bRow = ROW;
  product.flags = 0;
  // panel by panel, so that dw is written in order
  const items = ceilDiv(outF, ROWS);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    for (let o = i * ROWS, end = min(o + ROWS, outF); o < end; o += MR) {
      const to = dw + (((o as usize) * (inF as usize)) << 2);
      product.m = min(MR, outF - o);
      gemmBlock(to, scratch + ((o * n) << 2), b, 0, product);
    }
  }
  join(items);
}

/** Rows of w that linearBackwardInput takes at a time: as many as the first-level cache has ways. */
const WAYS: i32 = 8;

/**
 * dx[n, inF] = dy · w, written. Each thread takes some columns of w. A single thread takes them all,
 * because memory delivers whole rows faster.
 * @param dy [n, outF]
 * @param w [outF, inF]
 */
export function linearBackwardInput(dx: usize, dy: usize, w: usize, g: LinearGeometry): void {
  const inF = g.inF;
  const wide = threads == 1 ? inF : ceilDiv(inF, threads * 2 * 16) * 16, items = ceilDiv(inF, wide);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const c = i * wide;
    columns(dx + (c << 2), dy, w + (c << 2), min(wide, inF - c), g);
  }
  join(items);
}

/** The first `wide` columns of dx from those of w. */
function columns(dx: usize, dy: usize, w: usize, wide: i32, g: LinearGeometry): void {
  const n = g.n, inF = g.inF, outF = g.outF;
  const row = (inF as usize) << 2, end = (wide as usize) << 2;
  for (let s = 0; s < n; s++) memory.fill(dx + (s as usize) * row, 0, end);
  for (let o = 0; o < outF; o += WAYS, w += (WAYS as usize) * row) {
    const rows = min(WAYS, outF - o);
    let s = 0;
    for (; s + 4 <= n; s += 4) {
      addRows4(dx + (s as usize) * row, dy + ((s * outF + o) << 2), w, row, end, outF, rows);
    }
    for (; s < n; s++) {
      addRows1(dx + (s as usize) * row, dy + ((s * outF + o) << 2), w, row, end, rows);
    }
  }
}

/** dx[i] += Σ dy[r] · w[r, i] over `rows` rows, for four samples, 8 columns at a time. */
function addRows4(
  dx: usize, dy: usize, w: usize, row: usize, end: usize, outF: i32, rows: i32,
): void {
  const sample = (outF as usize) << 2;
  const dx1 = dx + row, dx2 = dx1 + row, dx3 = dx2 + row;
  const dy1 = dy + sample, dy2 = dy1 + sample, dy3 = dy2 + sample;
  let i: usize = 0;
  for (const whole = end & ~31; i < whole; i += 32) {
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
  for (let s: usize = 0; s < 4; s++) {
    addTail(dx + s * row, dy + s * sample, w, row, i, end, rows);
  }
}

/** The same for one sample, 4 columns at a time. */
function addRows1(dx: usize, dy: usize, w: usize, row: usize, end: usize, rows: i32): void {
  let i: usize = 0;
  for (const whole = end & ~15; i < whole; i += 16) {
    let a = v128.load(dx + i);
    for (let r = 0, from = w + i; r < rows; r++, from += row) {
      a = madd(a, v128.load32_splat(dy + (r << 2)), v128.load(from));
    }
    v128.store(dx + i, a);
  }
  addTail(dx, dy, w, row, i, end, rows);
}

/** The columns from byte i on, which do not fill a vector. */
function addTail(
  dx: usize, dy: usize, w: usize, row: usize, i: usize, end: usize, rows: i32,
): void {
  for (; i < end; i += 4) {
    let a = load<f32>(dx + i);
    for (let r = 0, from = w + i; r < rows; r++, from += row) {
      a += load<f32>(dy + (r << 2)) * load<f32>(from);
    }
    store<f32>(dx + i, a);
  }
}
