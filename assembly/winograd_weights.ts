// Winograd's transform of the weights (winograd.ts), U = G g Gᵀ. It is computed at each use: U has 36 floats
// for 9 weights, and reading them from memory would take about as long. The lanes are four output channels.

import { MR } from "./gemm";
import { Conv2dGeometry } from "./geometry";
import { highHalves, interleaveHigh, interleaveLow, lowHalves, storeTransposed } from "./inline/transpose";
import { addFourTimes, weightTransform3, weightTransform5 } from "./inline/winograd";
import { HALF_TILE, TAPS, threadMemory } from "./threads";
import { inputSide, taps } from "./winograd_tiles";

/**
 * U of `count` output channels of one group, from `first` on: a matrix for each position, in panels for
 * gemm.ts. The last panel repeats its last channel.
 * @param step bytes from one position to the next
 * @param weight [m, inC / groups, k, k]; turned, [inC / groups, m, k, k]
 * @param kernels room for k² vectors
 * @param turned whether to turn the kernels by 180°, which takes stride 1
 */
export function transformWeights(
  u: usize, step: usize, weight: usize, kernels: usize, first: i32, count: i32, g: Conv2dGeometry, turned: bool,
): void {
  const row = channelStep(g, turned), last = weight + ((g.groupOutC - 1) as usize) * row;
  const panel = (g.groupInC * g.strideH * g.strideH * MR) << 2;
  for (let o = first; o < first + count; o += MR, u += panel) {
    const w = weight + (o as usize) * row;
    if (g.kh == 3) kernels3x3(u, step, w, last, g, turned);
    else if (g.strideH == 1) kernels5x5(u, step, w, last, g, turned);
    else strided(u, step, w, last, kernels, g);
  }
}

/** Bytes from one output channel's kernels to the next one's. */
// @ts-ignore: decorator
@inline
function channelStep(g: Conv2dGeometry, turned: bool): usize {
  const channels = turned ? 1 : g.groupInC;
  return (channels * g.kh * g.kh) << 2;
}

/** Bytes from the kernel of one input channel to that of the next. */
// @ts-ignore: decorator
@inline
function kernelStep(g: Conv2dGeometry, turned: bool): usize {
  const channels = turned ? g.groupOutC : 1;
  return (channels * g.kh * g.kh) << 2;
}

/** Kernels of 3×3, transformed in registers. */
function kernels3x3(
  u: usize, step: usize, w0: usize, last: usize, g: Conv2dGeometry, turned: bool,
): void {
  const row = channelStep(g, turned), next = kernelStep(g, turned), positionRow = step * 6;
  let w1 = min(w0 + row, last), w2 = min(w1 + row, last), w3 = min(w2 + row, last);
  for (const end = u + ((g.groupInC * MR) << 2); u < end; u += MR << 2) {
    let a0 = v128.load(w0), a1 = v128.load(w1), a2 = v128.load(w2), a3 = v128.load(w3);
    let low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
    let high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
    let g0 = lowHalves(low01, low23), g1 = highHalves(low01, low23);
    let g2 = lowHalves(high01, high23), g3 = highHalves(high01, high23);
    a0 = v128.load(w0, 16);
    a1 = v128.load(w1, 16);
    a2 = v128.load(w2, 16);
    a3 = v128.load(w3, 16);
    low01 = interleaveLow(a0, a1);
    low23 = interleaveLow(a2, a3);
    high01 = interleaveHigh(a0, a1);
    high23 = interleaveHigh(a2, a3);
    const g4 = lowHalves(low01, low23);
    let g5 = highHalves(low01, low23), g6 = lowHalves(high01, high23), g7 = highHalves(high01, high23);
    // weights 5 to 8, so that nothing behind the last one is read
    high01 = interleaveHigh(v128.load(w0, 20), v128.load(w1, 20));
    high23 = interleaveHigh(v128.load(w2, 20), v128.load(w3, 20));
    let g8 = highHalves(high01, high23);
    if (turned) {
      const t0 = g0, t1 = g1, t2 = g2, t3 = g3;
      g0 = g8;
      g1 = g7;
      g2 = g6;
      g3 = g5;
      g5 = t3;
      g6 = t2;
      g7 = t1;
      g8 = t0;
    }
    // G on the columns, as in weightTransform3, then on the rows
    weightTransform3(u, step, g0, g1, g2);
    const e0 = f32x4.add(g0, g6), e1 = f32x4.add(g1, g7), e2 = f32x4.add(g2, g8);
    weightTransform3(u + positionRow, step, f32x4.add(e0, g3), f32x4.add(e1, g4), f32x4.add(e2, g5));
    weightTransform3(u + 2 * positionRow, step, f32x4.sub(e0, g3), f32x4.sub(e1, g4), f32x4.sub(e2, g5));
    const f0 = addFourTimes(g0, g6), f1 = addFourTimes(g1, g7), f2 = addFourTimes(g2, g8);
    const h0 = f32x4.add(g3, g3), h1 = f32x4.add(g4, g4), h2 = f32x4.add(g5, g5);
    weightTransform3(u + 3 * positionRow, step, f32x4.add(f0, h0), f32x4.add(f1, h1), f32x4.add(f2, h2));
    weightTransform3(u + 4 * positionRow, step, f32x4.sub(f0, h0), f32x4.sub(f1, h1), f32x4.sub(f2, h2));
    weightTransform3(u + 5 * positionRow, step, g6, g7, g8);
    w0 += next;
    w1 += next;
    w2 += next;
    w3 += next;
  }
}

