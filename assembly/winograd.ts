// Convolution with kernels of 3×3 or 5×5 by Winograd's minimal filtering, stride 1, and with larger
// kernels of a stride that leaves as many taps (AlexNet's 11×11 with stride 4 are 3×3 on 16 times
// the channels). A tile of 4×4 outputs takes 36 products instead of 144, or 64 instead of 400.
// For each of the positions the products over channels are a GEMM, M[p] = U[p] · V[p], whose
// columns are tiles; then y = Aᵀ M A.

import { FIRST, gemmPanels, MR, NR, packedRows, panelled } from "./gemm";
import { relu4 } from "./inline/lanes";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import { outputs6, outputs8 } from "./inline/winograd";
import { area, claim, forThreads, HALF_TILE, join, ofThread, parts, threads, workAlone } from "./threads";
import {
  boxes, boxInput, enterBox, fillOffsets, fillTargets, gatherInput, inputRow, mostInput, mostTiles,
  OUT, plan, positions, side, TARGET, taps, tiles, transformInput,
} from "./winograd_tiles";
import { transformWeights } from "./winograd_weights";

/** Floats of V: 4 MB, or 2 MB for each thread that has its own. */
const BUDGET: i32 = 1 << 20, OWN_BUDGET: i32 = 1 << 19;

/** Channels that are transformed together: their rows of a panel share cache lines. */
const CHANNELS: i32 = 4;

/** Output channels whose weights are transformed and used together, in the second-level cache. */
const OUTPUTS: i32 = 8;

/** Bytes that keep the matrices of neighbouring positions from meeting in the same cache sets. */
const APART: i32 = 64;

/**
 * Cuts the outputs into boxes, of which threads take whole ones where there are enough: nothing that
 * one thread wrote is then read by another, and none waits for the others.
 * @returns whether they do; otherwise they share each box
 */
function planBoxes(n: i32, oh: i32, ow: i32, k: i32, stride: i32, c: i32, groups: i32): bool {
  if (threads > 1) {
    plan(n, oh, ow, k, stride, c, OWN_BUDGET);
    // fewer, and a thread that comes late would leave the others too much
    if (boxes * groups >= 4 * threads) return true;
  }
  plan(n, oh, ow, k, stride, c, BUDGET);
  return false;
}

/** Bytes of scratch that winograd needs, in float64. */
export function winogradScratchSize(
  n: i32, inC: i32, outC: i32, oh: i32, ow: i32, k: i32, stride: i32, groups: i32,
): f64 {
  const c = inC / groups * stride * stride;
  const whole = planBoxes(n, oh, ow, k, stride, c, groups), own = ownBytes(c, k);
  return 64 + (whole ? forThreads(matrixBytes(c) + own) : matrixBytes(c) + forThreads(own));
}

/** Bytes of V for the largest box. */
function matrixBytes(c: i32): f64 {
  return (positions as f64) * ((panelled(mostTiles) as f64) * (c as f64) * 4 + (APART as f64));
}

/**
 * Bytes that each thread needs for itself: some channels' inputs, where the tiles are, weights as
 * they come, and U and M of some outputs.
 */
function ownBytes(c: i32, k: i32): f64 {
  return (mostInput() as f64) * (CHANNELS * 4) + ((mostTiles + 4) as f64) * (4 + TARGET) +
    ((k * k) as f64) * 16 +
    (positions as f64) * (OUTPUTS * 4 * ((panelled(mostTiles) as f64) + (c as f64)) + 2 * (APART as f64));
}

/**
 * y[n, outC, oh, ow] = x[n, inC, h, w] ⋆ w + b, dilation 1, written.
 * @param weight [outC, inC/groups, k, k]; on the way back [inC, outC/groups, k, k], turned by 180°
 * @param bias outC floats, or 0 for none
 * @param top, left padding, which may be negative
 * @param relu 1 clamps y at 0
 * @param back 1 on the way back
 */
export function winograd(
  y: usize, x: usize, weight: usize, bias: usize, scratch: usize,
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, k: i32, stride: i32,
  top: i32, left: i32, groups: i32, relu: i32, back: i32,
): void {
  const c = inC / groups * stride * stride, m = outC / groups;
  const whole = planBoxes(n, oh, ow, k, stride, c, groups), matrices = matrixBytes(c);
  const ownSize = ownBytes(c, k);
  const first = (scratch + 63) & ~63;
  const v = whole ? ofThread(first, matrices + ownSize) : first;
  const own = whole ? v + (matrices as usize) : ofThread(v + (matrices as usize), ownSize);

  const items = boxes * groups;
  for (let i = 0;; i++) {
    const item = whole ? claim(items) : i < items ? i : -1;
    if (item < 0) break;
    workAlone(whole);
    enterBox(item % boxes);
    const g = item / boxes;
    computeBox(
      y + ((g * m * oh * ow) << 2), x + ((inC / groups * g * h * w) << 2),
      weight + ((g * m * (inC / groups) * k * k) << 2), bias ? bias + ((g * m) << 2) : 0, v, own,
      c, h, w, (inC * h * w) << 2, m, oh, ow, (outC * oh * ow) << 2, k, stride, top, left, relu, back,
    );
    workAlone(false);
  }
  if (whole) join(items);
}

