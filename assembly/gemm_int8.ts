// C[m×n] = A[m×k] · B[k×n] in integers, scaled to float32: gemm.ts for 8 bits. Elements are words of several
// integers, and a product of words is the sum of the products of their integers.
//
//   A: weights of ±127, in panels of MR rows      A[panel][k][MR][LANES bytes]
//   B: inputs of 0 … 127, in panels of NR columns B[panel][k][NR][4 bytes]
//
// Each row has a step. Each column has a step, too, and an integer that stands for 0, both behind the words of
// its panel, or the same for all panels. With them,
//
//   C[i, j] = (Σ A[i, k] · B[k, j] − zero[j] · Σ A[i, k]) · step[i] · step[j] + bias[i]
//
// Wide inputs have 14 bits, in two words: B has the high halves of all words of depth, then the low ones.
// Both are multiplied by the same A, the sums of the first shifted by 7 bits.
//
// With relaxed SIMD a word has four lanes of 8 bits. No sum of two products then exceeds 16 bits, so the
// instruction gives the same result on every processor: x86 without VNNI adds two of them in 16 bits first.
// Without relaxed SIMD a word has two lanes of 16 bits. The sums are the same, and all that follows is
// computed without fused multiply-adds. So are the results.

import { MR, NR } from "./gemm_tiles";
import { lane0, lane1, lane2, lane3 } from "./inline/lanes";
import { loadUpTo, storeUpTo } from "./inline/part";
import { storeTransposed } from "./inline/transpose";
import { EDGE_TILE, PRODUCT, threadMemory } from "./threads";

/** Integers in a word. */
export const LANES: i32 = ASC_FEATURE_RELAXED_SIMD ? 4 : 2;
/** Bytes of a panel of A for each word of depth. */
export const A_STEP: i32 = MR * LANES;
/** Bytes of A that are multiplied by all of B before the next: they stay in the second-level cache. */
const A_BLOCK: i32 = 1 << 18;

/** What a product consists of. */
@unmanaged
export class IntProduct {
  /** Rows of A and of C. */
  m: i32;
  /** Columns of B and of C. */
  n: i32;
  /** Words of depth. */
  k: i32;
  /** Floats from one row of C to the next. */
  ldc: i32;
  /** Whether inputs have 14 bits. */
  isWide: i32;
  /** Bytes of a panel of B. */
  panel: usize;
  /** Steps of the columns of a panel, NR floats, then what stands for 0, NR integers. */
  columns: usize;
  /** Bytes from those of one panel to those of the next; 0 if they are the same. */
  columnStep: usize;
  /** Sums of the rows of A, m integers. */
  sums: usize;
  /** Steps of the rows of A, m floats. */
  scales: usize;
  /** m floats, or 0 for none. */
  bias: usize;
  /** Whether another tensor is added. */
  addsResidual: i32;
  /** Bytes from C to that tensor; 0 for C itself. */
  residual: usize;
  /** Results are clamped between these. */
  low: f32;
  high: f32;
}

/** This thread's product. The caller fills it in. */
// @ts-ignore: decorator
@inline
export function threadIntProduct(): IntProduct {
  return changetype<IntProduct>(threadMemory + PRODUCT);
}

/** Four words of weights. */
// @ts-ignore: decorator
@inline
function weights(a: usize): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? v128.load(a) : v128.load8x8_s(a);
}

/** Eight ones. V8 keeps what it loads in a register, but computes a constant wherever it is used. */
const ONES = memory.data<i16>([1, 1, 1, 1, 1, 1, 1, 1], 16);

/** acc + the products of four words. */
// @ts-ignore: decorator
@inline
function dot(acc: v128, w: v128, x: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
}

/** The same, or, with `splits`, by instructions that add the products in two steps. `ones` are eight ones. */
// @ts-ignore: decorator
@inline
function dotIn(splits: bool, acc: v128, w: v128, x: v128, ones: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD || !splits) return dot(acc, w, x);
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
}

/**
 * Whether the processor adds pairs of products in 16 bits, as x86 without VNNI does. This asks it for
 * 127 · 255 · 2, which does not fit in them. V8 uses five instructions there for `dot`, and three if it is split
 * in two.
 */
