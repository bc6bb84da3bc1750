// The micro-kernels of a matrix product, C (+)= A · B on packed panels (gemm.ts). Each computes a tile of C,
// all sums of which stay in registers; x86 has 16 of four floats. gemm5x8 has five rows and eight columns.
//
// Engines that check the bounds of each access, as Deno's does, spend three instructions on a load. So loads
// are what these kernels save: one fetches four floats, and shuffles broadcast them. But shuffles are computed
// where multiply-adds are, and take their place. So a second load broadcasts the last of the four. It ends at the
// same byte as the first one, and the engine checks that byte only once.

import { lane0, lane1, lane2, madd } from "./inline/lanes";
import { storeTransposed } from "./inline/transpose";
import { PRODUCT, threadMemory } from "./threads";

/** Rows of a panel of A, and columns of a panel of B. */
export const MR: i32 = 4;
export const NR: i32 = 8;
/** The most depth of a block. A panel of B takes 24 KB then, most of 32 KB, the first-level cache. */
export const KC: i32 = 768;

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
 * One load fetches a float of each of A's four rows: 4 loads for 8 multiply-adds. 8 accumulators just hide
 * the latency of the adders.
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
    s = v128.load32_splat(a, 12);
    c30 = madd(c30, s, b0);
    c31 = madd(c31, s, b1);
  }
  const row = (ldc as usize) << 2;
  if (flags & FIRST) {
    const biases = v128.load(bias);
    let s = lane0(biases);
    c00 = f32x4.add(c00, s), c01 = f32x4.add(c01, s);
    s = lane1(biases), c10 = f32x4.add(c10, s), c11 = f32x4.add(c11, s);
    s = lane2(biases), c20 = f32x4.add(c20, s), c21 = f32x4.add(c21, s);
    s = v128.load32_splat(bias, 12), c30 = f32x4.add(c30, s), c31 = f32x4.add(c31, s);
  }
  if ((flags & (FIRST | RESIDUAL)) != FIRST) {
    const r0 = flags & FIRST ? c + threadProduct().residual : c, r1 = r0 + row, r2 = r1 + row, r3 = r2 + row;
    c00 = f32x4.add(c00, v128.load(r0)), c01 = f32x4.add(c01, v128.load(r0, 16));
    c10 = f32x4.add(c10, v128.load(r1)), c11 = f32x4.add(c11, v128.load(r1, 16));
    c20 = f32x4.add(c20, v128.load(r2)), c21 = f32x4.add(c21, v128.load(r2, 16));
    c30 = f32x4.add(c30, v128.load(r3)), c31 = f32x4.add(c31, v128.load(r3, 16));
  }
  if (flags & CLAMPS) {
    const low = least(), high = largest();
    c00 = clamp4(c00, low, high), c01 = clamp4(c01, low, high);
    c10 = clamp4(c10, low, high), c11 = clamp4(c11, low, high);
    c20 = clamp4(c20, low, high), c21 = clamp4(c21, low, high);
    c30 = clamp4(c30, low, high), c31 = clamp4(c31, low, high);
  }
  storeRow(c, c00, c01);
  storeRow(c + row, c10, c11);
  storeRow(c + 2 * row, c20, c21);
  storeRow(c + 3 * row, c30, c31);
}

/** The least result of this thread's product, with CLAMPS, in all lanes. */
// @ts-ignore: decorator
@inline
function least(): v128 {
  return v128.load32_splat(changetype<usize>(threadProduct()), offsetof<Product>("low"));
}

/** The largest result. */
// @ts-ignore: decorator
@inline
function largest(): v128 {
  return v128.load32_splat(changetype<usize>(threadProduct()), offsetof<Product>("high"));
}

/** Four results between two bounds. A NaN stays NaN. */
// @ts-ignore: decorator
@inline
function clamp4(v: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(v, low), high);
}

/** Four results between the product's bounds. */
// @ts-ignore: decorator
@inline
export function clamped4(v: v128): v128 {
  return clamp4(v, least(), largest());
}

/** Stores a row of a tile. */
// @ts-ignore: decorator
@inline
function storeRow(c: usize, v0: v128, v1: v128): void {
  v128.store(c, v0);
  v128.store(c, v1, 16);
}

