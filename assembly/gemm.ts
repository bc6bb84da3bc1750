// C[m×n] (+)= A[m×k] · B[k×n]. Most networks spend most of their time here. Both operands are packed into
// panels (gemm_pack.ts), so that the inner loop reads memory in order (Goto & van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008).
//
//   A: panels of MR = 4 rows,    A[panel][k][4]   rows beyond m are zero
//   B: panels of NR = 8 columns, B[panel][k][8]   columns beyond n can hold anything and are not used
//
// This file divides C into tiles, and gemm_tiles.ts has a micro-kernel for each: gemm5x8 wherever twenty
// rows, five panels of A, are left; gemm4x8 for the panels after them, and for all with little depth. A tile
// at the edge of C is computed elsewhere, and copied. Callers divide k into blocks of at most KC: then a panel of B
// stays in the first-level cache while rows of A are multiplied by it.
//
// A row-major B need not be packed, as far as its panels are whole: the distance from panel to panel, bPanel,
// is then that of eight columns, ROW, and the distance from row to row, bRow, that of its rows.

import {
  clamped4, CLAMPS, FIRST, gemm4x1, gemm4x8, gemm5x8, gemm8x4, KC, MR, NR, Product, RESIDUAL, ROW, TALL,
  TALL_DEPTH, TILE_BYTES, zeroBias,
} from "./gemm_tiles";
import { ceilDiv, EDGE_TILE, threadMemory } from "./threads";

export { CLAMPS, FIRST, KC, MR, NR, Product, RESIDUAL, ROW, TALL, threadProduct } from "./gemm_tiles";

/** Floats of packed A that stay in the second-level cache while all panels of B pass: 256 KB. */
const A_FLOATS: i32 = 1 << 16;

/** The depth of the blocks that callers cut k into: at most KC, and all about the same. */
export function blockDepth(k: i32): i32 {
  return ceilDiv(k, ceilDiv(k, KC));
}

/**
 * C[m×n] (+)= A[m×k] · B[k×n] for one block of k, and any m and n.
 *
 * Two loops keep operands in the caches. The outer one takes as many rows of A as fit in the second level,
 * and multiplies them by all of B. The inner one takes as many panels of B as fit in the first level: one of
 * depth KC, or several shallow ones, so that whole cache lines of C are written.
 *
 * @param a the block's first column in A's first panel
 * @param bias m floats, or 0 for none
 */
export function gemmBlock(c: usize, a: usize, b: usize, bias: usize, product: Product): void {
  const m = product.m, n = product.n, k = product.k, row = (product.ldc as usize) << 2;
  const talls = ceilDiv(m, TALL), rows = ceilDiv(talls, ceilDiv(talls, max(1, A_FLOATS / (k * TALL)))) * TALL;
  const panels = max(1, KC / k), columns = panels * NR;
  for (let i = 0; i < m; i += rows, a += ((rows / MR) as usize) * product.aPanel) {
    const tile = c + (i as usize) * row, start = bias ? bias + (i << 2) : 0;
    for (let j = 0, bp = b; j < n; j += columns, bp += (panels as usize) * product.bPanel) {
      gemmPart(tile + (j << 2), a, bp, start, min(rows, m - i), min(columns, n - j), product);
    }
  }
}

/** A part of C. Five panels of A, or one, are multiplied by all panels of B before the next ones of A. */
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
 * A tile of which only rows × columns lie inside C. Its sums are computed in this thread's memory, and those
 * inside C are copied there. A tile of at most four columns takes two panels of A, and is 8×4.
 */
function gemmEdge(
  c: usize, a: usize, b: usize, bias: usize, rows: i32, columns: i32, product: Product,
): void {
  const flags = product.flags, residual = product.residual;
  let from = threadMemory + EDGE_TILE;
  if (columns == 1) {
    gemm4x1(from, a, b, product.k);
    if (rows > MR) gemm4x1(from + TILE_BYTES, a + product.aPanel, b, product.k);
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
 * The same without bias or clamps, for Winograd's many small products. It does without the two loops: all of B is
 * used on a panel of A before the next, which comes from a slower cache. m must be a multiple of 4, and n one of
 * 8 unless the product has FIRST. Columns of C beyond n, up to a whole panel, may be overwritten.
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
