// The gradient of Winograd's weights, dw = Gᵀ [Σ over tiles (A dy Aᵀ) ⊙ (Bᵀ d B)] G.

import { FIRST, gemmPanels, MR, NR, ownProduct, packedRows, panelled, Product } from "./gemm";
import { Conv2dGeometry } from "./geometry";
import { collect3, collect5 } from "./inline/winograd";
import { area, claim, forThreads, HALF_TILE, join, ofThread, parts, TAPS, threads } from "./threads";
import {
  boxes, boxInput, enterBox, fillOffsets, gatherInput, gatherOutput, inputRow, mostInput, mostTiles,
  outputRow, plan, positions, side, taps, tiles, transformGradient, transformInput,
} from "./winograd_tiles";

/** Floats of both transforms together: 8 MB. */
const BUDGET: i32 = 1 << 21;

/** Bytes of scratch that winogradBackwardWeight needs, in float64. */
export function winogradBackwardScratchSize(g: Conv2dGeometry): f64 {
  const columns = panelled(g.groupInC * g.strideH * g.strideH), rows = packedRows(g.groupOutC);
  plan(g, columns + rows, BUDGET);
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
  dw: usize, dy: usize, x: usize, scratch: usize, g: Conv2dGeometry,
): void {
  const k = g.kh, planes = g.groupInC, phases = g.strideH * g.strideH, c = planes * phases;
  const m = g.groupOutC, rows = packedRows(m), columns = panelled(c);
  plan(g, columns + rows, BUDGET);
  const products = (scratch + 63) & ~63;
  const v = products + ((positions * rows * columns) << 2);
  const e = v + ((positions * columns * mostTiles) << 2);
  const offsets = ofThread(e + ((positions * rows * mostTiles) << 2), ownBytes());
  const targets = offsets + ((mostTiles + 4) << 2), inputs = targets + ((mostTiles + 4) << 2);
  const planeX = g.h * g.w, planeY = g.oh * g.ow, groups = g.groups;
  const product = ownProduct();
  product.n = columns;
  product.ldc = columns;

  for (let group = 0; group < groups; group++) {
    for (let box = 0; box < boxes; box++) {
      enterBox(box);
      fillOffsets(offsets, taps - 1);
      fillOffsets(targets, 0);

      const ofX = columns / NR, ofY = parts(rows, 2 * MR);
      for (let item = claim(ofX + ofY); item >= 0; item = claim(ofX + ofY)) {
        if (item < ofX) {
          for (let i = item * NR; i < min(c, (item + 1) * NR); i += 4) {
            for (let l = 0; l < 4; l++) {
              const channel = min(i + l, c - 1);
              const plane = x + (((group * planes + channel / phases) * planeX) << 2);
              gatherInput(inputs + ((l * boxInput()) << 2), plane, channel % phases, g);
            }
            inputChannels(v + ((i / NR * NR * tiles + i % NR) << 2), (columns * tiles) << 2, inputs, offsets);
          }
        } else {
          for (let o = (item - ofX) * 2 * MR; o < min(m, (item - ofX + 1) * 2 * MR); o += MR) {
            for (let l = 0; l < 4; l++) {
              const channel = group * m + min(o + l, m - 1);
              gatherOutput(inputs + ((l * tiles) << 6), dy + ((channel * planeY) << 2), g);
            }
            gradientChannels(e + ((o * tiles) << 2), (rows * tiles) << 2, inputs, targets);
          }
        }
      }
      join(ofX + ofY);

      product.k = tiles;
      product.aPanel = (MR * tiles) << 2;
      product.bPanel = (NR * tiles) << 2;
      product.flags = box == 0 ? FIRST : 0;
      multiplyPositions(products, e, v, rows, product);
    }

    for (let o = claim(m); o >= 0; o = claim(m)) {
      const to = dw + (((group * m + o) * planes * k * k) << 2);
      collect(to, products + ((o * columns) << 2), (rows * columns) << 2, g);
    }
    join(m);
  }
}

/**
 * C[p] (+)= A[p] · B[p] at each position p, all in whole panels: C[rows×n], A[rows×k], B[k×n].
 * @param product all but m, which this sets
 */
function multiplyPositions(c: usize, a: usize, b: usize, rows: i32, product: Product): void {
  const columns = product.n, depth = product.k;
  // positions alone would be too few items for many threads
  const pieces = min(rows / MR, parts(40 * threads, positions)), share = parts(rows / MR, pieces) * MR;
  const items = positions * pieces;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const p = item / pieces, first = item % pieces * share, row = p * rows + first;
    product.m = min(share, rows - first);
    const bp = b + ((p * depth * columns) << 2);
    gemmPanels(c + ((row * columns) << 2), a + ((row * depth) << 2), bp, product);
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
function collect(dw: usize, products: usize, step: usize, g: Conv2dGeometry): void {
  const k = g.kh, stride = g.strideH, c = g.groupInC * stride * stride;
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
  if (side == 6) collect3(to, step, m, next);
  else collect5(to, step, m, next);
}
