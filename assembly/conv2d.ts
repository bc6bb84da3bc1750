// 2-D convolution (cross-correlation, as in every deep-learning library) as a matrix product:
//   y[n, o, :] = W[o, k] · columns(x[n])[k, :] + b[o],   k = (c, ky, kx), a column per output pixel
// Each block of the column matrix (columns.ts), KC deep and NC wide, is packed right before it is
// multiplied, so that the product reads it from a cache. Some 1×1 convolutions need no column matrix: their
// input is one. A 1-D convolution has height 1.
//
// An item, the work that a thread claims, is a block of columns of one group of channels of one sample, with all
// rows of W; or with some of them, where there are too few blocks for the threads.

import { addColumns, cropImage, fillOffsets, packColumns, packColumnsTransposed, padImage } from "./columns";
import { blockDepth, CLAMPS, FIRST, gemmBlock, KC, MR, NR, RESIDUAL, ROW, TALL, threadProduct } from "./gemm";
import { packA, packB, packedColumns, packedRows, packTransposedA } from "./gemm_pack";
import { Conv2dGeometry, FilterGeometry, FusedConv2dGeometry } from "./geometry";
import { HARDSWISH, highest, lowest, NONE, SILU } from "./inline/activate";
import { hardswishRows, siluRows } from "./silu";
import { bytesForThreads, ceilDiv, claim, join, threads, threadScratch } from "./threads";

/** Columns packed at a time, such as AlexNet's 27 · 27 pixels in whole panels: with KC rows, 2.3 MB. */
const NC: i32 = 736;
/** Weights that stay in the second-level cache: 256 KB. */
const CACHED_WEIGHTS: i32 = 1 << 16;
/** Rows of the column matrix that conv2dBackwardInput computes at a time: 565 KB with NC. */
const RC: i32 = 192;

/** Floats that conv2dPack writes, in float64. */
export function conv2dPackedSize(g: FilterGeometry): f64 {
  return (g.groups as f64) * (packedRows(g.outC / g.groups) as f64) * (g.filterSize as f64);
}

/** Lays out weights [outC, k] for conv2d: group by group, in panels of 4 rows. */
export function conv2dPack(packed: usize, w: usize, g: FilterGeometry): void {
  const groups = g.groups, k = g.filterSize, m = g.outC / groups;
  for (let i = 0; i < groups; i++) {
    packA(packed + ((i * packedRows(m) * k) << 2), (MR * k) << 2, w + ((i * m * k) << 2), k, m, k);
  }
}

/** Bytes of scratch memory that conv2d needs. In float64, which can hold more than 32 bits. */
export function conv2dScratchSize(g: Conv2dGeometry): f64 {
  return bytesForThreads(threadBytes(g));
}

/** Bytes for each thread: a padded group of channels, the offsets of k, and a block of columns, aligned. */
function threadBytes(g: Conv2dGeometry): f64 {
  const padded = g.isPadded ? paddedFloats(g) : 0;
  return (padded + filterFloats(g) + (KC * NC) as f64) * 4 + 16;
}

/** Floats of a padded group of channels. */
function paddedFloats(g: Conv2dGeometry): f64 {
  const h = (g.h as f64) + (g.top as f64) + (g.bottom as f64);
  const w = (g.w as f64) + (g.left as f64) + (g.right as f64);
  return (g.groupInC as f64) * h * w;
}

/** Weights of one output channel. */
function filterFloats(g: Conv2dGeometry): f64 {
  return (g.groupInC as f64) * (g.kh as f64) * (g.kw as f64);
}

/**
 * Columns that make an item: few enough for all threads to end at about the same time. Each item reads the
 * weights again, so it is wider where they do not stay in the second-level cache.
 */
function columnsPerItem(images: i32, pixels: i32, weights: i32): i32 {
  if (threads == 1) return NC;
  const each = ceilDiv(pixels, ceilDiv(8 * threads, images));
  return min(NC, max(weights > CACHED_WEIGHTS ? 4 * NR : 2 * NR, packedColumns(each)));
}