function splitsSums(): bool {
  if (!ASC_FEATURE_RELAXED_SIMD) return false;
  const v = i32x4.relaxed_dot_i8x16_i7x16_add_s(i8x16.splat(127), i8x16.splat(-1), i32x4.splat(0));
  return i32x4.extract_lane(v, 0) == 2 * 32767;
}

/**
 * C = the product, for any m and n. As many rows of A as stay in the second-level cache are multiplied by all of
 * B, panel by panel, before the next.
 */
export function gemmInt8(c: usize, a: usize, b: usize, product: IntProduct): void {
  const m = product.m, n = product.n, k = product.k, ldc = product.ldc;
  const isWide = product.isWide != 0, splits = splitsSums();
  const aPanel: usize = k * A_STEP, bPanel = product.panel;
  const block = max(2 * MR, (A_BLOCK / (k * LANES)) & ~(2 * MR - 1));
  for (let first = 0; first < m; first += block) {
    const last = min(m, first + block);
    let bp = b, steps = product.columns;
    for (let j = 0; j < n; j += NR, bp += bPanel, steps += product.columnStep) {
      const columns = min(NR, n - j), step = columns <= NR / 2 ? 2 * MR : MR;
      let ap = a + ((first / MR) as usize) * aPanel;
      for (let i = first; i < last; i += step) {
        const rows = min(step, last - i);
        const tile = c + (((i * ldc + j) as usize) << 2);
        if (step == MR) {
          const isWhole = rows == MR && columns == NR;
          if (splits) splitTile4x8(tile, ap, bp, steps, i, isWhole, product);
          else fusedTile4x8(tile, ap, bp, steps, i, isWhole, product);
          ap += aPanel;
          if (isWhole) continue;
        } else if (columns == 1) {
          tile4x1(0, ap, bp, k, isWide);
          if (rows > MR) tile4x1(MR, ap + aPanel, bp, k, isWide);
        } else {
          tile8x4(ap, rows > MR ? aPanel : 0, bp, k, isWide);
        }
        finishTile(tile, steps, i, rows, columns, product);
        if (step != MR) ap += 2 * aPanel;
      }
    }
  }
}

/** tile4x8 with whole dot products, and below with split ones: two loops, so that neither has to choose. */
function fusedTile4x8(
  c: usize, a: usize, b: usize, steps: usize, i: i32, isWhole: bool, product: IntProduct,
): void {
  tile4x8(false, c, a, b, steps, i, isWhole, product);
}

function splitTile4x8(
  c: usize, a: usize, b: usize, steps: usize, i: i32, isWhole: bool, product: IntProduct,
): void {
  tile4x8(true, c, a, b, steps, i, isWhole, product);
}

/**
 * Four rows and eight columns: to C, scaled, if all of them are in it, else to the edge tile. `i` is the first row,
 * and `steps` are those of the columns, followed by what stands for 0.
 */
