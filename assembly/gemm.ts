// C[m×n] (+)= A[m×k] · B[k×n]. Both operands are packed into panels, so that the inner loop reads
// memory in order (Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
//
//   A: panels of MR rows,    A[panel][k][MR]   rows beyond m are zero
//   B: panels of NR columns, B[panel][k][NR]   columns beyond n can hold anything and are not used
//
// A panel of B, KC × 8 floats, stays in the first-level cache while all rows of A are multiplied by it.

import { activate, activate4 } from "./inline/activate";
import {
  ACTIVATION, FIRST, gemm4x1, gemm4x8, gemm6x8, gemm8x4, isTall, MR, NR, Product, RESIDUAL, TALL, TILE, zeroBias,
} from "./gemm_tiles";
import { EDGE_TILE, threadMemory } from "./threads";

export { ACTIVATION, FIRST, KC, MR, NR, Product, RESIDUAL, TALL, threadProduct } from "./gemm_tiles";

/**
 * One block of k: C[m×n] (+)= A[m×k] · B[k×n], for any m and n. Each panel of B is used on all of A
 * before the next.
 * @param a the block's first column in A's first panel
 * @param bias m floats, or 0 for none
 */
export function gemmBlock(c: usize, a: usize, b: usize, bias: usize, product: Product): void {
  const m = product.m, n = product.n, k = product.k, ldc = product.ldc, flags = product.flags;
  const aPanel = product.aPanel, bPanel = product.bPanel;
  for (let j = 0; j < n; j += NR, b += bPanel) {
    const columns = min(NR, n - j), step = columns <= NR / 2 ? 2 * MR : MR;
    let ap = a, i = 0;
    if (isTall(k) && columns == NR) {
      for (; i + TALL <= m; i += TALL, ap += 3 * aPanel) {
        const tile = c + (((i * ldc + j) as usize) << 2);
        const start = bias ? bias + ((i as usize) << 2) : zeroBias, step: usize = bias ? 4 * MR : 0;
        gemm6x8(tile, ap, b, start, step, 0);
        gemm6x8(tile, ap, b, start, step, 1);
      }
    }
    for (; i < m; i += step, ap += step == MR ? aPanel : 2 * aPanel) {
      const tile = c + (((i * ldc + j) as usize) << 2);
      if (i + MR <= m && columns == NR) {
        gemm4x8(tile, ldc, ap, b, k, bias ? bias + ((i as usize) << 2) : zeroBias, flags);
      } else {
        gemmEdge(tile, ap, b, bias ? bias + ((i as usize) << 2) : 0, min(step, m - i), columns, product);
      }
    }
  }
}

/**
 * A tile, or two halves below each other, of which only rows × columns lie inside C: computed elsewhere,
 * then copied.
 */
function gemmEdge(
  c: usize, a: usize, b: usize, bias: usize, rows: i32, columns: i32, product: Product,
): void {
  const flags = product.flags, residual = product.residual, activation = flags >> ACTIVATION;
  let from = threadMemory + EDGE_TILE;
  if (columns == 1) {
    gemm4x1(from, a, b, product.k);
    if (rows > MR) gemm4x1(from + TILE, a + product.aPanel, b, product.k);
  } else if (rows > MR) {
    gemm8x4(from, NR, a, product.aPanel, b, product.k);
  } else {
    gemm4x8(from, NR, a, b, product.k, zeroBias, FIRST);
  }
  for (let i = 0; i < rows; i++, from += NR << 2, c += product.ldc << 2) {
    const start = bias ? load<f32>(bias + (i << 2)) : 0;
    let at: usize = 0;
    for (const whole = ((columns & ~3) as usize) << 2; at < whole; at += 16) {
      let v = f32x4.add(v128.load(from + at), flags & FIRST ? f32x4.splat(start) : v128.load(c + at));
      if (flags & RESIDUAL) v = f32x4.add(v, v128.load(c + at + residual));
      v128.store(c + at, activate4(v, activation));
    }
    for (const end = (columns as usize) << 2; at < end; at += 4) {
      let v = load<f32>(from + at) + (flags & FIRST ? start : load<f32>(c + at));
      if (flags & RESIDUAL) v += load<f32>(c + at + residual);
      store<f32>(c + at, activate(v, activation));
    }
  }
}

/**
 * C[m×n] (+)= A[m×k] · B[k×n] without bias or activation, for m a multiple of 4, and n of 8 or with FIRST.
 * Each panel of A is used on all of B before the next, for when A comes from a slower cache than B. Columns
 * beyond n, up to a whole panel, may be overwritten.
 */
export function gemmPanels(c: usize, a: usize, b: usize, product: Product): void {
  const m = product.m, n = product.n, k = product.k, ldc = product.ldc, flags = product.flags;
  const aPanel = product.aPanel, bPanel = product.bPanel;
  const rest = n % NR <= NR / 2 ? n % NR : 0, whole = n - rest;
  let i = 0, to = c, ap = a;
  if (isTall(k)) {
    for (; i + TALL <= m; i += TALL, ap += 3 * aPanel, to += (TALL * ldc) << 2) {
      let tile = to, bp = b;
      for (let j = 0; j < whole; j += NR, tile += NR << 2, bp += bPanel) {
        gemm6x8(tile, ap, bp, zeroBias, 0, 0);
        gemm6x8(tile, ap, bp, zeroBias, 0, 1);
      }
    }
  }
  for (; i < m; i += MR, ap += aPanel, to += (MR * ldc) << 2) {
    let tile = to, bp = b;
    for (let j = 0; j < whole; j += NR, tile += NR << 2, bp += bPanel) {
      gemm4x8(tile, ldc, ap, bp, k, zeroBias, flags);
    }
  }
  if (rest == 0) return;
  b += ((whole / NR) as usize) * bPanel;
  c += whole << 2;
  for (i = 0; i + 2 * MR <= m; i += 2 * MR, a += 2 * aPanel, c += (2 * MR * ldc) << 2) {
    gemm8x4(c, ldc, a, aPanel, b, k);
  }
  if (i < m) gemm4x8(c, ldc, a, b, k, zeroBias, flags);
}