/** Rows that make an item: all m, unless there are too few items of columns for the threads. */
function rowsOfItem(m: i32, columnItems: i32): i32 {
  if (threads == 1 || columnItems >= 4 * threads) return m;
  return ceilDiv(ceilDiv(m, ceilDiv(4 * threads, columnItems)), TALL) * TALL;
}

/**
 * Whether the product reads the input where it lies, as a matrix of inC × pixels: in 1×1 convolutions without
 * stride to few outputs, which would read packed columns too rarely. But small planes are faster packed. So are
 * planes whose size is a multiple of a large power of two, `pixels & -pixels`: the rows of a panel, a plane apart,
 * would then lie in a few sets of the cache, and evict each other. In one with 64 sets, at most 16 may share one.
 */
function isReadDirectly(g: Conv2dGeometry): bool {
  const k = g.filterSize, pixels = g.oh * g.ow;
  if (k != g.groupInC || g.isPadded || g.strideH != 1 || g.strideW != 1) return false;
  return g.groupOutC <= 128 && pixels >= 128 && min(KC, k) * (pixels & -pixels) <= 1 << 14;
}

/**
 * y[n, outC, oh, ow] = activation(x[n, inC, h, w] ⋆ w + b + residual), written.
 * @param packed weights from conv2dPack
 * @param bias outC floats, or 0 for none
 * @param scratch conv2dScratchSize bytes
 */
export function conv2d(
  y: usize, x: usize, packed: usize, bias: usize, scratch: usize, g: FusedConv2dGeometry,
): void {
  const c = g.groupInC, m = g.groupOutC, k = g.filterSize, pixels = g.oh * g.ow, groups = g.groups;
  const pad = g.isPadded, inputSize = c * g.h * g.w, paddedSize = c * g.paddedH * g.paddedW;

  const padded = threadScratch(scratch, threadBytes(g));
  const offsets = padded + ((pad ? paddedSize as usize : 0) << 2);
  const block = (offsets + (k << 2) + 15) & ~15;
  fillOffsets(offsets, g);

  const product = threadProduct();
  product.ldc = pixels;
  product.aPanel = (MR * k) << 2;
  product.residual = g.residual;
  product.low = lowest(g.activation);
  product.high = highest(g.activation);
  const begins = FIRST | (g.addsResidual ? RESIDUAL : 0), ends = g.activation == NONE ? 0 : CLAMPS;

  const images = g.n * groups, blockColumns = columnsPerItem(images, pixels, m * k);
  const blocks = ceilDiv(pixels, blockColumns);
  const blockRows = rowsOfItem(m, images * blocks), rowBlocks = ceilDiv(m, blockRows);
  const items = images * blocks * rowBlocks;
  // where a block can hold the whole depth, this thread's next item uses it again for other rows
  const isWhole = (k as f64) * (packedColumns(blockColumns) as f64) <= (KC * NC) as f64;
  const direct = isReadDirectly(g), deep = blockDepth(k);
  let paddedImage = -1, packedItem = -1;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const columnItem = item / rowBlocks, row = item % rowBlocks * blockRows;
    const s = columnItem / blocks, j = columnItem % blocks * blockColumns;
    const columns = min(blockColumns, pixels - j), rows = min(blockRows, m - row);
    const group = s % groups;
    const a = packed + (((group * packedRows(m) + row) * k) << 2);
    const out = y + (((s * m + row) * pixels + j) << 2);
    const itemBias = bias ? bias + ((group * m + row) << 2) : 0;
    let image = x + ((s * inputSize) << 2);
    if (pad) {
      if (s != paddedImage) padImage(padded, image, g);
      paddedImage = s;
      image = padded;
    }
    product.m = rows;
    const whole = direct ? columns & ~(NR - 1) : 0, packedCount = columns - whole;
    const isPacked = isWhole && columnItem == packedItem;
    packedItem = columnItem;
    for (let l = 0, b = block; l < k; l += deep) {
      const depth = min(deep, k - l);
      product.k = depth;
      product.flags = (l == 0 ? begins : 0) | (l + depth == k ? ends : 0);
      if (whole > 0) {
        product.n = whole;
        product.bPanel = ROW;
        product.bRow = pixels << 2;
        gemmBlock(out, a + ((l * MR) << 2), image + ((l * pixels + j) << 2), itemBias, product);
      }
      if (packedCount == 0) continue;
      if (!isPacked) packColumns(b, image, offsets + (l << 2), depth, j + whole, packedCount, g);
      product.n = packedCount;
      product.bPanel = (depth * NR) << 2;
      product.bRow = ROW;
      gemmBlock(out + (whole << 2), a + ((l * MR) << 2), b, itemBias, product);
      if (isWhole) b += (depth * packedColumns(packedCount)) << 2;
    }
    if (g.activation == HARDSWISH) hardswishRows(out, pixels << 2, rows, columns);
    if (g.activation == SILU) siluRows(out, pixels << 2, rows, columns);
  }
  join(items);
}