/** One group's channels of the box at hand: transform, multiply, transform back. */
function computeBox(
  y: usize, x: usize, weight: usize, bias: usize, v: usize, own: usize,
  c: i32, h: i32, w: i32, sampleX: usize, m: i32, oh: i32, ow: i32, sampleY: usize,
  k: i32, stride: i32, top: i32, left: i32, relu: i32, back: i32,
): void {
  const ld = panelled(tiles), phases = stride * stride;
  const offsets = own, targets = offsets + ((mostTiles + 4) << 2), inputs = targets + (mostTiles + 4) * TARGET;
  const stepV: usize = ((c * ld) << 2) + APART;
  const stepU: usize = ((OUTPUTS * c) << 2) + APART, stepM: usize = ((OUTPUTS * ld) << 2) + APART;
  fillOffsets(offsets, taps - 1);
  fillTargets(targets, sampleY, oh, ow);

  const blocks = parts(c, CHANNELS);
  for (let block = claim(blocks); block >= 0; block = claim(blocks)) {
    const first = block * CHANNELS, count = min(CHANNELS, c - first);
    for (let i = 0; i < count; i++) {
      const plane = x + (((first + i) / phases * h * w) << 2), phase = (first + i) % phases;
      gatherInput(
        inputs + ((i * boxInput()) << 2), plane, sampleX, h, w, stride, top - phase / stride,
        left - phase % stride,
      );
    }
    inputTiles(v + ((first * NR) << 2), (c * NR) << 2, stepV, inputs, offsets, count);
  }
  join(blocks);

  const kernels = inputs + mostInput() * (CHANNELS * 4);
  const u = kernels + (k * k << 4), products = u + (positions as usize) * stepU;
  // fewer, where threads would go away empty-handed
  const atOnce = parts(m, OUTPUTS) < 4 * threads ? MR : OUTPUTS, outputs = parts(m, atOnce);
  for (let item = claim(outputs); item >= 0; item = claim(outputs)) {
    const first = item * atOnce, count = min(atOnce, m - first), rows = packedRows(count);
    transformWeights(u, stepU, weight, kernels, first, count, m, c, k, stride, back);
    for (let p = 0, a = u, b = v, to = products; p < positions; p++, a += stepU, b += stepV, to += stepM) {
      gemmPanels(to, ld, a, (c * MR) << 2, b, (c * NR) << 2, rows, ld, c, FIRST);
    }
    for (let o = 0; o < count; o++) {
      outputTiles(
        y + (((first + o) * oh * ow) << 2), products + ((o * ld) << 2), stepM, targets, ow,
        bias ? v128.load32_splat(bias + ((first + o) << 2)) : f32x4.splat(0), relu,
      );
    }
  }
  join(outputs);
}

/** Some channels of V, as rows of each panel of 8 tiles, a matrix for each position. */
function inputTiles(
  v: usize, panel: usize, step: usize, inputs: usize, offsets: usize, channels: i32,
): void {
  const row = inputRow(), plane = boxInput() << 2;
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

/** y = Aᵀ M A + bias of one channel; what hangs over the edge is cut off. */
function outputTiles(
  y: usize, products: usize, step: usize, targets: usize, ow: i32, bias: v128, relu: i32,
): void {
  const half = area + HALF_TILE, line = (side as usize) << 4, row = (side as usize) * step;
  for (let j = 0; j < tiles; j += 4, products += 16) {
    for (let h = half, q = products; h < half + line; h += 16, q += step) {
      const p0 = v128.load(q), p1 = v128.load(q + row), p2 = v128.load(q + 2 * row);
      const p3 = v128.load(q + 3 * row), p4 = v128.load(q + 4 * row), p5 = v128.load(q + 5 * row);
      if (side == 6) outputs6(h, line, p0, p1, p2, p3, p4, p5);
      else outputs8(h, line, p0, p1, p2, p3, p4, p5, v128.load(q + 6 * row), v128.load(q + 7 * row));
    }
    // each row's results take the place of what they were made of
    for (let h = half; h < half + 4 * line; h += line) {
      const p0 = v128.load(h), p1 = v128.load(h, 16), p2 = v128.load(h, 32), p3 = v128.load(h, 48);
      const p4 = v128.load(h, 64), p5 = v128.load(h, 80);
      if (side == 6) outputs6(h, 16, p0, p1, p2, p3, p4, p5);
      else outputs8(h, 16, p0, p1, p2, p3, p4, p5, v128.load(h, 96), v128.load(h, 112));
      finishRows(h, bias, relu);
    }
    const end = half + (min(4, tiles - j) << 4);
    for (let h = half; h < end; h += 16, targets += TARGET) {
      const rows = load<i32>(targets, 4), columns = load<i32>(targets, 8);
      let to = y + load<i32>(targets), from = h;
      for (let r = 0; r < rows; r++, to += ow << 2, from += line) {
        if (columns == OUT) {
          v128.store(to, v128.load(from));
        } else {
          for (let i = 0; i < columns; i++) store<f32>(to + (i << 2), load<f32>(from + (i << 2)));
        }
      }
    }
  }
}

/** Four columns of four tiles, in place, become a row for each tile, with bias and ReLU. */
// @ts-ignore: decorator
@inline
function finishRows(h: usize, bias: v128, relu: i32): void {
  const c0 = finish(v128.load(h), bias, relu), c1 = finish(v128.load(h, 16), bias, relu);
  const c2 = finish(v128.load(h, 32), bias, relu), c3 = finish(v128.load(h, 48), bias, relu);
  const low01 = interleaveLow(c0, c1), high01 = interleaveHigh(c0, c1);
  const low23 = interleaveLow(c2, c3), high23 = interleaveHigh(c2, c3);
  v128.store(h, lowHalves(low01, low23));
  v128.store(h, highHalves(low01, low23), 16);
  v128.store(h, lowHalves(high01, high23), 32);
  v128.store(h, highHalves(high01, high23), 48);
}

// @ts-ignore: decorator
@inline
function finish(v: v128, bias: v128, relu: i32): v128 {
  const sum = f32x4.add(v, bias);
  return relu ? relu4(sum) : sum;
}
