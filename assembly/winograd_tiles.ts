// How Winograd's kernels cut their work: the output falls into tiles of 4×4, tiles into boxes of
// some samples, some rows and some columns of tiles, so that what a box needs stays near the core.
// A tile's input is side × side, side = 4 + taps − 1.
//
// A stride s turns into channels: input plane c becomes the s² planes x[c, s·i + py, s·j + px], on
// which a kernel of k×k is one of taps × taps with stride 1, taps = ⌈k/s⌉, some of them zero.

import { NR } from "./gemm";
import { Conv2dGeometry } from "./geometry";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import { innerPoints8, outerPoint8, points6, spread6, spread8 } from "./inline/winograd";
import { area, HALF_TILE, parts } from "./threads";

/** Outputs along a tile's side. */
export const OUT: i32 = 4;

export let taps: i32 = 0;
export let side: i32 = 0;
/** side², the products that a tile takes instead of taps² · 16. */
export let positions: i32 = 0;

let samples: i32 = 0, down: i32 = 0, across: i32 = 0;
/** The largest box. */
let mostS: i32 = 0, mostY: i32 = 0, mostX: i32 = 0;
export let mostTiles: i32 = 0;
export let boxes: i32 = 0;

/** The box at hand: its first sample, row and column of tiles, and how many of each. */
export let firstS: i32 = 0, firstY: i32 = 0, firstX: i32 = 0;
let countS: i32 = 0, countY: i32 = 0, countX: i32 = 0;
export let tiles: i32 = 0;

/**
 * Cuts the outputs into boxes of about `floats` numbers, when a tile takes `channels` of them at each
 * position.
 */
export function plan(g: Conv2dGeometry, channels: i32, floats: i32): void {
  const n = g.n, stride = g.strideH;
  taps = (g.kh + stride - 1) / stride;
  side = OUT + taps - 1;
  positions = side * side;
  samples = n;
  down = (g.oh + OUT - 1) / OUT;
  across = (g.ow + OUT - 1) / OUT;
  const fit = max(4 * NR, floats / (positions * channels) & ~(NR - 1));
  mostX = evenly(across, fit);
  mostY = evenly(down, fit / mostX);
  mostS = evenly(n, fit / (mostX * mostY));
  mostTiles = mostX * mostY * mostS;
  boxes = parts(across, mostX) * parts(down, mostY) * parts(n, mostS);
}

/** The size of the pieces, at most `most`, when `total` falls into as few as can be. */
function evenly(total: i32, most: i32): i32 {
  return parts(total, parts(total, max(1, min(total, most))));
}

/** Turns to a box. */
export function enterBox(index: i32): void {
  const acrossBoxes = parts(across, mostX), downBoxes = parts(down, mostY);
  firstX = index % acrossBoxes * mostX;
  firstY = index / acrossBoxes % downBoxes * mostY;
  firstS = index / (acrossBoxes * downBoxes) * mostS;
  countX = min(mostX, across - firstX);
  countY = min(mostY, down - firstY);
  countS = min(mostS, samples - firstS);
  tiles = countX * countY * countS;
}

/** Floats of one channel's inputs for the largest box. */
export function mostInput(): i32 {
  return mostS * (mostY * OUT + taps - 1) * (mostX * OUT + taps - 1);
}

/** Floats of one channel's inputs for this box. */
export function boxInput(): i32 {
  return countS * (countY * OUT + taps - 1) * (countX * OUT + taps - 1);
}

/**
 * Copies what the box's tiles see of one input plane of each sample, zeros where that is padding.
 * @param phase which of the stride² planes that the plane becomes
 */
export function gatherInput(to: usize, x: usize, phase: i32, g: Conv2dGeometry): void {
  const h = g.h, w = g.w, stride = g.strideH, sample: usize = (g.inC * h * w) << 2;
  const rows = countY * OUT + taps - 1, columns = countX * OUT + taps - 1;
  const y0 = firstY * OUT * stride - g.top + phase / stride;
  const x0 = firstX * OUT * stride - g.left + phase % stride;
  const begin = min(columns, x0 < 0 ? parts(-x0, stride) : 0);
  const end = max(begin, min(columns, x0 < w ? parts(w - x0, stride) : 0));
  x += (firstS as usize) * sample;
  for (let s = 0; s < countS; s++, x += sample) {
    for (let i = 0, y = y0; i < rows; i++, y += stride) {
      if ((y as u32) < (h as u32)) {
        to = copyRow(to, x + ((y * w + begin * stride + x0) << 2), begin, end, columns, stride);
      } else {
        to = zeros(to, columns);
      }
    }
  }
}