/** Bytes of scratch memory that conv2dBackwardWeight and conv2dBackwardInput need, in float64. */
export function conv2dBackwardScratchSize(g: Conv2dGeometry): f64 {
  return bytesForThreads(backwardThreadBytes(g));
}

/** Bytes for each thread. */
function backwardThreadBytes(g: Conv2dGeometry): f64 {
  const outputs = g.groupOutC, m = packedRows(outputs) as f64;
  const padded = g.isPadded ? paddedFloats(g) : 0;
  const samples = samplesPerBlock(g.n, g.oh * g.ow) as f64;
  const dy = max(m * (KC as f64), (outputs as f64) * (NC as f64));
  const columns = max(KC, RC) * NC;
  return (padded * samples + filterFloats(g) + dy + (columns as f64)) * 4 + 16;
}

/** Samples whose pixels make one block of depth; one, if its pixels alone are more. */
// @ts-ignore: decorator
@inline
function samplesPerBlock(n: i32, pixels: i32): i32 {
  return min(n, max(1, KC / min(KC, pixels)));
}

/**
 * dw[outC, inC/groups, kh, kw] += dy · columnsᵀ, summed over samples and pixels. The depth of the product is the
 * pixels; those of several small samples make one block.
 *
 * @param dy [n, outC, oh, ow]
 * @param x [n, inC, h, w]
 */
export function conv2dBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize, g: Conv2dGeometry,
): void {
  const n = g.n, inC = g.inC, outC = g.outC, groups = g.groups;
  const c = g.groupInC, m = g.groupOutC, k = g.filterSize, pixels = g.oh * g.ow;
  const pad = g.isPadded, plane = g.h * g.w, paddedSize = c * g.paddedH * g.paddedW;
  const samples = samplesPerBlock(n, pixels);

  const padded = threadScratch(scratch, backwardThreadBytes(g));
  const offsets = padded + ((pad ? (paddedSize * samples) as usize : 0) << 2);
  const a = (offsets + (k << 2) + 15) & ~15;
  const block = a + ((packedRows(m) * KC) << 2);
  fillOffsets(offsets, g);

  const product = threadProduct();
  product.m = m;
  product.ldc = k;
  product.bRow = ROW;
  product.flags = 0;

  // an item is some columns of dw, over all samples
  const blockColumns = min(NC, packedColumns(ceilDiv(k, threads > 1 ? 2 * threads : 1)));
  const blocks = ceilDiv(k, blockColumns), deep = blockDepth(pixels);
  for (let item = claim(groups * blocks); item >= 0; item = claim(groups * blocks)) {
    const group = item / blocks, j = item % blocks * blockColumns, columns = min(blockColumns, k - j);
    product.n = columns;
    for (let s = 0; s < n; s += samples) {
      const count = min(samples, n - s);
      const first = x + (((s * inC + group * c) * plane) << 2);
      if (pad) {
        for (let i = 0; i < count; i++) {
          padImage(padded + ((i * paddedSize) << 2), first + ((i * inC * plane) << 2), g);
        }
      }
      const images = pad ? padded : first;
      const imageStep = pad ? paddedSize : inC * plane;
      for (let l = 0; l < pixels; l += deep) {
        const part = min(deep, pixels - l), depth = part * count;
        for (let i = 0; i < count; i++) {
          const from = dy + ((((s + i) * outC + group * m) * pixels + l) << 2);
          packA(a + ((i * part * MR) << 2), (depth * MR) << 2, from, pixels, m, part);
          packColumnsTransposed(
            block + ((i * part * NR) << 2), (depth * NR) << 2, images + ((i * imageStep) << 2),
            offsets + (j << 2), columns, l, part, g,
          );
        }
        product.k = depth;
        product.aPanel = (depth * MR) << 2;
        product.bPanel = (depth * NR) << 2;
        gemmBlock(dw + ((group * m * k + j) << 2), a, block, 0, product);
      }
    }
  }
  join(groups * blocks);
}

