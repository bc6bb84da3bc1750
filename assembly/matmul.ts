// y = a · b for pairs of matrices, both of which are computed: attention, and the gradients of it. An item is
// some rows of one product. It packs what it multiplies in memory of its thread: the products of attention
// are many and small, so that a thread finds both operands in its own cache.

import { blockDepth, FIRST, gemmBlock, MR, NR, ROW, TALL, threadProduct } from "./gemm";
import {
  packA, packB, packedColumns, packedRows, packTransposedA, packTransposedB,
} from "./gemm_pack";
import { MatMulGeometry } from "./geometry";
import { bytesForThreads, ceilDiv, claim, join, threads, threadScratch } from "./threads";

/** The most rows of y that make an item. */
const ROWS: i32 = 4 * TALL;
/** Columns of b that are packed at a time. */
const COLUMNS: i32 = 16 * NR;

/**
 * Rows that make an item: about the same in each, and fewer where the threads have too few items. Each item
 * packs b again.
 */
function rowsOfItem(g: MatMulGeometry): i32 {
  const m = g.m, wanted = threads == 1 ? 1 : ceilDiv(4 * threads, g.batch);
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
 * @param y [batch, m, n], written
 * @param a [batch, m, k], or [batch, k, m] with transposeA
 * @param b [batch, k, n], or [batch, n, k] with transposeB
 */
export function matmul(y: usize, a: usize, b: usize, scratch: usize, g: MatMulGeometry): void {
  const m = g.m, n = g.n, k = g.k, itemRows = rowsOfItem(g);
  const blocks = ceilDiv(m, itemRows), items = g.batch * blocks;
  const packed = threadScratch(scratch, threadBytes(g));
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const pair: usize = item / blocks, i = (item % blocks) * itemRows;
    const rows = a + ((pair * (m as usize) * (k as usize) + (i as usize) * (g.transposeA ? 1 : k)) << 2);
    const matrix = b + ((pair * (k as usize) * (n as usize)) << 2);
    const to = y + (((pair * (m as usize) + (i as usize)) * (n as usize)) << 2);
    multiply(to, rows, matrix, packed, min(itemRows, m - i), g);
  }
  join(items);
}

/** Some rows of a product. */
function multiply(y: usize, a: usize, b: usize, packed: usize, m: i32, g: MatMulGeometry): void {
  const n = g.n, k = g.k, deep = blockDepth(k), columns = packed + (rowFloats(g) << 2);
  const product = threadProduct();
  product.m = m;
  product.ldc = n;
  product.bRow = ROW;
  for (let l = 0; l < k; l += deep) {
    const depth = min(deep, k - l);
    product.k = depth;
    product.aPanel = (depth * MR) << 2;
    product.bPanel = (depth * NR) << 2;
    product.flags = l == 0 ? FIRST : 0;
    if (g.transposeA) packTransposedA(packed, a + ((l * g.m) << 2), g.m, m, depth);
    else packA(packed, product.aPanel, a + (l << 2), k, m, depth);
    for (let j = 0; j < n; j += COLUMNS) {
      const wide = min(COLUMNS, n - j);
      product.n = wide;
      if (g.transposeB) packTransposedB(columns, b + ((j * k + l) << 2), k, depth, wide);
      else packB(columns, b + ((l * n + j) << 2), n, depth, wide);
      gemmBlock(y + (j << 2), packed, columns, 0, product);
    }
  }
}
