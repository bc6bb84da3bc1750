// Winograd's transform of the weights, U = G g Gᵀ, made anew wherever it is used: U takes 36 floats
// for 9, and reading those from memory takes longer than making them from the 9. Four output channels
// at a time, in the lanes.

import { MR } from "./gemm";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import { plusFour, taps3, taps5 } from "./inline/winograd";
import { area, HALF_TILE, TAPS } from "./threads";
import { side, taps } from "./winograd_tiles";

/**
 * U of `count` output channels of one group, from `first` on, a matrix for each position, laid out
 * for gemm.ts. The last panel repeats its last channel.
 * @param step bytes from one position to the next
 * @param weight [m, c / stride², k, k]; on the way back [c, m, k, k], to be turned by 180°
 * @param kernels room for k² vectors
 */
export function transformWeights(
  u: usize, step: usize, weight: usize, kernels: usize, first: i32, count: i32,
  m: i32, c: i32, k: i32, stride: i32, back: i32,
): void {
  const planes = c / (stride * stride), kernel: usize = (k * k) << 2;
  const row = back ? kernel : (planes as usize) * kernel, next = back ? (m as usize) * kernel : kernel;
  for (let o = first; o < first + count; o += MR, u += (c * MR) << 2) {
    const w0 = weight + (o as usize) * row, w1 = weight + (min(o + 1, m - 1) as usize) * row;
    const w2 = weight + (min(o + 2, m - 1) as usize) * row, w3 = weight + (min(o + 3, m - 1) as usize) * row;
    if (k == 3) kernels3x3(u, step, w0, w1, w2, w3, next, planes, back);
    else kernelsOf(u, step, w0, w1, w2, w3, next, planes, k, stride, kernels, back);
  }
}

/** Kernels of 3×3: nothing is stored between the weights and U. */
function kernels3x3(
  u: usize, step: usize, w0: usize, w1: usize, w2: usize, w3: usize, next: usize, planes: i32, back: i32,
): void {
  for (const end = u + ((planes * MR) << 2); u < end; u += MR << 2) {
    let a0 = v128.load(w0), a1 = v128.load(w1), a2 = v128.load(w2), a3 = v128.load(w3);
    let low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
    let high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
    const g0 = lowHalves(low01, low23), g1 = highHalves(low01, low23);
    const g2 = lowHalves(high01, high23), g3 = highHalves(high01, high23);
    a0 = v128.load(w0, 16);
    a1 = v128.load(w1, 16);
    a2 = v128.load(w2, 16);
    a3 = v128.load(w3, 16);
    low01 = interleaveLow(a0, a1);
    low23 = interleaveLow(a2, a3);
    high01 = interleaveHigh(a0, a1);
    high23 = interleaveHigh(a2, a3);
    const g4 = lowHalves(low01, low23), g5 = highHalves(low01, low23);
    const g6 = lowHalves(high01, high23), g7 = highHalves(high01, high23);
    // 5 to 8, so that nothing behind the last weight is read
    high01 = interleaveHigh(v128.load(w0, 20), v128.load(w1, 20));
    high23 = interleaveHigh(v128.load(w2, 20), v128.load(w3, 20));
    const g8 = highHalves(high01, high23);
    if (back) points3x3(u, step, g8, g7, g6, g5, g4, g3, g2, g1, g0);
    else points3x3(u, step, g0, g1, g2, g3, g4, g5, g6, g7, g8);
    w0 += next;
    w1 += next;
    w2 += next;
    w3 += next;
  }
}

