// The gradient of the weights of a convolution by Winograd's filtering (winograd.ts, whose transposed formulas
// these are): dw = Gᵀ [Σ over tiles E ⊙ V] G, with E = A dy Aᵀ and V = Bᵀ d B. At each position p, the sums
// over tiles are a matrix product C[p] = E[p] · V[p] of outputs × tiles and tiles × channels.

import { FIRST, gemmPanels, MR, NR, Product, ROW, TALL, threadProduct } from "./gemm";
import { packedColumns, packedRows } from "./gemm_pack";
import { Conv2dGeometry } from "./geometry";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import { weightGradient3, weightGradient5 } from "./inline/winograd";
import {
  bytesForThreads, ceilDiv, claim, HALF_TILE, join, threadMemory, threads, threadScratch,
} from "./threads";
import {
  boxes, boxInputSize, boxOutputSize, fillOffsets, gatherInput, gatherOutput, inputRowBytes, inputSide, maxInputSize,
  maxTiles, outputRowBytes, plan, positions, selectBox, STAGGER, taps, tiles, transformGradient, transformInput,
} from "./winograd_tiles";

/** Floats of both transforms together: 12 MB. */
const BOX_FLOATS: i32 = 3 << 20;

/** Bytes from one position to the next, when each has a matrix of `rows` × `columns` floats. */
// @ts-ignore: decorator
@inline
function positionStep(rows: i32, columns: i32): usize {
  return ((rows * columns) << 2) + STAGGER;
}

/**
 * Whether each thread computes all positions of a few outputs at a time, and transforms them back while they are
 * in a cache: if one box holds all tiles, and there are enough outputs for the threads. After plan().
 */
function isBlocked(g: Conv2dGeometry): bool {
  return boxes == 1 && g.groupOutC >= 4 * threads * TALL;
}

/** Bytes of products: of a few outputs for each thread, or of all. */
function productBytes(g: Conv2dGeometry, columns: i32): f64 {
  const rows = isBlocked(g) ? TALL : packedRows(g.groupOutC);
  return (positions as f64) * ((rows as f64) * (columns as f64) * 4 + STAGGER);
}

/** Bytes of scratch memory that winogradBackwardWeight needs, in float64. */
export function winogradBackwardScratchSize(g: Conv2dGeometry): f64 {
  const columns = packedColumns(g.groupInC * g.strideH * g.strideH), rows = packedRows(g.groupOutC);
  plan(g, columns + rows, BOX_FLOATS);
  const transforms = (positions as f64) * ((maxTiles as f64) * ((columns + rows) as f64) * 4 + 2 * STAGGER);
  const products = productBytes(g, columns), each = threadBytes();
  const others = isBlocked(g) ? bytesForThreads(each + products) : products + bytesForThreads(each);
  return transforms + others + 64;
}

/** Bytes for each thread: the inputs of a panel of channels, and the offsets of tiles. */
function threadBytes(): f64 {
  return (maxInputSize() as f64) * (NR * 4) + ((maxTiles + 4) as f64) * 8;
}

/**
 * dw[outC, inC/groups, k, k] += the gradient of winograd's weights.
 * @param dy [n, outC, oh, ow]
 * @param x [n, inC, h, w]
 */
export function winogradBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize, g: Conv2dGeometry,
): void {
  const c = g.groupInC * g.strideH * g.strideH, m = g.groupOutC;
  const rows = packedRows(m), columns = packedColumns(c), kernels: usize = (m * g.groupInC * g.kh * g.kh) << 2;
  plan(g, columns + rows, BOX_FLOATS);
  const blocked = isBlocked(g), products = productBytes(g, columns), each = threadBytes();
  const v = (scratch + 63) & ~63, e = v + (positions as usize) * positionStep(columns, maxTiles);
  const behind = e + (positions as usize) * positionStep(rows, maxTiles);
  const own = blocked ? threadScratch(behind, products + each) : threadScratch(behind + (products as usize), each);
  const sums = blocked ? own : behind, threadArea = blocked ? own + (products as usize) : own;
  const product = threadProduct();
  product.n = columns;
  product.ldc = columns;
  product.bRow = ROW;

  for (let group = 0; group < g.groups; group++, dw += kernels) {
    for (let box = 0; box < boxes; box++) {
      selectBox(box);
      transformBox(v, e, x, dy, threadArea, group, g);
      product.k = tiles;
      product.aPanel = (MR * tiles) << 2;
      product.bPanel = (NR * tiles) << 2;
      product.flags = box == 0 ? FIRST : 0;
      if (!blocked) multiplyPositions(sums, e, v, rows, product);
    }
    if (blocked) multiplyOutputs(dw, sums, e, v, g, product);
    else addWeightGradients(dw, sums, positionStep(rows, columns), g);
  }
}

