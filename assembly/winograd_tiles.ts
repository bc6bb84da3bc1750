// How Winograd's kernels (winograd.ts) cut their work, and the transforms of the tiles. The output is cut into
// tiles of 4×4. The input of a tile has inputSide × inputSide values, inputSide = 4 + taps − 1; those of
// neighbouring tiles overlap. A box is some tiles, few enough for their matrices to stay in a cache:
//
// - all tiles of some samples,
// - or, if a sample has too many, a range of its tiles, counted row by row,
// - or, if a row of tiles has too many, a rectangle of them.
//
// plan() and selectBox() set the variables that the other functions read.
//
// A stride s is turned into channels: input plane c becomes the s² planes x[c, s·i + py, s·j + px]. On
// them, a kernel of k×k acts as one of taps × taps with stride 1, taps ≥ ⌈k/s⌉, padded with zeros.

import { NR } from "./gemm";
import { packedColumns } from "./gemm_pack";
import { Conv2dGeometry } from "./geometry";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import {
  gradientTransform6, gradientTransform8, inputTransform6, inputTransform8Inner, inputTransform8Outer,
} from "./inline/winograd";
import { copyFloats, copyStrided, zeros } from "./rows";
import { ceilDiv, HALF_TILE, threadMemory } from "./threads";

/** Rows and columns of outputs in a tile. */
export const TILE: i32 = 4;

/** Bytes between the matrices of neighbouring positions: without them, their rows would share cache sets. */
export const STAGGER: i32 = 64;

/** Rows and columns of a kernel, 3 or 5. */
export let taps: i32 = 0;
/** Rows and columns of the input of a tile, 6 or 8. */
export let inputSide: i32 = 0;
/** inputSide²: products for a tile and a channel, instead of taps² · 16. */
export let positions: i32 = 0;

/** Samples, and tiles of one. */
let samples: i32 = 0, tileRows: i32 = 0, tileColumns: i32 = 0;
/** The largest box: its samples, rows and columns of tiles, and tiles. */
let maxSamples: i32 = 0, maxRows: i32 = 0, maxColumns: i32 = 0;
export let maxTiles: i32 = 0;
/** The number of ranges into which the tiles of each sample are cut; 0 if boxes are no ranges. */
let ranges: i32 = 0;
/** The number of boxes. */
export let boxes: i32 = 0;

/**
 * The current box: its first sample, row and column of tiles, and how many of each it has. A range has all rows
 * and columns in which it has a tile.
 */
let firstSample: i32 = 0, firstRow: i32 = 0, firstColumn: i32 = 0;
let boxSamples: i32 = 0, boxRows: i32 = 0, boxColumns: i32 = 0;
/** The number of its tiles, and of the tiles of its first row that are in front of them. */
export let tiles: i32 = 0;
let firstTile: i32 = 0;

/** Tiles of all samples. */
export function countTiles(g: Conv2dGeometry): i32 {
  return g.n * ceilDiv(g.oh, TILE) * ceilDiv(g.ow, TILE);
}

/**
 * Cuts the outputs into boxes that take about `floats` numbers each, when a tile takes `channels`
 * numbers at each position.
 * @param parts the number of boxes wanted
 */
export function plan(g: Conv2dGeometry, channels: i32, floats: i32, parts: i32 = 1): void {
  const n = g.n, stride = g.strideH;
  taps = ceilDiv(g.kh, stride) <= 3 ? 3 : 5; // 4 are 5, the last of which is 0
  inputSide = TILE + taps - 1;
  positions = inputSide * inputSide;
  samples = n;
  tileRows = ceilDiv(g.oh, TILE);
  tileColumns = ceilDiv(g.ow, TILE);
  const wanted = packedColumns(ceilDiv(countTiles(g), parts));
  const fit = min(wanted, max(4 * NR, floats / positions / channels & ~(NR - 1)));
  const sampleTiles = tileRows * tileColumns;
  ranges = sampleTiles > fit && tileColumns <= fit ? ceilDiv(sampleTiles, fit) : 0;
  if (ranges > 0) {
    maxSamples = 1;
    maxColumns = tileColumns;
    maxTiles = ceilDiv(ceilDiv(sampleTiles, NR), ranges) * NR;
    maxRows = min(tileRows, ceilDiv(maxTiles - 1, tileColumns) + 1);
    boxes = n * ranges;
    return;
  }
  maxColumns = evenSize(tileColumns, fit);
  maxRows = evenSize(tileRows, fit / maxColumns);
  maxSamples = evenSize(n, fit / (maxColumns * maxRows));
  maxTiles = maxColumns * maxRows * maxSamples;
  boxes = ceilDiv(tileColumns, maxColumns) * ceilDiv(tileRows, maxRows) * ceilDiv(n, maxSamples);
}

/** Cuts `total` into as few parts as possible, of similar sizes and at most `limit`. Returns their size. */
function evenSize(total: i32, limit: i32): i32 {
  return ceilDiv(total, ceilDiv(total, max(1, min(total, limit))));
}