/** Lays out weights [outC, k] for conv2dBackwardInput, group by group, as Wᵀ in panels of 4 k's. */
export function conv2dPackTransposed(packed: usize, w: usize, g: FilterGeometry): void {
  const groups = g.groups, k = g.filterSize, m = g.outC / groups;
  for (let i = 0; i < groups; i++) {
    packTransposedA(packed + ((i * packedRows(k) * m) << 2), w + ((i * m * k) << 2), k, k, m);
  }
}

/** Floats that conv2dPackTransposed writes, in float64. */
export function conv2dPackedTransposedSize(g: FilterGeometry): f64 {
  return (g.outC as f64) * (packedRows(g.filterSize) as f64);
}

/**
 * dx[n, inC, h, w] = the gradients of the column matrix, Wᵀ · dy, each added to the position that it belongs to;
 * written.
 *
 * @param dy [n, outC, oh, ow]
 * @param packed weights from conv2dPackTransposed
 */
export function conv2dBackwardInput(
  dx: usize, dy: usize, packed: usize, scratch: usize, g: Conv2dGeometry,
): void {
  const c = g.groupInC, m = g.groupOutC, k = g.filterSize, pixels = g.oh * g.ow, groups = g.groups;
  const pad = g.isPadded, inputSize = c * g.h * g.w, paddedSize = c * g.paddedH * g.paddedW;
  const items = g.n * groups;
  // then the columns are dx, and need no adding up
  const pointwise = k == c && !pad && g.strideH == 1 && g.strideW == 1;

  const padded = threadScratch(scratch, backwardThreadBytes(g));
  const offsets = padded + ((pad ? paddedSize as usize : 0) << 2);
  const b = (offsets + (k << 2) + 15) & ~15;
  const columns = b + ((m * NC) << 2), deep = blockDepth(m);
  fillOffsets(offsets, g);

  const product = threadProduct();
  product.aPanel = (m * MR) << 2;
  product.bRow = ROW;

  for (let s = claim(items); s >= 0; s = claim(items)) {
    const a = packed + (((s % groups) * packedRows(k) * m) << 2);
    const sample = dx + ((s * inputSize) << 2);
    const image = pad ? padded : sample;
    if (!pointwise) memory.fill(image, 0, paddedSize << 2);
    for (let j = 0; j < pixels; j += NC) {
      const count = min(NC, pixels - j), ld = packedColumns(count);
      product.n = pointwise ? count : ld;
      product.ldc = pointwise ? pixels : ld;
      for (let l = 0; l < m; l += deep) {
        const from = dy + (((s * m + l) * pixels + j) << 2);
        packB(b + ((l * ld) << 2), from, pixels, min(deep, m - l), count);
      }
      for (let r = 0; r < k; r += RC) {
        const rows = min(RC, k - r), to = pointwise ? sample + ((r * pixels + j) << 2) : columns;
        product.m = rows;
        for (let l = 0; l < m; l += deep) {
          const depth = min(deep, m - l);
          product.k = depth;
          product.bPanel = (depth * NR) << 2;
          product.flags = l == 0 ? FIRST : 0;
          gemmBlock(to, a + ((r * m + l * MR) << 2), b + ((l * ld) << 2), 0, product);
        }
        if (!pointwise) addColumns(image, columns, ld, offsets + (r << 2), rows, j, count, g);
      }
    }
    if (pad) cropImage(sample, padded, g);
  }
  join(items);
}