/**
 * V and E of the current box: the transforms of its inputs and of the gradients of its outputs.
 * @param threadArea threadBytes of this thread
 */
function transformBox(
  v: usize, e: usize, x: usize, dy: usize, threadArea: usize, group: i32, g: Conv2dGeometry,
): void {
  const phases = g.strideH * g.strideH, c = g.groupInC * phases, m = g.groupOutC;
  const rows = packedRows(m), columns = packedColumns(c);
  const stepV = positionStep(columns, tiles), stepE = positionStep(rows, tiles);
  const offsets = threadArea, targets = offsets + ((maxTiles + 4) << 2), inputs = targets + ((maxTiles + 4) << 2);
  fillOffsets(offsets, taps - 1);
  fillOffsets(targets, 0);

  const inputItems = columns / NR, items = inputItems + ceilDiv(rows, 2 * MR);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    if (item < inputItems) {
      const first = item * NR, count = c - first > NR / 2 ? NR : NR / 2;
      for (let l = 0; l < count; l++) {
        const channel = min(first + l, c - 1), plane = group * g.groupInC + channel / phases;
        const to = inputs + ((l * boxInputSize()) << 2);
        gatherInput(to, x + ((plane * g.h * g.w) << 2), channel % phases, g);
      }
      inputChannels(v + ((first * tiles) << 2), stepV, inputs, offsets, count);
      continue;
    }
    const first = (item - inputItems) * 2 * MR;
    for (let o = first; o < min(m, first + 2 * MR); o += MR) {
      for (let l = 0; l < 4; l++) {
        const plane = group * m + min(o + l, m - 1);
        gatherOutput(inputs + ((l * boxOutputSize()) << 2), dy + ((plane * g.oh * g.ow) << 2), g);
      }
      gradientChannels(e + ((o * tiles) << 2), stepE, inputs, targets);
    }
  }
  join(items);
}

/**
 * dw += Gᵀ [E · V] G, when one box holds all tiles. A thread computes all positions of a few outputs, and
 * transforms them back while they are in a cache.
 * @param products all positions of TALL outputs, of this thread
 * @param product filled in but for m
 */
function multiplyOutputs(
  dw: usize, products: usize, e: usize, v: usize, g: Conv2dGeometry, product: Product,
): void {
  const m = g.groupOutC, columns = product.n, kernels: usize = (g.groupInC * g.kh * g.kh) << 2;
  const stepV = positionStep(columns, tiles), stepE = positionStep(packedRows(m), tiles);
  const step = positionStep(TALL, columns), items = ceilDiv(m, TALL);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const first = item * TALL, count = min(TALL, m - first);
    product.m = packedRows(count);
    let a = e + ((first * tiles) << 2), b = v, to = products;
    for (let p = 0; p < positions; p++, a += stepE, b += stepV, to += step) gemmPanels(to, a, b, product);
    for (let o = 0; o < count; o++) {
      addWeightGradient(dw + ((first + o) as usize) * kernels, products + ((o * columns) << 2), step, g);
    }
  }
  join(items);
}

/** dw += Gᵀ M G for all output channels. */
function addWeightGradients(dw: usize, products: usize, step: usize, g: Conv2dGeometry): void {
  const m = g.groupOutC, columns = packedColumns(g.groupInC * g.strideH * g.strideH);
  const kernels: usize = (g.groupInC * g.kh * g.kh) << 2;
  for (let o = claim(m); o >= 0; o = claim(m)) {
    addWeightGradient(dw + (o as usize) * kernels, products + ((o * columns) << 2), step, g);
  }
  join(m);
}

/**
 * C[p] (+)= A[p] · B[p] at each position p, in whole panels: C[rows×n], A[rows×k], B[k×n].
 * @param product filled in but for m
 */
function multiplyPositions(c: usize, a: usize, b: usize, rows: i32, product: Product): void {
  const columns = product.n, depth = product.k;
  const stepC = positionStep(rows, columns), stepA = positionStep(rows, depth), stepB = positionStep(depth, columns);
  // an item is a part of a position, because positions would be too few for many threads
  const shares = threads == 1 ? 1 : min(ceilDiv(rows, TALL), ceilDiv(40 * threads, positions));
  const shareRows = ceilDiv(rows, shares * TALL) * TALL;
  const parts = ceilDiv(rows, shareRows), items = positions * parts;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const p = (item / parts) as usize, row = item % parts * shareRows;
    product.m = min(shareRows, rows - row);
    gemmPanels(
      c + p * stepC + ((row * columns) << 2), a + p * stepA + ((row * depth) << 2), b + p * stepB, product,
    );
  }
  join(items);
}