/**
 * A quarter of twenty rows: C[5×8] (+)= A[5×k] · B[k×8]. The rows are those of one panel of A, and one row of
 * the fifth panel; so four calls share out five panels. It takes fewer instructions for each multiply-add than
 * gemm4x8: a load of B serves five rows, and four steps of k share the start of the loop, where engines look for
 * interrupts.
 *
 * The loop can end after each of its four steps. Otherwise the compiler would sort the steps by accumulator,
 * and the operands of all four would not fit into the registers. Addresses are counted up after each step:
 * constant offsets would take more instructions, as each has a bound of its own.
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
  for (const end = b + (product.k as usize) * bRow;;) {
    let b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(a, 12), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    a += 16;
    fifth += 16;
    if (b == end) break;
    b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(a, 12), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    a += 16;
    fifth += 16;
    if (b == end) break;
    b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(a, 12), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    a += 16;
    fifth += 16;
    if (b == end) break;
    b0 = v128.load(b), b1 = v128.load(b, 16), rows = v128.load(a);
    s = lane0(rows), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = lane1(rows), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = lane2(rows), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(a, 12), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(fifth), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    b += bRow;
    a += 16;
    fifth += 16;
    if (b == end) break;
  }
  const fifthBias = bias + 4 * biasStep + ((part * biasStep) >> 2);
  bias += part * biasStep;
  const c4 = c + (16 + part) * row;
  c += 4 * part * row;
  if (flags & FIRST) {
    const biases = v128.load(bias);
    s = lane0(biases), c00 = f32x4.add(c00, s), c01 = f32x4.add(c01, s);
    s = lane1(biases), c10 = f32x4.add(c10, s), c11 = f32x4.add(c11, s);
    s = lane2(biases), c20 = f32x4.add(c20, s), c21 = f32x4.add(c21, s);
    s = v128.load32_splat(bias, 12), c30 = f32x4.add(c30, s), c31 = f32x4.add(c31, s);
    s = v128.load32_splat(fifthBias), c40 = f32x4.add(c40, s), c41 = f32x4.add(c41, s);
  }
  if ((flags & (FIRST | RESIDUAL)) != FIRST) {
    const r0 = flags & FIRST ? c + product.residual : c, r1 = r0 + row, r2 = r1 + row, r3 = r2 + row;
    c00 = f32x4.add(c00, v128.load(r0)), c01 = f32x4.add(c01, v128.load(r0, 16));
    c10 = f32x4.add(c10, v128.load(r1)), c11 = f32x4.add(c11, v128.load(r1, 16));
    c20 = f32x4.add(c20, v128.load(r2)), c21 = f32x4.add(c21, v128.load(r2, 16));
    c30 = f32x4.add(c30, v128.load(r3)), c31 = f32x4.add(c31, v128.load(r3, 16));
    const r4 = r0 + (c4 - c);
    c40 = f32x4.add(c40, v128.load(r4)), c41 = f32x4.add(c41, v128.load(r4, 16));
  }
  if (flags & CLAMPS) {
    const low = least(), high = largest();
    c00 = clamp4(c00, low, high), c01 = clamp4(c01, low, high);
    c10 = clamp4(c10, low, high), c11 = clamp4(c11, low, high);
    c20 = clamp4(c20, low, high), c21 = clamp4(c21, low, high);
    c30 = clamp4(c30, low, high), c31 = clamp4(c31, low, high);
    c40 = clamp4(c40, low, high), c41 = clamp4(c41, low, high);
  }
  storeRow(c, c00, c01);
  storeRow(c + row, c10, c11);
  storeRow(c + 2 * row, c20, c21);
  storeRow(c + 3 * row, c30, c31);
  storeRow(c4, c40, c41);
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
    s = v128.load32_splat(b, 12);
    c30 = madd(c30, s, a0);
    c31 = madd(c31, s, a1);
  }
  const row = (ldc as usize) << 2;
  storeTransposed(c, row, c00, c10, c20, c30);
  storeTransposed(c + 4 * row, row, c01, c11, c21, c31);
}