// @ts-ignore: decorator
@inline
function tile4x8(
  splits: bool, c: usize, a: usize, b: usize, steps: usize, i: i32, isWhole: bool, product: IntProduct,
): void {
  let c00 = i32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  const ones = v128.load(ONES), panel = a, words = (product.k as usize) << 5;
  for (let isLast = product.isWide == 0;; isLast = true) {
    for (const end = b + words; b < end; b += 32, a += A_STEP) {
      const b0 = v128.load(b), b1 = v128.load(b, 16), w = weights(a);
      let s = lane0(w);
      c00 = dotIn(splits, c00, s, b0, ones);
      c01 = dotIn(splits, c01, s, b1, ones);
      s = lane1(w);
      c10 = dotIn(splits, c10, s, b0, ones);
      c11 = dotIn(splits, c11, s, b1, ones);
      s = lane2(w);
      c20 = dotIn(splits, c20, s, b0, ones);
      c21 = dotIn(splits, c21, s, b1, ones);
      s = lane3(w);
      c30 = dotIn(splits, c30, s, b0, ones);
      c31 = dotIn(splits, c31, s, b1, ones);
    }
    if (isLast) break;
    a = panel;
    c00 = i32x4.shl(c00, 7);
    c01 = i32x4.shl(c01, 7);
    c10 = i32x4.shl(c10, 7);
    c11 = i32x4.shl(c11, 7);
    c20 = i32x4.shl(c20, 7);
    c21 = i32x4.shl(c21, 7);
    c30 = i32x4.shl(c30, 7);
    c31 = i32x4.shl(c31, 7);
  }
  if (isWhole) {
    const at = i << 2, row: usize = product.ldc << 2;
    const sums = v128.load(product.sums + at), scales = v128.load(product.scales + at);
    const biases = product.bias ? v128.load(product.bias + at) : f32x4.splat(0);
    const step0 = v128.load(steps), step1 = v128.load(steps, 16);
    const zero0 = v128.load(steps, 32), zero1 = v128.load(steps, 48);
    let sum = lane0(sums), scale = lane0(scales), bias = lane0(biases);
    c00 = scaled(c00, zero0, sum, step0, scale, bias), c01 = scaled(c01, zero1, sum, step1, scale, bias);
    sum = lane1(sums), scale = lane1(scales), bias = lane1(biases);
    c10 = scaled(c10, zero0, sum, step0, scale, bias), c11 = scaled(c11, zero1, sum, step1, scale, bias);
    sum = lane2(sums), scale = lane2(scales), bias = lane2(biases);
    c20 = scaled(c20, zero0, sum, step0, scale, bias), c21 = scaled(c21, zero1, sum, step1, scale, bias);
    sum = lane3(sums), scale = lane3(scales), bias = lane3(biases);
    c30 = scaled(c30, zero0, sum, step0, scale, bias), c31 = scaled(c31, zero1, sum, step1, scale, bias);
    if (product.addsResidual) {
      const r0 = c + product.residual, r1 = r0 + row, r2 = r1 + row, r3 = r2 + row;
      c00 = f32x4.add(c00, v128.load(r0)), c01 = f32x4.add(c01, v128.load(r0, 16));
      c10 = f32x4.add(c10, v128.load(r1)), c11 = f32x4.add(c11, v128.load(r1, 16));
      c20 = f32x4.add(c20, v128.load(r2)), c21 = f32x4.add(c21, v128.load(r2, 16));
      c30 = f32x4.add(c30, v128.load(r3)), c31 = f32x4.add(c31, v128.load(r3, 16));
    }
    const low = f32x4.splat(product.low), high = f32x4.splat(product.high);
    storeRow(c, c00, c01, low, high);
    storeRow(c + row, c10, c11, low, high);
    storeRow(c + 2 * row, c20, c21, low, high);
    storeRow(c + 3 * row, c30, c31, low, high);
    return;
  }
  const to = threadMemory + EDGE_TILE;
  v128.store(to, c00);
  v128.store(to, c01, 16);
  v128.store(to, c10, 32);
  v128.store(to, c11, 48);
  v128.store(to, c20, 64);
  v128.store(to, c21, 80);
  v128.store(to, c30, 96);
  v128.store(to, c31, 112);
}

/** Eight rows and four columns, to the edge tile. */
function tile8x4(a: usize, panel: usize, b: usize, k: i32, isWide: bool): void {
  let c00 = i32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  const start = a;
  for (let isLast = !isWide;; isLast = true) {
    for (const end = b + ((k as usize) << 5); b < end; b += 32, a += A_STEP) {
      const a0 = weights(a), a1 = weights(a + panel), columns = v128.load(b);
      let s = lane0(columns);
      c00 = dot(c00, a0, s);
      c01 = dot(c01, a1, s);
      s = lane1(columns);
      c10 = dot(c10, a0, s);
      c11 = dot(c11, a1, s);
      s = lane2(columns);
      c20 = dot(c20, a0, s);
      c21 = dot(c21, a1, s);
      s = lane3(columns);
      c30 = dot(c30, a0, s);
      c31 = dot(c31, a1, s);
    }
    if (isLast) break;
    a = start;
    c00 = i32x4.shl(c00, 7);
    c01 = i32x4.shl(c01, 7);
    c10 = i32x4.shl(c10, 7);
    c11 = i32x4.shl(c11, 7);
    c20 = i32x4.shl(c20, 7);
    c21 = i32x4.shl(c21, 7);
    c30 = i32x4.shl(c30, 7);
    c31 = i32x4.shl(c31, 7);
  }
  const to = threadMemory + EDGE_TILE, row: usize = NR * 4;
  storeTransposed(to, row, c00, c10, c20, c30);
  storeTransposed(to + 4 * row, row, c01, c11, c21, c31);
}

