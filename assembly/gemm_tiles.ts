// The micro-kernels of a matrix product, C (+)= A · B on packed panels (gemm.ts). Each computes a tile of C,
// all sums of which stay in registers; x86 has 16 of four floats. gemm5x8 has five rows and eight columns.
//
// Engines that check the bounds of each access, as Deno's does, spend three instructions on a load. So loads
// are what these kernels save.

import { lane0, lane1, lane2, lane3, madd } from "./inline/lanes";
import { storeTransposed } from "./inline/transpose";
import { PRODUCT, threadMemory } from "./threads";

/** Rows of a panel of A, and columns of a panel of B. */
export const MR: i32 = 4;
export const NR: i32 = 8;
/** The most depth of a block. A panel of B takes 12 KB then, a good third of 32 KB, the first-level cache. */
export const KC: i32 = 384;

/** Bytes of a row of a panel of B. */
export const ROW: usize = 8 * 4;
/** Bytes of a tile of 4×8. */
export const TILE_BYTES: usize = 4 * 8 * 4;

/** Rows that four calls of gemm5x8 compute. */
export const TALL: i32 = 5 * MR;
/** The depth from which on gemm5x8 is faster than gemm4x8: it takes longer to begin and to end. */
export const TALL_DEPTH: i32 = 32;

/** Flags: what to do with the sums of a tile. */
export const FIRST: i32 = 1; // first block of k: add the bias or 0, not the old values of C
export const RESIDUAL: i32 = 2; // first block of k: add the residual
export const CLAMPS: i32 = 4; // last block of k: clamp the results

/** Four biases of 0, for products without one. */
export const zeroBias: usize = memory.data(4 * 4, 16);

/** The sizes of a product C[m×n] (+)= A[m×k] · B[k×n], and how its operands lie in memory. */
@unmanaged
export class Product {
  /** Rows of A and of C. */
  m: i32;
  /** Columns of B and of C. */
  n: i32;
  /** Columns of A, rows of B. */
  k: i32;
  /** Floats from one row of C to the next. */
  ldc: i32;
  /** Bytes from one panel of A to the next. */
  aPanel: usize;
  /** Bytes from one panel of B to the next. */
  bPanel: usize;
  /** Bytes from one row of B to the next: ROW if it is packed. */
  bRow: usize;
  /** FIRST, RESIDUAL and CLAMPS; or 0. */
  flags: i32;
  /** With RESIDUAL, bytes from C to the tensor that is added; 0 for C itself. */
  residual: usize;
  /** With CLAMPS, the least and the largest result. */
  low: f32;
  high: f32;
}

/** This thread's product, for gemmBlock and gemmPanels. The caller fills it in. */
// @ts-ignore: decorator
@inline
export function threadProduct(): Product {
  return changetype<Product>(threadMemory + PRODUCT);
}

/**
 * One whole tile: C[4×8] (+)= A[4×k] · B[k×8].
 *
 * One load fetches a float of each of A's four rows, and shuffles broadcast them: 3 loads for 8
 * multiply-adds. 8 accumulators just hide the latency of the adders.
 *
 * @param ldc floats from one row of C to the next
 * @param bRow bytes from one row of B to the next
 * @param bias 4 floats, read with FIRST
 */
export function gemm4x8(
  c: usize, ldc: i32, a: usize, b: usize, bRow: usize, k: i32, bias: usize, flags: i32,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (const end = a + ((k as usize) << 4); a < end; b += bRow, a += 16) {
    const b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a);
    let s = lane0(rows);
    c00 = madd(c00, s, b0);
    c01 = madd(c01, s, b1);
    s = lane1(rows);
    c10 = madd(c10, s, b0);
    c11 = madd(c11, s, b1);
    s = lane2(rows);
    c20 = madd(c20, s, b0);
    c21 = madd(c21, s, b1);
    s = lane3(rows);
    c30 = madd(c30, s, b0);
    c31 = madd(c31, s, b1);
  }
  const row = (ldc as usize) << 2;
  finishRow(c, c00, c01, bias, flags);
  finishRow(c + row, c10, c11, bias + 4, flags);
  finishRow(c + 2 * row, c20, c21, bias + 8, flags);
  finishRow(c + 3 * row, c30, c31, bias + 12, flags);
}

/** Four results between the product's bounds. A NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function clamped4(v: v128): v128 {
  const product = changetype<usize>(threadProduct());
  const low = v128.load32_splat(product, offsetof<Product>("low"));
  return f32x4.pmin(f32x4.pmax(v, low), v128.load32_splat(product, offsetof<Product>("high")));
}

/** Adds the bias or the old values of C to one row of a tile, clamps it, and stores it. */
// @ts-ignore: decorator
@inline
function finishRow(c: usize, v0: v128, v1: v128, bias: usize, flags: i32): void {
  if (flags & FIRST) {
    const s = v128.load32_splat(bias);
    v0 = f32x4.add(v0, s);
    v1 = f32x4.add(v1, s);
    if (flags & RESIDUAL) {
      const residual = c + threadProduct().residual;
      v0 = f32x4.add(v0, v128.load(residual));
      v1 = f32x4.add(v1, v128.load(residual, 16));
    }
  } else {
    v0 = f32x4.add(v0, v128.load(c));
    v1 = f32x4.add(v1, v128.load(c, 16));
  }
  if (flags & CLAMPS) {
    v0 = clamped4(v0);
    v1 = clamped4(v1);
  }
  v128.store(c, v0);
  v128.store(c, v1, 16);
}