/** Kernels of 5×5. */
function kernels5x5(
  u: usize, step: usize, w0: usize, last: usize, g: Conv2dGeometry, turned: bool,
): void {
  const row = channelStep(g, turned), next = kernelStep(g, turned);
  let w1 = min(w0 + row, last), w2 = min(w1 + row, last), w3 = min(w2 + row, last);
  const half = threadMemory + HALF_TILE, line = 8 << 4;
  const rowStep: i32 = turned ? -20 : 20, first = turned ? 80 : 0;
  for (const end = u + ((g.groupInC * MR) << 2); u < end; u += MR << 2) {
    for (let h = half, at: usize = first; h < half + 5 * line; h += line, at += rowStep) {
      const p0 = w0 + at, p1 = w1 + at, p2 = w2 + at, p3 = w3 + at;
      const a0 = v128.load(p0), a1 = v128.load(p1), a2 = v128.load(p2), a3 = v128.load(p3);
      const low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
      const high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
      const g0 = lowHalves(low01, low23), g1 = highHalves(low01, low23);
      const g2 = lowHalves(high01, high23), g3 = highHalves(high01, high23);
      // weights 1 to 4, so that nothing behind the last one is read
      const last01 = interleaveHigh(v128.load(p0, 4), v128.load(p1, 4));
      const last23 = interleaveHigh(v128.load(p2, 4), v128.load(p3, 4));
      const g4 = highHalves(last01, last23);
      if (turned) weightTransform5(h, 16, g4, g3, g2, g1, g0);
      else weightTransform5(h, 16, g0, g1, g2, g3, g4);
    }
    transformColumns(u, step);
    w0 += next;
    w1 += next;
    w2 += next;
    w3 += next;
  }
}

/** Kernels with a stride, turned into stride² planes of 3 or 5 taps on each axis, some of them 0. */
function strided(
  u: usize, step: usize, w0: usize, last: usize, kernels: usize, g: Conv2dGeometry,
): void {
  const k = g.kh, stride = g.strideH, planes = g.groupInC;
  const row = channelStep(g, false), next = kernelStep(g, false);
  let w1 = min(w0 + row, last), w2 = min(w1 + row, last), w3 = min(w2 + row, last);
  const half = threadMemory + HALF_TILE, line = inputSide << 4, vectors = threadMemory + TAPS;
  for (let i = 0; i < planes; i++) {
    interleaveKernels(kernels, w0, w1, w2, w3, next);
    for (let phase = 0; phase < stride * stride; phase++, u += MR << 2) {
      const y0 = phase / stride, x0 = phase % stride;
      for (let y = y0, h = half; y < taps * stride; y += stride, h += line) {
        for (let x = x0, to = vectors; x < taps * stride; x += stride, to += 16) {
          v128.store(to, y < k && x < k ? v128.load(kernels + ((y * k + x) << 4)) : f32x4.splat(0));
        }
        transformTaps(h, 16, vectors, 16);
      }
      transformColumns(u, step);
    }
    w0 += next;
    w1 += next;
    w2 += next;
    w3 += next;
  }
}

/** Interleaves four kernels of `bytes` bytes: a vector for each tap. */
function interleaveKernels(to: usize, w0: usize, w1: usize, w2: usize, w3: usize, bytes: usize): void {
  for (let at: usize = 0;; at = min(at + 16, bytes - 16)) {
    const a0 = v128.load(w0 + at), a1 = v128.load(w1 + at), a2 = v128.load(w2 + at), a3 = v128.load(w3 + at);
    storeTransposed(to + (at << 2), 16, a0, a1, a2, a3);
    if (at + 16 == bytes) break;
  }
}

/** Applies G to the columns, after the rows. */
function transformColumns(u: usize, step: usize): void {
  const half = threadMemory + HALF_TILE, line = (inputSide as usize) << 4;
  const row = (inputSide as usize) * step;
  for (let h = half; h < half + line; h += 16, u += step) transformTaps(u, row, h, line);
}

/** G on 3 or 5 vectors, `next` bytes apart. */
// @ts-ignore: decorator
@inline
function transformTaps(to: usize, step: usize, g: usize, next: usize): void {
  const g0 = v128.load(g), g1 = v128.load(g + next), g2 = v128.load(g + 2 * next);
  if (taps == 3) weightTransform3(to, step, g0, g1, g2);
  else weightTransform5(to, step, g0, g1, g2, v128.load(g + 3 * next), v128.load(g + 4 * next));
}
