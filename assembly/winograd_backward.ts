// The gradient of Winograd's weights, dw = Gᵀ [Σ over tiles (A dy Aᵀ) ⊙ (Bᵀ d B)] G.

import { FIRST, gemmPanels, MR, NR, packedRows, panelled } from "./gemm";
import { collect3, collect5 } from "./inline/winograd";
import { area, claim, forThreads, HALF_TILE, join, ofThread, parts, TAPS, threads } from "./threads";
import {
  boxes, boxInput, enterBox, fillOffsets, gatherInput, gatherOutput, inputRow, mostInput, mostTiles,
  outputRow, plan, positions, side, taps, tiles, transformGradient, transformInput,
} from "./winograd_tiles";

/** Floats of both transforms together: 8 MB. */
const BUDGET: i32 = 1 << 21;

/** Bytes of scratch that winogradBackwardWeight needs, in float64. */
export function winogradBackwardScratchSize(
  n: i32, inC: i32, outC: i32, oh: i32, ow: i32, k: i32, stride: i32, groups: i32,
): f64 {
  const columns = panelled(inC / groups * stride * stride), rows = packedRows(outC / groups);
  plan(n, oh, ow, k, stride, columns + rows, BUDGET);
  const tiles = (mostTiles as f64) * ((columns + rows) as f64);
  return (positions as f64) * (tiles + (columns as f64) * (rows as f64)) * 4 + forThreads(ownBytes()) + 64;
}

/** Bytes that each thread needs for itself: four channels' inputs, and where the tiles are. */
function ownBytes(): f64 {
  return (mostInput() as f64) * 16 + ((mostTiles + 4) as f64) * 8;
}

/**
 * dw[outC, inC/groups, k, k] += the gradient of winograd's weights, accumulated.
 * @param dy [n, outC, oh, ow]
 * @param x [n, inC, h, w]
 */
export function winogradBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize,
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, k: i32, stride: i32,
  top: i32, left: i32, groups: i32,
): void {
  const planes = inC / groups, phases = stride * stride, c = planes * phases;
  const m = outC / groups, rows = packedRows(m), columns = panelled(c);
  plan(n, oh, ow, k, stride, columns + rows, BUDGET);
  const products = (scratch + 63) & ~63;
  const v = products + ((positions * rows * columns) << 2);
  const e = v + ((positions * columns * mostTiles) << 2);
  const offsets = ofThread(e + ((positions * rows * mostTiles) << 2), ownBytes());
  const targets = offsets + ((mostTiles + 4) << 2), inputs = targets + ((mostTiles + 4) << 2);
  const sampleX: usize = (inC * h * w) << 2, sampleY: usize = (outC * oh * ow) << 2;

  for (let g = 0; g < groups; g++) {
    for (let box = 0; box < boxes; box++) {
      enterBox(box);
      fillOffsets(offsets, taps - 1);
      fillOffsets(targets, 0);

      const ofX = columns / NR, ofY = parts(rows, 2 * MR);
      for (let item = claim(ofX + ofY); item >= 0; item = claim(ofX + ofY)) {
        if (item < ofX) {
          for (let i = item * NR; i < min(c, (item + 1) * NR); i += 4) {
            for (let l = 0; l < 4; l++) {
              const channel = min(i + l, c - 1), phase = channel % phases;
              gatherInput(
                inputs + ((l * boxInput()) << 2), x + (((g * planes + channel / phases) * h * w) << 2),
                sampleX, h, w, stride, top - phase / stride, left - phase % stride,
              );
            }
            inputChannels(v + ((i / NR * NR * tiles + i % NR) << 2), (columns * tiles) << 2, inputs, offsets);
          }
        } else {
          for (let o = (item - ofX) * 2 * MR; o < min(m, (item - ofX + 1) * 2 * MR); o += MR) {
            for (let l = 0; l < 4; l++) {
              const channel = g * m + min(o + l, m - 1);
              gatherOutput(inputs + ((l * tiles) << 6), dy + ((channel * oh * ow) << 2), sampleY, oh, ow);
            }
            gradientChannels(e + ((o * tiles) << 2), (rows * tiles) << 2, inputs, targets);
          }
        }
      }
      join(ofX + ofY);

      multiplyPositions(products, e, v, rows, columns, tiles, box == 0 ? FIRST : 0);
    }

    for (let o = claim(m); o >= 0; o = claim(m)) {
      const to = dw + (((g * m + o) * planes * k * k) << 2);
      collect(to, products + ((o * columns) << 2), (rows * columns) << 2, c, k, stride);
    }
    join(m);
  }
}

