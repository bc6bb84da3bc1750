// y = activation(a · b + bias) for pairs of matrices: attention, linear layers of many rows, and the gradients of
// both. An item is a part of one product. It packs what it multiplies in memory of its thread: the products of
// attention are many and small, so that a thread finds both operands in its own cache.

import { addBias } from "./bias";
import { blockDepth, FIRST, gemmBlock, MR, NR, ROW, TALL, threadProduct } from "./gemm";
import {
  packA, packB, packedColumns, packedRows, packTransposedA, packTransposedB,
} from "./gemm_pack";
import { MatMulGeometry } from "./geometry";
import { inlinedPart, SILU } from "./inline/activate";
import { siluRows } from "./silu";
import { bytesForThreads, ceilDiv, claim, join, threads, threadScratch } from "./threads";

/** The most rows of y that make an item: each packs the columns of b again. */
const ROWS: i32 = 12 * TALL;
/** Columns of b that are packed at a time. */
const COLUMNS: i32 = 16 * NR;

/** Items that the threads want: enough that none of them waits long for the last. */
// @ts-ignore: decorator
@inline
function wantedItems(): i32 {
  return threads == 1 ? 1 : 4 * threads;
}

/**
 * Columns that make an item: all of them, unless whole items are too few for the threads. An item packs the rows
 * of a again.
 */
function columnsOfItem(g: MatMulGeometry): i32 {
  const n = g.n, whole = g.batch * ceilDiv(g.m, ROWS);
  return packedColumns(ceilDiv(n, min(ceilDiv(wantedItems(), whole), ceilDiv(n, COLUMNS))));
}

/** Rows that make an item: about the same in each, and fewer where there are still too few items. */
function rowsOfItem(g: MatMulGeometry): i32 {
  const m = g.m, wanted = ceilDiv(wantedItems(), g.batch * ceilDiv(g.n, columnsOfItem(g)));
  return min(m, ceilDiv(ceilDiv(m, max(wanted, ceilDiv(m, ROWS))), TALL) * TALL);
}

/** Floats of a block of rows of a, packed. */
function rowFloats(g: MatMulGeometry): i32 {
  return packedRows(rowsOfItem(g)) * blockDepth(g.k);
}

/** Bytes of scratch memory that a thread needs. */
function threadBytes(g: MatMulGeometry): f64 {
  return ((rowFloats(g) + packedColumns(min(g.n, COLUMNS)) * blockDepth(g.k)) << 2) as f64;
}

/** Bytes of scratch memory that matmul needs, in float64. */
export function matmulScratchSize(g: MatMulGeometry): f64 {
  return bytesForThreads(threadBytes(g));
}

/**
 * @param y [batch, m, n], written; with accumulate, added to
 * @param a [batch, m, k], or [batch, k, m] with transposeA
 * @param b [batch, k, n], or [batch, n, k] with transposeB
 * @param bias n floats, or 0 for none
 * @param activation a code of inline/activate.ts
 */
export function matmul(
  y: usize, a: usize, b: usize, bias: usize, scratch: usize, g: MatMulGeometry, activation: i32,
): void {
  const m = g.m, n = g.n, k = g.k, tall = rowsOfItem(g), wide = columnsOfItem(g);
  const across = ceilDiv(n, wide), parts = ceilDiv(m, tall) * across, items = g.batch * parts;
  const rowStep = g.transposeA ? 1 : k, columnStep = g.transposeB ? k : 1;
  const packed = threadScratch(scratch, threadBytes(g));
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const pair: usize = item / parts, part = item % parts, i = part / across * tall, j = part % across * wide;
    const rows = a + ((pair * (m as usize) * (k as usize) + (i as usize) * (rowStep as usize)) << 2);
    const columns = b + ((pair * (k as usize) * (n as usize) + (j as usize) * (columnStep as usize)) << 2);
    const to = y + (((pair * (m as usize) + (i as usize)) * (n as usize) + (j as usize)) << 2);
    const product = threadProduct();
    product.m = min(tall, m - i);
    multiply(to, rows, columns, bias ? bias + (j << 2) : 0, packed, min(wide, n - j), g, activation);
  }
  join(items);
}

/** `wide` columns of as many rows as the thread's product has. */
function multiply(
  y: usize, a: usize, b: usize, bias: usize, packed: usize, wide: i32, g: MatMulGeometry, activation: i32,
): void {
  const n = g.n, k = g.k, deep = blockDepth(k), step = (n as usize) << 2;
  const product = threadProduct(), m = product.m, packedB = packed + (rowFloats(g) << 2);
  product.ldc = n;
  product.bRow = ROW;
  for (let l = 0; l < k; l += deep) {
    const depth = min(deep, k - l);
    product.k = depth;
    product.aPanel = (depth * MR) << 2;
    product.bPanel = (depth * NR) << 2;
    product.flags = l == 0 && !g.accumulate ? FIRST : 0;
    if (g.transposeA) packTransposedA(packed, a + ((l * g.m) << 2), g.m, m, depth);
    else packA(packed, product.aPanel, a + (l << 2), k, m, depth);
    for (let j = 0; j < wide; j += COLUMNS) {
      const columns = min(COLUMNS, wide - j), to = y + (j << 2);
      product.n = columns;
      if (g.transposeB) packTransposedB(packedB, b + ((j * k + l) << 2), k, depth, columns);
      else packB(packedB, b + ((l * n + j) << 2), n, depth, columns);
      gemmBlock(to, packed, packedB, 0, product);
      if (l + depth < k) continue;
      addBias(to, step, m, columns, bias ? bias + (j << 2) : 0, inlinedPart(activation));
      if (activation == SILU) siluRows(to, step, m, columns);
    }
  }
}
