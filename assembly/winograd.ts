// Convolution by Winograd's minimal filtering, with kernels of 3×3 or 5×5 and stride 1. Larger kernels
// with a stride are turned into these: AlexNet's 11×11 with stride 4 becomes 3×3 on 16 times the
// channels. A tile of 4×4 outputs takes 36 products instead of 144, or 64 instead of 400.
//
// Weights and input tiles are transformed to U and V. At each position p of a tile, the sums over
// channels are a matrix product M[p] = U[p] · V[p], with a column for each tile. Then y = Aᵀ M A.

import { FIRST, gemmPanels, MR, NR, ROW, TALL, threadProduct } from "./gemm";
import { packedColumns, packedRows } from "./gemm_pack";
import { Conv2dGeometry, FusedConv2dGeometry } from "./geometry";
import { activate, activate4, inlinedPart, NONE, SILU } from "./inline/activate";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import { outputTransform6, outputTransform8Even, outputTransform8Odd } from "./inline/winograd";
import { silu } from "./silu";
import {
  bytesForThreads, ceilDiv, claim, HALF_TILE, join, setSolo, threadMemory, threads, threadScratch,
} from "./threads";
import {
  boxes, boxInputSize, fillOffsets, fillTargets, gatherInput, inputRowBytes, inputSide, maxInputSize,
  maxTiles, plan, positions, selectBox, taps, TARGET, TILE, tiles, transformInput,
} from "./winograd_tiles";
import { transformWeights } from "./winograd_weights";

/** Floats of V and twice those of M: 4 MB, or 2 MB for each thread that has a V of its own. */
const BOX_FLOATS: i32 = 1 << 20, THREAD_BOX_FLOATS: i32 = 1 << 19;

/** Input channels that are transformed together, because their rows share cache lines. */
const CHANNEL_BLOCK: i32 = 4;

/** The most output channels whose weights are transformed and used together, in the second-level cache. */
const OUTPUT_BLOCK: i32 = TALL;

/** Bytes between matrices of neighbouring positions, so that they do not share cache sets. */
const STAGGER: i32 = 64;

/**
 * Cuts the outputs into boxes. Where there are enough of them, each thread computes whole boxes: then no
 * thread reads what another wrote, or waits for it.
 * @returns whether threads compute whole boxes; otherwise they share each box
 */
function planBoxes(g: Conv2dGeometry): bool {
  const c = channels(g);
  if (threads > 1) {
    plan(g, c + 2 * OUTPUT_BLOCK, THREAD_BOX_FLOATS);
    // with fewer boxes, a late thread would keep the others waiting
    if (boxes * g.groups >= 4 * threads) return true;
  }
  plan(g, c + 2 * OUTPUT_BLOCK, BOX_FLOATS);
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
  for (let i = 0;; i++) {
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
  const largest = tiles > NR / 2 ? OUTPUT_BLOCK : 2 * MR; // the height of the tile that gemm.ts takes
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
        bias ? v128.load32_splat(bias + ((first + o) << 2)) : f32x4.splat(0), g,
      );
    }
  }
  join(outputs);
}

/** Transforms a block of channels to rows of V, in panels of 8 tiles, a matrix for each position. */
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