/** Four rows and one column, to the edge tile from a row on. Four sums hide the latency. */
function tile4x1(row: i32, a: usize, b: usize, k: i32, isWide: bool): void {
  const start = a;
  let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (let isLast = !isWide;; isLast = true) {
    for (const end = b + (((k & ~3) as usize) << 5); b < end; b += 128, a += 4 * A_STEP) {
      s0 = dot(s0, weights(a), v128.load32_splat(b));
      s1 = dot(s1, weights(a + A_STEP), v128.load32_splat(b, 32));
      s2 = dot(s2, weights(a + 2 * A_STEP), v128.load32_splat(b, 64));
      s3 = dot(s3, weights(a + 3 * A_STEP), v128.load32_splat(b, 96));
    }
    for (const end = b + (((k & 3) as usize) << 5); b < end; b += 32, a += A_STEP) {
      s0 = dot(s0, weights(a), v128.load32_splat(b));
    }
    s0 = i32x4.add(i32x4.add(s0, s1), i32x4.add(s2, s3));
    if (isLast) break;
    a = start;
    s0 = i32x4.shl(s0, 7);
    s1 = i32x4.splat(0), s2 = s1, s3 = s1;
  }
  const to = threadMemory + EDGE_TILE + row * NR * 4;
  v128.store_lane<i32>(to, s0, 0);
  v128.store_lane<i32>(to, s0, 1, NR * 4);
  v128.store_lane<i32>(to, s0, 2, NR * 8);
  v128.store_lane<i32>(to, s0, 3, NR * 12);
}

/** Sums of one row as floats. */
// @ts-ignore: decorator
@inline
function scaled(v: v128, zeros: v128, sum: v128, steps: v128, scale: v128, bias: v128): v128 {
  const exact = f32x4.convert_i32x4_s(i32x4.sub(v, i32x4.mul(zeros, sum)));
  return f32x4.add(f32x4.mul(exact, f32x4.mul(steps, scale)), bias);
}

/** Stores a row of a tile, between two bounds. */
// @ts-ignore: decorator
@inline
function storeRow(c: usize, v0: v128, v1: v128, low: v128, high: v128): void {
  v128.store(c, f32x4.pmin(f32x4.pmax(v0, low), high));
  v128.store(c, f32x4.pmin(f32x4.pmax(v1, low), high), 16);
}

/** Scales and stores rows × columns of the edge tile; `i` is its first row. */
function finishTile(
  c: usize, steps: usize, i: i32, rows: i32, columns: i32, product: IntProduct,
): void {
  const low = f32x4.splat(product.low), high = f32x4.splat(product.high);
  const adds = product.addsResidual, residual = product.residual, ldc: usize = product.ldc << 2;
  let from = threadMemory + EDGE_TILE;
  let sums = product.sums + (i << 2), scales = product.scales + (i << 2);
  let bias = product.bias ? product.bias + (i << 2) : 0;
  for (const end = from + rows * NR * 4; from < end; c += ldc) {
    const sum = v128.load32_splat(sums), scale = v128.load32_splat(scales);
    const b = bias ? v128.load32_splat(bias) : f32x4.splat(0);
    let to = c, column = steps;
    for (let left = columns; left > 0; left -= 4, from += 16, to += 16, column += 16) {
      let v = scaled(v128.load(from), v128.load(column, NR * 4), sum, v128.load(column), scale, b);
      if (adds) v = f32x4.add(v, loadUpTo(to + residual, left));
      storeUpTo(to, f32x4.pmin(f32x4.pmax(v, low), high), left);
    }
    if (columns <= 4) from += 16;
    sums += 4, scales += 4;
    if (bias) bias += 4;
  }
}
