// How Winograd's kernels cut their work: the output falls into tiles of 4×4, tiles into boxes of
// some samples, some rows and some columns of tiles, so that what a box needs stays near the core.
// A tile's input is side × side, side = 4 + taps − 1.
//
// A stride s turns into channels: input plane c becomes the s² planes x[c, s·i + py, s·j + px], on
// which a kernel of k×k is one of taps × taps with stride 1, taps = ⌈k/s⌉, some of them zero.

import { NR } from "./gemm";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import { points6, points8, spread6, spread8 } from "./inline/winograd";
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
 * Cuts n outputs of oh × ow into boxes of about `floats` numbers, when a tile takes `channels` of
 * them at each position.
 */
export function plan(n: i32, oh: i32, ow: i32, k: i32, stride: i32, channels: i32, floats: i32): void {
  planTaps(k, stride);
  samples = n;
  down = (oh + OUT - 1) / OUT;
  across = (ow + OUT - 1) / OUT;
  const fit = max(4 * NR, floats / (positions * channels) & ~(NR - 1));
  mostX = evenly(across, fit);
  mostY = evenly(down, fit / mostX);
  mostS = evenly(n, fit / (mostX * mostY));
  mostTiles = mostX * mostY * mostS;
  boxes = parts(across, mostX) * parts(down, mostY) * parts(n, mostS);
}

/** What follows from the kernel alone. */
export function planTaps(k: i32, stride: i32): void {
  taps = (k + stride - 1) / stride;
  side = OUT + taps - 1;
  positions = side * side;
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

/** Copies what the box's tiles see of one plane of each sample; what lies outside is 0. */
export function gatherInput(
  to: usize, x: usize, sample: usize, h: i32, w: i32, stride: i32, top: i32, left: i32,
): void {
  gather(
    to, x + (firstS as usize) * sample, sample, h, w, stride, firstY * OUT * stride - top,
    firstX * OUT * stride - left, countY * OUT + taps - 1, countX * OUT + taps - 1,
  );
}

/** Copies the box's outputs, or gradients of them, of one plane of each sample. */
export function gatherOutput(to: usize, y: usize, sample: usize, oh: i32, ow: i32): void {
  gather(
    to, y + (firstS as usize) * sample, sample, oh, ow, 1, firstY * OUT, firstX * OUT, countY * OUT,
    countX * OUT,
  );
}

/** to[s, i, j] = x[s, stride · i + y0, stride · j + x0] */
function gather(
  to: usize, x: usize, sample: usize, h: i32, w: i32, stride: i32, y0: i32, x0: i32, rows: i32, columns: i32,
): void {
  const begin = min(columns, x0 < 0 ? parts(-x0, stride) : 0);
  const end = max(begin, min(columns, x0 < w ? parts(w - x0, stride) : 0));
  for (let s = 0; s < countS; s++, x += sample) {
    for (let i = 0, sy = y0; i < rows; i++, sy += stride) {
      if ((sy as u32) >= (h as u32)) {
        to = zeros(to, columns);
        continue;
      }
      to = zeros(to, begin);
      let from = x + ((sy * w + begin * stride + x0) << 2);
      const stop = to + ((end - begin) << 2);
      if (stride == 1) {
        for (; to + 16 <= stop; to += 16, from += 16) v128.store(to, v128.load(from));
      }
      for (; to < stop; to += 4, from += stride << 2) store<f32>(to, load<f32>(from));
      to = zeros(to, columns - end);
    }
  }
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
export function fillTargets(to: usize, sample: usize, oh: i32, ow: i32): void {
  for (let tile = 0; tile < tiles; tile++, to += TARGET) {
    const x = (firstX + tile % countX) * OUT, y = (firstY + tile / countX % countY) * OUT;
    const s = firstS + tile / (countX * countY);
    store<i32>(to, s * (sample as i32) + ((y * ow + x) << 2));
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
    points8(
      h, 16, x0, x1, x2, x3, lowHalves(low01, low23), highHalves(low01, low23),
      lowHalves(high01, high23), highHalves(high01, high23),
    );
  }
  for (let h = half; h < half + 128; h += 16, to += step) {
    points8(
      to, 8 * step, v128.load(h), v128.load(h, 128), v128.load(h, 256), v128.load(h, 384),
      v128.load(h, 512), v128.load(h, 640), v128.load(h, 768), v128.load(h, 896),
    );
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