/** The first tile of a range of neighbouring tiles. All ranges but the last have whole panels. */
function rangeBegin(index: i32): i32 {
  const sampleTiles = tileRows * tileColumns, panels = ceilDiv(sampleTiles, NR) as i64;
  return min(sampleTiles, (index * panels / ranges) as i32 * NR);
}

/** Makes a box the current one. */
export function selectBox(index: i32): void {
  if (ranges > 0) {
    const first = rangeBegin(index % ranges);
    tiles = rangeBegin(index % ranges + 1) - first;
    firstSample = index / ranges;
    firstRow = first / tileColumns;
    firstColumn = 0;
    firstTile = first % tileColumns;
    boxSamples = 1;
    boxRows = ceilDiv(firstTile + tiles, tileColumns);
    boxColumns = tileColumns;
    return;
  }
  const boxesAcross = ceilDiv(tileColumns, maxColumns), boxesDown = ceilDiv(tileRows, maxRows);
  firstColumn = index % boxesAcross * maxColumns;
  firstRow = index / boxesAcross % boxesDown * maxRows;
  firstSample = index / (boxesAcross * boxesDown) * maxSamples;
  boxColumns = min(maxColumns, tileColumns - firstColumn);
  boxRows = min(maxRows, tileRows - firstRow);
  boxSamples = min(maxSamples, samples - firstSample);
  firstTile = 0;
  tiles = boxColumns * boxRows * boxSamples;
}

/** Floats of the inputs of one channel for the largest box. */
export function maxInputSize(): i32 {
  return maxSamples * (maxRows * TILE + taps - 1) * (maxColumns * TILE + taps - 1);
}

/** Floats of the inputs of one channel for the current box. */
export function boxInputSize(): i32 {
  return boxSamples * (boxRows * TILE + taps - 1) * (boxColumns * TILE + taps - 1);
}

/** Floats of the outputs of one channel for the current box; at most those of its inputs. */
export function boxOutputSize(): i32 {
  return boxSamples * boxRows * boxColumns * TILE * TILE;
}

/**
 * Copies the inputs of the box's tiles from one plane of each sample, with zeros for the padding: a plane for
 * each sample of the box, so that tiles overlap in it.
 * @param phase which of the stride² planes that the plane is turned into
 */
export function gatherInput(to: usize, x: usize, phase: i32, g: Conv2dGeometry): void {
  const h = g.h, w = g.w, stride = g.strideH, sample: usize = (g.inC * h * w) << 2;
  const rows = boxRows * TILE + taps - 1, columns = boxColumns * TILE + taps - 1;
  const y0 = firstRow * TILE * stride - g.top + phase / stride;
  const x0 = firstColumn * TILE * stride - g.left + phase % stride;
  const begin = min(columns, x0 < 0 ? ceilDiv(-x0, stride) : 0);
  const end = max(begin, min(columns, x0 < w ? ceilDiv(w - x0, stride) : 0));
  x += (firstSample as usize) * sample;
  for (let s = 0; s < boxSamples; s++, x += sample) {
    for (let i = 0, y = y0; i < rows; i++, y += stride) {
      if ((y as u32) < (h as u32)) {
        to = copyRow(to, x + ((y * w + begin * stride + x0) << 2), begin, end, columns, stride);
      } else {
        to = zeros(to, columns);
      }
    }
  }
}

/** Copies the gradients of the outputs in the box's rows and columns from one plane of each sample. */
export function gatherOutput(to: usize, y: usize, g: Conv2dGeometry): void {
  const oh = g.oh, ow = g.ow, sample: usize = (g.outC * oh * ow) << 2;
  const rows = boxRows * TILE, columns = boxColumns * TILE, end = min(columns, ow - firstColumn * TILE);
  y += (firstSample as usize) * sample;
  for (let s = 0; s < boxSamples; s++, y += sample) {
    for (let i = 0, row = firstRow * TILE; i < rows; i++, row++) {
      if (row < oh) to = copyRow(to, y + ((row * ow + firstColumn * TILE) << 2), 0, end, columns, 1);
      else to = zeros(to, columns);
    }
  }
}

/** to[begin … end − 1] = every stride-th float, zeros around it; returns the address behind the row. */
// @ts-ignore: decorator
@inline
function copyRow(to: usize, from: usize, begin: i32, end: i32, columns: i32, stride: i32): usize {
  const count = end - begin;
  to = zeros(to, begin);
  if (stride == 1) copyFloats(to, from, count);
  else copyStrided(to, from, count, stride << 2);
  return zeros(to + (count << 2), columns - end);
}

/** Bytes from one row of gathered inputs to the next. */
// @ts-ignore: decorator
@inline
export function inputRowBytes(): usize {
  return (boxColumns * TILE + taps - 1) << 2;
}