/**
 * A quarter of twenty rows: C[5×8] (+)= A[5×k] · B[k×8]. The rows are those of one panel of A, and one row of
 * the fifth panel; so four calls share out five panels. It takes fewer instructions for each multiply-add than
 * gemm4x8: a load of B serves five rows, and four steps of k share the instructions of the loop.
 *
 * The loop can end after each of its four steps. Otherwise the compiler would sort the steps by accumulator,
 * and the operands of all four would not fit into the registers.
 *
 * @param c twenty rows of C
 * @param a five panels, of which the rows are taken
 * @param bias the bias of the twenty rows, read with FIRST; or zeroBias
 * @param biasStep bytes from four biases to the next four; 0 with zeroBias
 * @param part 0 … 3: which of the first four panels, and which row of the fifth
 */
export function gemm5x8(c: usize, a: usize, b: usize, bias: usize, biasStep: usize, part: usize): void {
  const product = threadProduct(), row = (product.ldc as usize) << 2, flags = product.flags;
  const bRow = product.bRow;
  let fifth = a + 4 * product.aPanel + (part << 2);
  a += part * product.aPanel;
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  let c40 = c00, c41 = c00, s = c00;
  for (const end = a + ((product.k as usize) << 4);; fifth += 64) {
    let b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = lane3(rows), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    if (a + 16 == end) break;
    b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a, 16);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = lane3(rows), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth, 16), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    if (a + 32 == end) break;
    b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a, 32);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = lane3(rows), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth, 32), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    if (a + 48 == end) break;
    b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a, 48);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = lane3(rows), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth, 48), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    a += 64;
    if (a == end) break;
  }
  const c4 = c + (16 + part) * row, bias4 = bias + 4 * biasStep + ((part * biasStep) >> 2);
  c += 4 * part * row;
  bias += part * biasStep;
  finishRow(c, c00, c01, bias, flags);
  finishRow(c + row, c10, c11, bias + 4, flags);
  finishRow(c + 2 * row, c20, c21, bias + 8, flags);
  finishRow(c + 3 * row, c30, c31, bias + 12, flags);
  finishRow(c4, c40, c41, bias4, flags);
}

/**
 * The first column of a tile, A[4×k] · B[k×1], to an edge tile, whose rows have NR floats. A plane of odd height
 * and width, 7×7 say, leaves one column over. Four sums hide the latency of the adders.
 */
export function gemm4x1(c: usize, a: usize, b: usize, k: i32): void {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (const end = b + (((k & ~3) as usize) << 5); b < end; b += 128, a += 64) {
    s0 = madd(s0, v128.load(a), v128.load32_splat(b));
    s1 = madd(s1, v128.load(a, 16), v128.load32_splat(b, 32));
    s2 = madd(s2, v128.load(a, 32), v128.load32_splat(b, 64));
    s3 = madd(s3, v128.load(a, 48), v128.load32_splat(b, 96));
  }
  for (const end = b + (((k & 3) as usize) << 5); b < end; b += 32, a += 16) {
    s0 = madd(s0, v128.load(a), v128.load32_splat(b));
  }
  s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  v128.store_lane<f32>(c, s0, 0);
  v128.store_lane<f32>(c, s0, 1, NR * 4);
  v128.store_lane<f32>(c, s0, 2, NR * 8);
  v128.store_lane<f32>(c, s0, 3, NR * 12);
}

/**
 * The left halves of two tiles below each other, C[8×4] = A[8×k] · B[k×4], written. It is gemm4x8 with the
 * places of A and B changed: the sums are columns of C.
 * @param panel bytes from one panel of A to the next
 */
export function gemm8x4(c: usize, ldc: i32, a: usize, panel: usize, b: usize, k: i32): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (const end = b + ((k as usize) << 5); b < end; b += 32, a += 16) {
    const a0 = v128.load(a), a1 = v128.load(a + panel), columns = v128.load(b);
    let s = lane0(columns);
    c00 = madd(c00, s, a0);
    c01 = madd(c01, s, a1);
    s = lane1(columns);
    c10 = madd(c10, s, a0);
    c11 = madd(c11, s, a1);
    s = lane2(columns);
    c20 = madd(c20, s, a0);
    c21 = madd(c21, s, a1);
    s = lane3(columns);
    c30 = madd(c30, s, a0);
    c31 = madd(c31, s, a1);
  }
  const row = (ldc as usize) << 2;
  storeTransposed(c, row, c00, c10, c20, c30);
  storeTransposed(c + 4 * row, row, c01, c11, c21, c31);
}