/** y = activation(Aᵀ M A + bias + residual) for one channel. Outputs beyond the edge are dropped. */
function outputTiles(
  y: usize, products: usize, step: usize, targets: usize, bias: v128, g: FusedConv2dGeometry,
): void {
  const ow = g.ow, activation = g.activation, late = g.addsResidual || activation == SILU;
  const half = threadMemory + HALF_TILE, line = (inputSide as usize) << 4, row = (inputSide as usize) * step;
  for (let j = 0; j < tiles; j += 4, products += 16) {
    for (let h = half, q = products; h < half + line; h += 16, q += step) {
      const p0 = v128.load(q), p1 = v128.load(q + row), p2 = v128.load(q + 2 * row);
      const p3 = v128.load(q + 3 * row), p4 = v128.load(q + 4 * row), p5 = v128.load(q + 5 * row);
      if (inputSide == 6) {
        outputTransform6(h, line, p0, p1, p2, p3, p4, p5);
        continue;
      }
      const p6 = v128.load(q + 6 * row), p7 = v128.load(q + 7 * row);
      outputTransform8Even(h, line, p0, f32x4.add(p1, p2), f32x4.add(p3, p4), f32x4.add(p5, p6));
      outputTransform8Odd(h, line, p7, f32x4.sub(p1, p2), f32x4.sub(p3, p4), f32x4.sub(p5, p6));
    }
    // in place: each row's results replace its values
    for (let h = half; h < half + 4 * line; h += line) {
      const p0 = v128.load(h), p1 = v128.load(h, 16), p2 = v128.load(h, 32), p3 = v128.load(h, 48);
      const p4 = v128.load(h, 64), p5 = v128.load(h, 80);
      if (inputSide == 6) {
        outputTransform6(h, 16, p0, p1, p2, p3, p4, p5);
      } else {
        const p6 = v128.load(h, 96), p7 = v128.load(h, 112);
        outputTransform8Even(h, 16, p0, f32x4.add(p1, p2), f32x4.add(p3, p4), f32x4.add(p5, p6));
        outputTransform8Odd(h, 16, p7, f32x4.sub(p1, p2), f32x4.sub(p3, p4), f32x4.sub(p5, p6));
      }
      finishRows(h, bias, late ? NONE : activation);
    }
    const end = half + (min(4, tiles - j) << 4);
    for (let h = half; h < end; h += 16, targets += TARGET) {
      const rows = load<i32>(targets, 4), columns = load<i32>(targets, 8);
      let to = y + load<i32>(targets), from = h;
      for (let r = 0; r < rows; r++, to += ow << 2, from += line) {
        if (late) finishLate(from, to, columns, g);
        if (columns == TILE) {
          v128.store(to, v128.load(from));
        } else {
          for (let i = 0; i < columns; i++) store<f32>(to + (i << 2), load<f32>(from + (i << 2)));
        }
      }
    }
  }
}

/** row = activation(row + residual) for one row of a tile, which is stored at `to` afterwards. */
function finishLate(row: usize, to: usize, columns: i32, g: FusedConv2dGeometry): void {
  if (g.addsResidual) addResidual(row, to + g.residual, columns, inlinedPart(g.activation));
  if (g.activation == SILU) silu(row, TILE);
}

/** row = activation(row + residual). */
// @ts-ignore: decorator
@inline
function addResidual(row: usize, residual: usize, columns: i32, activation: i32): void {
  if (columns == TILE) {
    v128.store(row, activate4(f32x4.add(v128.load(row), v128.load(residual)), activation));
    return;
  }
  for (const end = row + (columns << 2); row < end; row += 4, residual += 4) {
    store<f32>(row, activate(load<f32>(row) + load<f32>(residual), activation));
  }
}

/** Transposes four columns of four tiles, in place, to a row for each tile, with bias and activation. */
// @ts-ignore: decorator
@inline
function finishRows(h: usize, bias: v128, activation: i32): void {
  const c0 = finish(v128.load(h), bias, activation), c1 = finish(v128.load(h, 16), bias, activation);
  const c2 = finish(v128.load(h, 32), bias, activation), c3 = finish(v128.load(h, 48), bias, activation);
  const low01 = interleaveLow(c0, c1), high01 = interleaveHigh(c0, c1);
  const low23 = interleaveLow(c2, c3), high23 = interleaveHigh(c2, c3);
  v128.store(h, lowHalves(low01, low23));
  v128.store(h, highHalves(low01, low23), 16);
  v128.store(h, lowHalves(high01, high23), 32);
  v128.store(h, highHalves(high01, high23), 48);
}

// @ts-ignore: decorator
@inline
function finish(v: v128, bias: v128, activation: i32): v128 {
  return activate4(f32x4.add(v, bias), activation);
}