/** G g Gᵀ of 3×3 taps, the columns as in taps3. */
// @ts-ignore: decorator
@inline
function points3x3(
  u: usize, step: usize, g0: v128, g1: v128, g2: v128, g3: v128, g4: v128, g5: v128, g6: v128, g7: v128, g8: v128,
): void {
  const row = step * 6;
  taps3(u, step, g0, g1, g2);
  const e0 = f32x4.add(g0, g6), e1 = f32x4.add(g1, g7), e2 = f32x4.add(g2, g8);
  taps3(u + row, step, f32x4.add(e0, g3), f32x4.add(e1, g4), f32x4.add(e2, g5));
  taps3(u + 2 * row, step, f32x4.sub(e0, g3), f32x4.sub(e1, g4), f32x4.sub(e2, g5));
  const f0 = plusFour(g0, g6), f1 = plusFour(g1, g7), f2 = plusFour(g2, g8);
  const h0 = f32x4.add(g3, g3), h1 = f32x4.add(g4, g4), h2 = f32x4.add(g5, g5);
  taps3(u + 3 * row, step, f32x4.add(f0, h0), f32x4.add(f1, h1), f32x4.add(f2, h2));
  taps3(u + 4 * row, step, f32x4.sub(f0, h0), f32x4.sub(f1, h1), f32x4.sub(f2, h2));
  taps3(u + 5 * row, step, g6, g7, g8);
}

/** Kernels of any size, of whose taps a stride makes several planes. */
function kernelsOf(
  u: usize, step: usize, w0: usize, w1: usize, w2: usize, w3: usize, next: usize,
  planes: i32, k: i32, stride: i32, kernels: usize, back: i32,
): void {
  // the way back goes through a kernel from its end
  const start = back ? kernels + ((k * k - 1) << 4) : kernels, tap: i32 = back ? -16 : 16;
  for (let i = 0; i < planes; i++) {
    sideBySide(kernels, w0, w1, w2, w3, (k * k) << 2);
    if (stride == 1) {
      pointsOf(u, step, start, k * tap, tap);
      u += MR << 2;
    } else {
      for (let phase = 0; phase < stride * stride; phase++, u += MR << 2) {
        pickTaps(area + TAPS, kernels, k, stride, phase);
        pointsOf(u, step, area + TAPS, taps << 4, 16);
      }
    }
    w0 += next;
    w1 += next;
    w2 += next;
    w3 += next;
  }
}

/** Four kernels of so many bytes, a vector for each tap. */
function sideBySide(to: usize, w0: usize, w1: usize, w2: usize, w3: usize, bytes: usize): void {
  for (let at: usize = 0;; at = min(at + 16, bytes - 16)) {
    const a0 = v128.load(w0 + at), a1 = v128.load(w1 + at), a2 = v128.load(w2 + at), a3 = v128.load(w3 + at);
    const low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
    const high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
    const q = to + (at << 2);
    v128.store(q, lowHalves(low01, low23));
    v128.store(q, highHalves(low01, low23), 16);
    v128.store(q, lowHalves(high01, high23), 32);
    v128.store(q, highHalves(high01, high23), 48);
    if (at + 16 == bytes) break;
  }
}

/** The taps that one phase of the stride sees; those outside of the kernel are 0. */
function pickTaps(to: usize, kernels: usize, k: i32, stride: i32, phase: i32): void {
  for (let y = phase / stride; y < taps * stride; y += stride) {
    for (let x = phase % stride; x < taps * stride; x += stride, to += 16) {
      v128.store(to, y < k && x < k ? v128.load(kernels + ((y * k + x) << 4)) : f32x4.splat(0));
    }
  }
}

/** G g Gᵀ; tap [y, x] stands at g + y · row + x · tap. */
function pointsOf(u: usize, step: usize, g: usize, row: usize, tap: usize): void {
  const half = area + HALF_TILE, line = (side as usize) << 4;
  for (let x = 0, h = half; x < taps; x++, h += 16, g += tap) tapPoints(h, line, g, row);
  for (let r = 0, h = half; r < side; r++, h += line, u += (side as usize) * step) tapPoints(u, step, h, 16);
}

/** G on 3 or 5 vectors, `next` bytes apart. */
// @ts-ignore: decorator
@inline
function tapPoints(to: usize, step: usize, g: usize, next: usize): void {
  const g0 = v128.load(g), g1 = v128.load(g + next), g2 = v128.load(g + 2 * next);
  if (taps == 3) taps3(to, step, g0, g1, g2);
  else taps5(to, step, g0, g1, g2, v128.load(g + 3 * next), v128.load(g + 4 * next));
}