/** Copies the box's outputs, or gradients of them, of one plane of each sample. */
export function gatherOutput(to: usize, y: usize, g: Conv2dGeometry): void {
  const oh = g.oh, ow = g.ow, sample: usize = (g.outC * oh * ow) << 2;
  const rows = countY * OUT, columns = countX * OUT, end = min(columns, ow - firstX * OUT);
  y += (firstS as usize) * sample;
  for (let s = 0; s < countS; s++, y += sample) {
    for (let i = 0, row = firstY * OUT; i < rows; i++, row++) {
      if (row < oh) to = copyRow(to, y + ((row * ow + firstX * OUT) << 2), 0, end, columns, 1);
      else to = zeros(to, columns);
    }
  }
}

/** to[begin … end − 1] = every stride-th float, zeros before and behind; returns where it ends. */
// @ts-ignore: decorator
@inline
function copyRow(to: usize, from: usize, begin: i32, end: i32, columns: i32, stride: i32): usize {
  to = zeros(to, begin);
  const stop = to + ((end - begin) << 2);
  if (stride == 1) {
    for (; to + 16 <= stop; to += 16, from += 16) v128.store(to, v128.load(from));
  }
  for (; to < stop; to += 4, from += stride << 2) store<f32>(to, load<f32>(from));
  return zeros(to, columns - end);
}

function zeros(to: usize, count: i32): usize {
  const end = to + (count << 2);
  for (; to + 16 <= end; to += 16) v128.store(to, f32x4.splat(0));
  for (; to < end; to += 4) store<f32>(to, 0);
  return end;
}

/** Bytes from one row of the box's gathered inputs to the next. */
// @ts-ignore: decorator
@inline
export function inputRow(): usize {
  return (countX * OUT + taps - 1) << 2;
}

/** Bytes from one row of the box's gathered outputs to the next. */
// @ts-ignore: decorator
@inline
export function outputRow(): usize {
  return (countX * OUT) << 2;
}

/**
 * Where each tile of the box begins in what was gathered, in bytes, `halo` floats wider and higher
 * than its outputs; up to a multiple of four tiles, the last one again.
 */
export function fillOffsets(to: usize, halo: i32): void {
  const row = countX * OUT + halo, plane = (countY * OUT + halo) * row;
  for (let j = 0; j < ((tiles + 3) & ~3); j++, to += 4) {
    const tile = min(j, tiles - 1), x = tile % countX, y = tile / countX % countY;
    store<i32>(to, (tile / (countX * countY) * plane + (y * row + x) * OUT) << 2);
  }
}

/** Bytes of an entry that fillTargets writes: an address, rows and columns. */
export const TARGET: i32 = 12;

/** Where each tile of the box goes in a plane of y, in bytes, and how much of it lies inside. */
export function fillTargets(to: usize, g: Conv2dGeometry): void {
  const oh = g.oh, ow = g.ow, sample = (g.outC * oh * ow) << 2;
  for (let tile = 0; tile < tiles; tile++, to += TARGET) {
    const x = (firstX + tile % countX) * OUT, y = (firstY + tile / countX % countY) * OUT;
    const s = firstS + tile / (countX * countY);
    store<i32>(to, s * sample + ((y * ow + x) << 2));
    store<i32>(to, min(OUT, oh - y), 4);
    store<i32>(to, min(OUT, ow - x), 8);
  }
}

/**
 * V = Bᵀ d B of four tiles, in the lanes; position p goes to to + p · step.
 * @param row bytes from one row of the tiles to the next
 */