/** Bytes from one row of gathered outputs to the next. */
// @ts-ignore: decorator
@inline
export function outputRowBytes(): usize {
  return (boxColumns * TILE) << 2;
}

/**
 * Offset of each tile of the box among gathered values, in bytes. The last tile is repeated up to a
 * multiple of four.
 * @param halo floats by which gathered rows and columns exceed the outputs
 */
export function fillOffsets(to: usize, halo: i32): void {
  const row = boxColumns * TILE + halo, plane = (boxRows * TILE + halo) * row;
  for (let j = 0; j < ((tiles + 3) & ~3); j++, to += 4) {
    const tile = firstTile + min(j, tiles - 1), x = tile % boxColumns, y = tile / boxColumns % boxRows;
    store<i32>(to, (tile / (boxColumns * boxRows) * plane + (y * row + x) * TILE) << 2);
  }
}

/** Bytes of an entry that fillTargets writes: an offset, rows and columns. */
export const TARGET: i32 = 12;

/** Offset of each tile of the box in a plane of y, in bytes, and its rows and columns inside the plane. */
export function fillTargets(to: usize, g: Conv2dGeometry): void {
  const oh = g.oh, ow = g.ow, sample = (g.outC * oh * ow) << 2;
  for (let tile = firstTile; tile < firstTile + tiles; tile++, to += TARGET) {
    const x = (firstColumn + tile % boxColumns) * TILE, y = (firstRow + tile / boxColumns % boxRows) * TILE;
    const s = firstSample + tile / (boxColumns * boxRows);
    store<i32>(to, s * sample + ((y * ow + x) << 2));
    store<i32>(to, min(TILE, oh - y), 4);
    store<i32>(to, min(TILE, ow - x), 8);
  }
}

/**
 * V = Bᵀ d B of four tiles, one in each lane. Position p is stored at to + p · step. Each loop transforms along
 * one axis; the first also turns rows of tiles into lanes.
 * @param row bytes from one row of the tiles to the next
 */
export function transformInput(
  to: usize, step: usize, d0: usize, d1: usize, d2: usize, d3: usize, row: usize,
): void {
  const half = threadMemory + HALF_TILE;
  if (inputSide == 6) {
    for (let h = half; h < half + 6 * 96; h += 96, d0 += row, d1 += row, d2 += row, d3 += row) {
      const a0 = v128.load(d0), a1 = v128.load(d1), a2 = v128.load(d2), a3 = v128.load(d3);
      const low01 = interleaveLow(a0, a1), low23 = interleaveLow(a2, a3);
      const high01 = interleaveHigh(a0, a1), high23 = interleaveHigh(a2, a3);
      const last01 = interleaveLow(v128.load64_zero(d0, 16), v128.load64_zero(d1, 16));
      const last23 = interleaveLow(v128.load64_zero(d2, 16), v128.load64_zero(d3, 16));
      inputTransform6(
        h, 16, lowHalves(low01, low23), highHalves(low01, low23), lowHalves(high01, high23),
        highHalves(high01, high23), lowHalves(last01, last23), highHalves(last01, last23),
      );
    }
    for (let h = half; h < half + 96; h += 16, to += step) {
      inputTransform6(
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
    inputTransform8Outer(h, x0, x2, x4, x6);
    inputTransform8Inner(h, 16, x1, x2, x3, x4, x5, x6);
    inputTransform8Outer(h + 7 * 16, x7, x5, x3, x1);
  }
  for (let h = half; h < half + 128; h += 16, to += step) {
    const x0 = v128.load(h), x1 = v128.load(h, 128), x2 = v128.load(h, 256), x3 = v128.load(h, 384);
    const x4 = v128.load(h, 512), x5 = v128.load(h, 640), x6 = v128.load(h, 768), x7 = v128.load(h, 896);
    inputTransform8Outer(to, x0, x2, x4, x6);
    inputTransform8Inner(to, 8 * step, x1, x2, x3, x4, x5, x6);
    inputTransform8Outer(to + 56 * step, x7, x5, x3, x1);
  }
}

/**
 * A dy Aᵀ of one tile of four channels, one in each lane. Position p is stored at to + p · step.
 * @param row bytes from one row of the tile to the next
 */
export function transformGradient(
  to: usize, step: usize, d0: usize, d1: usize, d2: usize, d3: usize, row: usize,
): void {
  const half = threadMemory + HALF_TILE, line = (inputSide as usize) << 4;
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
      to, (inputSide as usize) * step, v128.load(h), v128.load(h + line), v128.load(h + 2 * line),
      v128.load(h + 3 * line),
    );
  }
}

/** A on four vectors, for 3 or 5 taps. */
// @ts-ignore: decorator
@inline
function gradientPoints(to: usize, step: usize, e0: v128, e1: v128, e2: v128, e3: v128): void {
  if (inputSide == 6) gradientTransform6(to, step, e0, e1, e2, e3);
  else gradientTransform8(to, step, e0, e1, e2, e3);
}