/**
 * Transforms channels to a panel of V, whose rows are tiles.
 * @param count four channels, or eight: they share the cache lines of a row
 */
function inputChannels(v: usize, step: usize, inputs: usize, offsets: usize, count: i32): void {
  const row = inputRowBytes(), plane = boxInputSize() << 2;
  for (let j = 0; j < tiles; j++, v += NR << 2, offsets += 4) {
    let d = inputs + load<i32>(offsets);
    transformInput(v, step, d, d + plane, d + 2 * plane, d + 3 * plane, row);
    if (count == 4) continue;
    d += 4 * plane;
    transformInput(v + 16, step, d, d + plane, d + 2 * plane, d + 3 * plane, row);
  }
}

/** Transforms four channels of the gradient to a panel whose rows are tiles. */
function gradientChannels(e: usize, step: usize, inputs: usize, offsets: usize): void {
  const row = outputRowBytes(), plane = boxOutputSize() << 2;
  for (let j = 0; j < tiles; j++, e += MR << 2, offsets += 4) {
    const d = inputs + load<i32>(offsets);
    transformGradient(e, step, d, d + plane, d + 2 * plane, d + 3 * plane, row);
  }
}

/** dw[c, k, k] += Gᵀ M G for one output channel. The lanes are four input channels. */
function addWeightGradient(dw: usize, products: usize, step: usize, g: Conv2dGeometry): void {
  const k = g.kh, stride = g.strideH, phases = stride * stride, c = g.groupInC * phases;
  const half = threadMemory + HALF_TILE, line = (inputSide as usize) << 4;
  const gradients = half + (taps as usize) * line;
  for (let i = 0; i < c; i += 4, products += 16) {
    for (let h = half, q = products; h < half + line; h += 16, q += step) {
      weightGradientPoints(h, line, q, (inputSide as usize) * step);
    }
    for (let h = half, to = gradients; h < gradients; h += line, to += (taps as usize) << 4) {
      weightGradientPoints(to, 16, h, 16);
    }
    const lanes = min(4, c - i);
    if (stride == 1 && lanes == 4) {
      addKernels(dw + ((i * k * k) << 2), gradients, (k * k) as usize);
      continue;
    }
    for (let l = 0; l < lanes; l++) {
      const channel = (i + l) / phases, phase = (i + l) % phases, x0 = phase % stride;
      let from = gradients + (l << 2);
      for (let y = 0, ky = phase / stride; y < taps; y++, ky += stride) {
        for (let x = 0, kx = x0; x < taps; x++, kx += stride, from += 16) {
          if (ky >= k || kx >= k) continue;
          const to = dw + (((channel * k + ky) * k + kx) << 2);
          store<f32>(to, load<f32>(to) + load<f32>(from));
        }
      }
    }
  }
}

/** Adds four kernels, one in each lane, to kernels that lie behind each other. `size` is 4·i + 1. */
function addKernels(to: usize, from: usize, size: usize): void {
  const row = size << 2, to1 = to + row, to2 = to1 + row, to3 = to2 + row;
  let at: usize = 0;
  for (; at + 16 <= row; at += 16, from += 64) {
    const a0 = v128.load(from), a1 = v128.load(from, 16), a2 = v128.load(from, 32), a3 = v128.load(from, 48);
    const low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
    const high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
    add4(to + at, lowHalves(low01, low23));
    add4(to1 + at, highHalves(low01, low23));
    add4(to2 + at, lowHalves(high01, high23));
    add4(to3 + at, highHalves(high01, high23));
  }
  add1(to + at, from);
  add1(to1 + at, from + 4);
  add1(to2 + at, from + 8);
  add1(to3 + at, from + 12);
}

// @ts-ignore: decorator
@inline
function add4(to: usize, v: v128): void {
  v128.store(to, f32x4.add(v128.load(to), v));
}

// @ts-ignore: decorator
@inline
function add1(to: usize, from: usize): void {
  store<f32>(to, load<f32>(to) + load<f32>(from));
}

/** Gᵀ on 6 or 8 vectors. */
// @ts-ignore: decorator
@inline
function weightGradientPoints(to: usize, step: usize, m: usize, next: usize): void {
  if (inputSide == 6) weightGradient3(to, step, m, next);
  else weightGradient5(to, step, m, next);
}