/**
 * C[p] (+)= A[p] · B[p] at each position p, all in whole panels: C[rows×columns], A[rows×depth],
 * B[depth×columns].
 * @param flags FIRST or 0
 */
function multiplyPositions(
  c: usize, a: usize, b: usize, rows: i32, columns: i32, depth: i32, flags: i32,
): void {
  // positions alone would be too few items for many threads
  const pieces = min(rows / MR, parts(40 * threads, positions)), share = parts(rows / MR, pieces) * MR;
  const items = positions * pieces;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const p = item / pieces, first = item % pieces * share, row = p * rows + first;
    gemmPanels(
      c + ((row * columns) << 2), columns, a + ((row * depth) << 2), (MR * depth) << 2,
      b + ((p * depth * columns) << 2), (NR * depth) << 2, min(share, rows - first), columns, depth, flags,
    );
  }
  join(items);
}

/** Four channels of V, side by side in a panel of 8 that is as deep as there are tiles. */
function inputChannels(v: usize, step: usize, inputs: usize, offsets: usize): void {
  const row = inputRow(), plane = boxInput() << 2;
  for (let j = 0; j < tiles; j++, v += NR << 2, offsets += 4) {
    const d = inputs + load<i32>(offsets);
    transformInput(v, step, d, d + plane, d + 2 * plane, d + 3 * plane, row);
  }
}

/** The same for the gradients, a panel of 4. */
function gradientChannels(e: usize, step: usize, inputs: usize, offsets: usize): void {
  const row = outputRow(), plane = tiles << 6;
  for (let j = 0; j < tiles; j++, e += MR << 2, offsets += 4) {
    const d = inputs + load<i32>(offsets);
    transformGradient(e, step, d, d + plane, d + 2 * plane, d + 3 * plane, row);
  }
}

/** dw[c, k, k] += Gᵀ M G for one output channel, four channels at a time, in the lanes. */
function collect(dw: usize, products: usize, step: usize, c: i32, k: i32, stride: i32): void {
  const half = area + HALF_TILE, row = area + TAPS, line = (side as usize) << 4;
  const phases = stride * stride;
  for (let i = 0; i < c; i += 4, products += 16) {
    for (let h = half, q = products; h < half + line; h += 16, q += step) {
      collectPoints(h, line, q, (side as usize) * step);
    }
    const lanes = min(4, c - i);
    for (let y = 0, h = half; y < taps; y++, h += line) {
      collectPoints(row, 16, h, 16);
      for (let l = 0; l < lanes; l++) {
        const channel = (i + l) / phases, phase = (i + l) % phases;
        const ky = y * stride + phase / stride;
        if (ky >= k) continue;
        for (let x = 0, kx = phase % stride; x < taps && kx < k; x++, kx += stride) {
          const to = dw + (((channel * k + ky) * k + kx) << 2);
          store<f32>(to, load<f32>(to) + load<f32>(row + ((x * 4 + l) << 2)));
        }
      }
    }
  }
}

/** Gᵀ on 6 or 8 vectors. */
// @ts-ignore: decorator
@inline
function collectPoints(to: usize, step: usize, m: usize, next: usize): void {
  const m0 = v128.load(m), m1 = v128.load(m + next), m2 = v128.load(m + 2 * next);
  const m3 = v128.load(m + 3 * next), m4 = v128.load(m + 4 * next), m5 = v128.load(m + 5 * next);
  if (side == 6) collect3(to, step, m0, m1, m2, m3, m4, m5);
  else collect5(to, step, m0, m1, m2, m3, m4, m5, v128.load(m + 6 * next), v128.load(m + 7 * next));
}
