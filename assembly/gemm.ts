// C[m×n] (+)= A[m×k] · B[k×n]. Both operands are packed into panels, so that the inner loop reads
// memory in order (Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
//
//   A: panels of MR rows,    A[panel][k][MR]   rows beyond m are zero
//   B: panels of NR columns, B[panel][k][NR]   columns beyond n can hold anything and are not used
//
// A panel of B, KC × 8 floats, stays in the first-level cache while all rows of A are multiplied by it.
// Whole panels of a B that is not packed are used where they lie: bRow bytes from row to row, bPanel = ROW.

import {
  clamped4, CLAMPS, FIRST, gemm4x1, gemm4x8, gemm5x8, gemm8x4, KC, MR, NR, Product, RESIDUAL, ROW, TALL,
  TALL_DEPTH, TILE, zeroBias,
} from "./gemm_tiles";
import { EDGE_TILE, threadMemory } from "./threads";

export { CLAMPS, FIRST, KC, MR, NR, Product, RESIDUAL, ROW, TALL, threadProduct } from "./gemm_tiles";

/** Floats of packed A that stay in the second-level cache while all panels of B pass: 192 KB. */
const A_FLOATS: i32 = 128 * KC;

/**
 * One block of k: C[m×n] (+)= A[m×k] · B[k×n], for any m and n. Rows whose A stays in the second-level cache
 * are multiplied by all of B before the next rows. They are multiplied by as many panels of B as the
 * first-level cache holds before the next panels: with little depth, whole cache lines of C are written.
 * @param a the block's first column in A's first panel
 * @param bias m floats, or 0 for none
 */
export function gemmBlock(c: usize, a: usize, b: usize, bias: usize, product: Product): void {
  const m = product.m, n = product.n, k = product.k, row = (product.ldc as usize) << 2;
  const rows = max(1, A_FLOATS / (k * TALL)) * TALL, panels = max(1, KC / k), columns = panels * NR;
  for (let i = 0; i < m; i += rows, a += ((rows / MR) as usize) * product.aPanel) {
    const tile = c + (i as usize) * row, start = bias ? bias + (i << 2) : 0;
    for (let j = 0, bp = b; j < n; j += columns, bp += (panels as usize) * product.bPanel) {
      gemmPart(tile + (j << 2), a, bp, start, min(rows, m - i), min(columns, n - j), product);
    }
  }
}

/** Each panel of A is used on all of B before the next. */
function gemmPart(c: usize, a: usize, b: usize, bias: usize, m: i32, n: i32, product: Product): void {
  const k = product.k, ldc = product.ldc, flags = product.flags, row = (ldc as usize) << 2;
  const aPanel = product.aPanel, bPanel = product.bPanel, bRow = product.bRow;
  const whole = n / NR, rest = n % NR;
  const last = b + (whole as usize) * bPanel;
  let i = 0, ap = a, to = c;
  if (k >= TALL_DEPTH) {
    const step: usize = bias ? 4 * MR : 0;
    for (; i + TALL <= m; i += TALL, ap += 5 * aPanel, to += (TALL as usize) * row) {
      const start = bias ? bias + (i << 2) : zeroBias;
      for (let bp = b, tile = to; bp < last; bp += bPanel, tile += NR << 2) {
        for (let part: usize = 0; part < 4; part++) gemm5x8(tile, ap, bp, start, step, part);
      }
    }
  }
  for (; i < m; i += MR, ap += aPanel, to += (MR as usize) * row) {
    const start = bias ? bias + (i << 2) : 0;
    for (let bp = b, tile = to; bp < last; bp += bPanel, tile += NR << 2) {
      if (i + MR <= m) gemm4x8(tile, ldc, ap, bp, bRow, k, bias ? start : zeroBias, flags);
      else gemmEdge(tile, ap, bp, start, m - i, NR, product);
    }
  }
  if (rest == 0) return;
  const rows = rest <= NR / 2 ? 2 * MR : MR;
  c += (whole * NR) << 2;
  for (i = 0; i < m; i += rows, a += ((rows / MR) as usize) * aPanel, c += (rows as usize) * row) {
    gemmEdge(c, a, last, bias ? bias + (i << 2) : 0, min(rows, m - i), rest, product);
  }
}

/**
 * A tile, or two halves below each other, of which only rows × columns lie inside C: computed elsewhere,
 * then copied.
 */
function gemmEdge(
  c: usize, a: usize, b: usize, bias: usize, rows: i32, columns: i32, product: Product,
): void {
  const flags = product.flags, residual = product.residual;
  let from = threadMemory + EDGE_TILE;
  if (columns == 1) {
    gemm4x1(from, a, b, product.k);
    if (rows > MR) gemm4x1(from + TILE, a + product.aPanel, b, product.k);
  } else if (rows > MR) {
    gemm8x4(from, NR, a, product.aPanel, b, product.k);
  } else {
    gemm4x8(from, NR, a, b, product.bRow, product.k, zeroBias, FIRST);
  }
  for (let i = 0; i < rows; i++, from += NR << 2, c += product.ldc << 2) {
    const start = bias ? load<f32>(bias + (i << 2)) : 0;
    let at: usize = 0;
    for (const whole = ((columns & ~3) as usize) << 2; at < whole; at += 16) {
      let v = f32x4.add(v128.load(from + at), flags & FIRST ? f32x4.splat(start) : v128.load(c + at));
      if (flags & RESIDUAL) v = f32x4.add(v, v128.load(c + at + residual));
      v128.store(c + at, flags & CLAMPS ? clamped4(v) : v);
    }
    for (const end = (columns as usize) << 2; at < end; at += 4) {
      let v = load<f32>(from + at) + (flags & FIRST ? start : load<f32>(c + at));
      if (flags & RESIDUAL) v += load<f32>(c + at + residual);
      if (flags & CLAMPS) v = v < product.low ? product.low : v > product.high ? product.high : v;
      store<f32>(c + at, v);
    }
  }
}

/**
 * C[m×n] (+)= A[m×k] · B[k×n] without bias or activation, for m a multiple of 4, and n of 8 or with FIRST.
 * Each panel of A is used on all of B before the next, for when A comes from a slower cache than B. Columns
 * beyond n, up to a whole panel, may be overwritten.
 */
export function gemmPanels(c: usize, a: usize, b: usize, product: Product): void {
  const m = product.m, n = product.n, k = product.k, ldc = product.ldc;
  const rest = n % NR <= NR / 2 ? n % NR : 0, whole = ((n - rest + NR - 1) / NR) * NR;
  gemmPart(c, a, b, 0, m, whole, product);
  if (rest == 0) return;
  const panel = product.aPanel, last = b + ((whole / NR) as usize) * product.bPanel;
  let i = 0, to = c + (whole << 2);
  for (; i + 2 * MR <= m; i += 2 * MR, a += 2 * panel, to += (2 * MR * ldc) << 2) {
    gemm8x4(to, ldc, a, panel, last, k);
  }
  if (i < m) gemm4x8(to, ldc, a, last, ROW, k, zeroBias, FIRST);
}
