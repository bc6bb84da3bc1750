// Convolution by Winograd's minimal filtering, F(4×4, 3×3) and F(4×4, 5×5) (Lavin & Gray, "Fast Algorithms
// for Convolutional Neural Networks", 2016), with kernels of 3×3 or 5×5 and stride 1. Larger kernels with a
// stride are turned into these: AlexNet's 11×11 with stride 4 becomes 3×3 on 16 times the channels. A tile
// of 4×4 outputs takes 36 products for each channel instead of 144, or 64 instead of 400.
//
// Weights g and input tiles d, of 6×6 or 8×8 values, are transformed to U = G g Gᵀ and V = Bᵀ d B
// (inline/winograd.ts). At each position p of a tile, the sums over channels are a matrix product
// M[p] = U[p] · V[p], with a column for each tile. Then y = Aᵀ M A. As gemm.ts takes them:
//
//   U[p]: panels of 4 outputs,  U[p][panel][channel][4]
//   V[p]: panels of 8 tiles,    V[p][panel][channel][8]
//   M[p]: row-major,            M[p][output][tile]
//
// The tiles are computed in boxes (winograd_tiles.ts), whose V stays in a cache: first V of a box, then, for some
// outputs at a time, U, M and y.

import { FIRST, gemmPanels, MR, NR, ROW, TALL, threadProduct } from "./gemm";
import { packedColumns, packedRows } from "./gemm_pack";
import { Conv2dGeometry, FusedConv2dGeometry } from "./geometry";
import { bytesForThreads, ceilDiv, claim, join, setSolo, threads, threadScratch } from "./threads";
import { outputTiles } from "./winograd_outputs";
import {
  boxes, boxInputSize, countTiles, fillOffsets, fillTargets, gatherInput, inputRowBytes, maxInputSize, maxTiles, plan,
  positions, selectBox, STAGGER, taps, TARGET, tiles, transformInput,
} from "./winograd_tiles";
import { transformWeights } from "./winograd_weights";

/** Floats of V and twice those of M in a box: 4 MB, or 2 MB for each thread that has a V of its own. */
const BOX_FLOATS: i32 = 1 << 20, THREAD_BOX_FLOATS: i32 = 1 << 19;

/** Input channels that are transformed together, because their rows of V share cache lines. */
const CHANNEL_BLOCK: i32 = 4;

/** The most output channels whose weights are transformed and used together: U stays in the second-level cache. */
const OUTPUT_BLOCK: i32 = TALL;

/** Tiles that are worth a box of their own, and the most boxes for each thread. */
const MANY_TILES: i32 = 64, THREAD_BOXES: i32 = 4;

/**
 * Cuts the outputs into boxes. Threads that compute whole boxes do not wait for each other, and do not read V
 * from the cache of another thread. But each of them transforms all weights. So they do it where there are few
 * weights for each tile.
 * @returns whether threads compute whole boxes; otherwise they share each box
 */
function planBoxes(g: Conv2dGeometry): bool {
  const size = channels(g) + 2 * OUTPUT_BLOCK, groups = g.groups;
  if (threads > 1) {
    const all = countTiles(g), each = max(1, min(THREAD_BOXES, all * groups / (threads * MANY_TILES)));
    plan(g, size, THREAD_BOX_FLOATS, ceilDiv(each * threads, groups));
    if (boxes * groups >= threads && g.groupOutC <= 3 * all) return true;
  }
  plan(g, size, BOX_FLOATS);
  return false;
}

/** Input channels of a group, after the stride was turned into channels. */
// @ts-ignore: decorator
@inline
function channels(g: Conv2dGeometry): i32 {
  return g.groupInC * g.strideH * g.strideH;
}

/** Bytes of scratch memory that winograd and winogradBackwardInput need, in float64. */
export function winogradScratchSize(g: Conv2dGeometry): f64 {
  const wholeBoxes = planBoxes(g), matrices = matrixBytes(g), threadSize = threadBytes(g);
  return 64 + (wholeBoxes ? bytesForThreads(matrices + threadSize) : matrices + bytesForThreads(threadSize));
}

/** Bytes of V for the largest box. */
function matrixBytes(g: Conv2dGeometry): f64 {
  const c = channels(g) as f64;
  return (positions as f64) * ((packedColumns(maxTiles) as f64) * c * 4 + (STAGGER as f64));
}

/**
 * Bytes for each thread: the inputs of a block of channels, offsets and targets of tiles, weights before
 * the transform, and U and M of a block of outputs.
 */
function threadBytes(g: Conv2dGeometry): f64 {
  return (maxInputSize() as f64) * (CHANNEL_BLOCK * 4) + ((maxTiles + 4) as f64) * (4 + TARGET) +
    ((g.kh * g.kh) as f64) * 16 +
    (positions as f64) *
      (OUTPUT_BLOCK * 4 * ((packedColumns(maxTiles) as f64) + (channels(g) as f64)) + 2 * (STAGGER as f64));
}

/**
 * y[n, outC, oh, ow] = activation(x[n, inC, h, w] ⋆ w + b + residual), dilation 1; written.
 * @param weight [outC, inC/groups, k, k]
 * @param bias outC floats, or 0 for none
 * @param scratch winogradScratchSize bytes
 */
export function winograd(
  y: usize, x: usize, weight: usize, bias: usize, scratch: usize, g: FusedConv2dGeometry,
): void {
  convolve(y, x, weight, bias, scratch, g, false);
}

/**
 * dx = dy ⋆ w turned by 180°, stride and dilation 1; written.
 * @param weight [channels of dy, channels of dx / groups, k, k]
 * @param scratch winogradScratchSize bytes
 * @param g the convolution from dy to dx; its padding may be negative
 */