export function transformInput(
  to: usize, step: usize, d0: usize, d1: usize, d2: usize, d3: usize, row: usize,
): void {
  const half = area + HALF_TILE;
  if (side == 6) {
    for (let h = half; h < half + 6 * 96; h += 96, d0 += row, d1 += row, d2 += row, d3 += row) {
      const a0 = v128.load(d0), a1 = v128.load(d1), a2 = v128.load(d2), a3 = v128.load(d3);
      const low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
      const high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
      const last01 = interleaveLow(v128.load64_zero(d0, 16), v128.load64_zero(d1, 16));
      const last23 = interleaveLow(v128.load64_zero(d2, 16), v128.load64_zero(d3, 16));
      points6(
        h, 16, lowHalves(low01, low23), highHalves(low01, low23), lowHalves(high01, high23),
        highHalves(high01, high23), lowHalves(last01, last23), highHalves(last01, last23),
      );
    }
    for (let h = half; h < half + 96; h += 16, to += step) {
      points6(
        to, 6 * step, v128.load(h), v128.load(h, 96), v128.load(h, 192), v128.load(h, 288),
        v128.load(h, 384), v128.load(h, 480),
      );
    }
    return;
  }
  for (let h = half; h < half + 8 * 128; h += 128, d0 += row, d1 += row, d2 += row, d3 += row) {
    let a0 = v128.load(d0), a1 = v128.load(d1), a2 = v128.load(d2), a3 = v128.load(d3);
    let low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
    let high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
    const x0 = lowHalves(low01, low23), x1 = highHalves(low01, low23);
    const x2 = lowHalves(high01, high23), x3 = highHalves(high01, high23);
    a0 = v128.load(d0, 16);
    a1 = v128.load(d1, 16);
    a2 = v128.load(d2, 16);
    a3 = v128.load(d3, 16);
    low01 = interleaveLow(a0, a1);
    low23 = interleaveLow(a2, a3);
    high01 = interleaveHigh(a0, a1);
    high23 = interleaveHigh(a2, a3);
    const x4 = lowHalves(low01, low23), x5 = highHalves(low01, low23);
    const x6 = lowHalves(high01, high23), x7 = highHalves(high01, high23);
    outerPoint8(h, x0, x2, x4, x6);
    innerPoints8(h, 16, x1, x2, x3, x4, x5, x6);
    outerPoint8(h + 7 * 16, x7, x5, x3, x1);
  }
  for (let h = half; h < half + 128; h += 16, to += step) {
    const x0 = v128.load(h), x1 = v128.load(h, 128), x2 = v128.load(h, 256), x3 = v128.load(h, 384);
    const x4 = v128.load(h, 512), x5 = v128.load(h, 640), x6 = v128.load(h, 768), x7 = v128.load(h, 896);
    outerPoint8(to, x0, x2, x4, x6);
    innerPoints8(to, 8 * step, x1, x2, x3, x4, x5, x6);
    outerPoint8(to + 56 * step, x7, x5, x3, x1);
  }
}

/**
 * A dy Aᵀ of one tile of four channels, in the lanes; position p goes to to + p · step.
 * @param row bytes from one row of the tile to the next
 */
export function transformGradient(
  to: usize, step: usize, d0: usize, d1: usize, d2: usize, d3: usize, row: usize,
): void {
  const half = area + HALF_TILE, line = (side as usize) << 4;
  for (let h = half; h < half + 4 * line; h += line, d0 += row, d1 += row, d2 += row, d3 += row) {
    const a0 = v128.load(d0), a1 = v128.load(d1), a2 = v128.load(d2), a3 = v128.load(d3);
    const low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
    const high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
    gradientPoints(
      h, 16, lowHalves(low01, low23), highHalves(low01, low23), lowHalves(high01, high23),
      highHalves(high01, high23),
    );
  }
  for (let h = half; h < half + line; h += 16, to += step) {
    gradientPoints(
      to, (side as usize) * step, v128.load(h), v128.load(h + line), v128.load(h + 2 * line),
      v128.load(h + 3 * line),
    );
  }
}

/** A on four vectors, for 3 or 5 taps. */
// @ts-ignore: decorator
@inline
function gradientPoints(to: usize, step: usize, e0: v128, e1: v128, e2: v128, e3: v128): void {
  if (side == 6) spread6(to, step, e0, e1, e2, e3);
  else spread8(to, step, e0, e1, e2, e3);
}