export function winogradBackwardInput(
  dx: usize, dy: usize, weight: usize, scratch: usize, g: FusedConv2dGeometry,
): void {
  convolve(dx, dy, weight, 0, scratch, g, true);
}

/** @param turned turns the kernels by 180° */
function convolve(
  y: usize, x: usize, weight: usize, bias: usize, scratch: usize, g: FusedConv2dGeometry, turned: bool,
): void {
  const m = g.groupOutC, inC = g.groupInC;
  const wholeBoxes = planBoxes(g), matrices = matrixBytes(g), threadSize = threadBytes(g);
  const first = (scratch + 63) & ~63;
  const v = wholeBoxes ? threadScratch(first, matrices + threadSize) : first;
  const threadArea = wholeBoxes ? v + (matrices as usize) : threadScratch(v + (matrices as usize), threadSize);

  const items = boxes * g.groups;
  for (let i = 0;; i++) { // the items of this thread, or all boxes, which threads share
    const item = wholeBoxes ? claim(items) : i < items ? i : -1;
    if (item < 0) break;
    setSolo(wholeBoxes);
    selectBox(item % boxes);
    const group = item / boxes;
    computeBox(
      y + ((group * m * g.oh * g.ow) << 2), x + ((inC * group * g.h * g.w) << 2),
      weight + ((group * m * inC * g.kh * g.kh) << 2), bias ? bias + ((group * m) << 2) : 0, v, threadArea,
      g, turned,
    );
    setSolo(false);
  }
  if (wholeBoxes) join(items);
}

/** Computes one group of channels of the current box: transform, multiply, transform back. */
function computeBox(
  y: usize, x: usize, weight: usize, bias: usize, v: usize, threadArea: usize, g: FusedConv2dGeometry,
  turned: bool,
): void {
  const c = channels(g), m = g.groupOutC, k = g.kh, ld = packedColumns(tiles), phases = g.strideH * g.strideH;
  const offsets = threadArea, targets = offsets + ((maxTiles + 4) << 2);
  const inputs = targets + (maxTiles + 4) * TARGET;
  const stepV: usize = ((c * ld) << 2) + STAGGER;
  const stepU: usize = ((OUTPUT_BLOCK * c) << 2) + STAGGER, stepM: usize = ((OUTPUT_BLOCK * ld) << 2) + STAGGER;
  fillOffsets(offsets, taps - 1);
  fillTargets(targets, g);

  const blocks = ceilDiv(c, CHANNEL_BLOCK), planeX: usize = (g.h * g.w) << 2;
  for (let block = claim(blocks); block >= 0; block = claim(blocks)) {
    const first = block * CHANNEL_BLOCK, count = min(CHANNEL_BLOCK, c - first);
    for (let i = 0; i < count; i++) {
      const plane = x + (((first + i) / phases) as usize) * planeX;
      gatherInput(inputs + ((i * boxInputSize()) << 2), plane, (first + i) % phases, g);
    }
    inputTiles(v + ((first * NR) << 2), (c * NR) << 2, stepV, inputs, offsets, count);
  }
  join(blocks);

  const kernels = inputs + maxInputSize() * (CHANNEL_BLOCK * 4);
  const u = kernels + (k * k << 4), products = u + (positions as usize) * stepU;
  const product = threadProduct();
  product.n = tiles;
  product.k = c;
  product.ldc = ld;
  product.aPanel = (c * MR) << 2;
  product.bPanel = (c * NR) << 2;
  product.bRow = ROW;
  product.flags = FIRST;
  const largest = tiles > NR / 2 ? OUTPUT_BLOCK : 2 * MR; // the rows that gemm.ts takes at a time
  const outputsPerItem = threads == 1 ? largest : min(largest, max(1, m / (4 * threads * MR)) * MR);
  const outputs = ceilDiv(m, outputsPerItem);
  const planeY: usize = (g.oh * g.ow) << 2;
  for (let item = claim(outputs); item >= 0; item = claim(outputs)) {
    const first = item * outputsPerItem, count = min(outputsPerItem, m - first);
    transformWeights(u, stepU, weight, kernels, first, count, g, turned);
    product.m = packedRows(count);
    for (let p = 0, a = u, b = v, to = products; p < positions; p++, a += stepU, b += stepV, to += stepM) {
      gemmPanels(to, a, b, product);
    }
    for (let o = 0; o < count; o++) {
      outputTiles(
        y + ((first + o) as usize) * planeY, products + ((o * ld) << 2), stepM, targets,
        bias ? load<f32>(bias + ((first + o) << 2)) : 0, g,
      );
    }
  }
  join(outputs);
}

/** V of a block of channels, from their gathered inputs, four tiles at a time. */
function inputTiles(
  v: usize, panel: usize, step: usize, inputs: usize, offsets: usize, channels: i32,
): void {
  const row = inputRowBytes(), plane = boxInputSize() << 2;
  for (let j = 0; j < tiles; j += 4, offsets += 16) {
    let d0 = inputs + load<i32>(offsets), d1 = inputs + load<i32>(offsets, 4);
    let d2 = inputs + load<i32>(offsets, 8), d3 = inputs + load<i32>(offsets, 12);
    let to = v + ((j / NR) as usize) * panel + ((j % NR) << 2);
    for (let i = 0; i < channels; i++, to += NR << 2) {
      transformInput(to, step, d0, d1, d2, d3, row);
      d0 += plane;
      d1 += plane;
      d2 += plane;
      d3 += plane;
    }
  }
}
