// y[n, o] = x[n, :] · w[o, :] + b[o] for a small batch. A tile is six rows of w, which are not packed, by
// eight samples, which are packed as xᵀ. The tile uses one float of each row at a time, so that the rows
// arrive from memory while it computes.

import { packTransposedPanel } from "./gemm_pack";
import { LinearGeometry } from "./geometry";
import { activate, activate4 } from "./inline/activate";
import { lanes4, madd } from "./inline/lanes";
import { ceilDiv, claim, EDGE_TILE, join, threadMemory } from "./threads";

/** Rows of w and samples of a tile. */
const MR: i32 = 6;
const NR: i32 = 8;
/** The fewest samples of a tile that is not whole; linear.ts computes a smaller rest. */
const MIN_REST: i32 = 7;
/** The most samples. linear.ts computes larger batches, for which rows of w stay in a cache. */
const MAX_SAMPLES: i32 = 24;
/** Depth that an item packs, and that is summed up at a time: short sums lose fewer digits. */
const DEPTH: i32 = 1024;
/** Rows of w that make an item. */
const ROWS: i32 = 48;

/** How many of n samples linearPanels computes. */
export function panelSamples(n: i32): i32 {
  return n > MAX_SAMPLES ? 0 : n % NR < MIN_REST ? n - n % NR : n;
}

/** Bytes of scratch memory that linearPanels needs, in float64. */
export function panelScratchSize(n: i32, inF: i32): f64 {
  return (ceilDiv(n, NR) * NR * 4) as f64 * (inF as f64);
}

/** The first n samples of linear. */
export function linearPanels(
  y: usize, x: usize, w: usize, bias: usize, scratch: usize, n: i32, g: LinearGeometry, activation: i32,
): void {
  const inF = g.inF, outF = g.outF;
  const row = (inF as usize) << 2, panel = row * NR, panels = ceilDiv(n, NR);

  const blocks = ceilDiv(inF, DEPTH), packs = panels * blocks;
  for (let i = claim(packs); i >= 0; i = claim(packs)) {
    const s = i / blocks, l = (i % blocks) * DEPTH;
    const to = scratch + (s as usize) * panel + ((l * NR) << 2);
    const from = x + ((s * NR) as usize) * row + (l << 2);
    packTransposedPanel(to, from, row, min(NR, n - s * NR), min(DEPTH, inF - l));
  }
  join(packs);

  const items = ceilDiv(outF, ROWS);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    for (let o = i * ROWS, end = min(o + ROWS, outF); o < end; o += MR) {
      const from = w + (o as usize) * row, rows = min(MR, outF - o), b = bias ? bias + (o << 2) : 0;
      for (let s = 0, packed = scratch; s < panels; s++, packed += panel) {
        for (let l = 0; l < inF; l += DEPTH) {
          tile6x8(from + (l << 2), row, rows, packed + ((l * NR) << 2), min(DEPTH, inF - l), l > 0);
        }
        finish(y + ((s * NR * outF + o) << 2), outF, b, rows, min(NR, n - s * NR), activation);
      }
    }
  }
  join(items);
}

/**
 * This thread's edge tile (+)= w[6×k] · xᵀ[k×8]. 12 accumulators, 2 vectors of xᵀ and a broadcast of w
 * fill 15 of 16 registers. Rows of w beyond `rows` repeat the last one and are not used.
 */
function tile6x8(w: usize, row: usize, rows: i32, b: usize, k: i32, adds: bool): void {
  const last = w + ((rows - 1) as usize) * row;
  let w1 = min(w + row, last), w2 = min(w1 + row, last), w3 = min(w2 + row, last);
  let w4 = min(w3 + row, last), w5 = min(w4 + row, last);
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  let b0: v128, b1: v128, s: v128;
  for (const end = w + ((k & ~3) << 2); w < end; b += 128) {
    b0 = v128.load(b), b1 = v128.load(b, 16);
    s = v128.load32_splat(w), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = v128.load32_splat(w1), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = v128.load32_splat(w2), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(w3), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(w4), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    s = v128.load32_splat(w5), c50 = madd(c50, s, b0), c51 = madd(c51, s, b1);
    b0 = v128.load(b, 32), b1 = v128.load(b, 48);
    s = v128.load32_splat(w, 4), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = v128.load32_splat(w1, 4), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = v128.load32_splat(w2, 4), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(w3, 4), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(w4, 4), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    s = v128.load32_splat(w5, 4), c50 = madd(c50, s, b0), c51 = madd(c51, s, b1);
    b0 = v128.load(b, 64), b1 = v128.load(b, 80);
    s = v128.load32_splat(w, 8), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = v128.load32_splat(w1, 8), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = v128.load32_splat(w2, 8), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(w3, 8), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(w4, 8), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    s = v128.load32_splat(w5, 8), c50 = madd(c50, s, b0), c51 = madd(c51, s, b1);
    b0 = v128.load(b, 96), b1 = v128.load(b, 112);
    s = v128.load32_splat(w, 12), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = v128.load32_splat(w1, 12), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = v128.load32_splat(w2, 12), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(w3, 12), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(w4, 12), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    s = v128.load32_splat(w5, 12), c50 = madd(c50, s, b0), c51 = madd(c51, s, b1);
    w += 16, w1 += 16, w2 += 16, w3 += 16, w4 += 16, w5 += 16;
  }
  for (const end = w + ((k & 3) << 2); w < end; b += 32) {
    b0 = v128.load(b), b1 = v128.load(b, 16);
    s = v128.load32_splat(w), c00 = madd(c00, s, b0), c01 = madd(c01, s, b1);
    s = v128.load32_splat(w1), c10 = madd(c10, s, b0), c11 = madd(c11, s, b1);
    s = v128.load32_splat(w2), c20 = madd(c20, s, b0), c21 = madd(c21, s, b1);
    s = v128.load32_splat(w3), c30 = madd(c30, s, b0), c31 = madd(c31, s, b1);
    s = v128.load32_splat(w4), c40 = madd(c40, s, b0), c41 = madd(c41, s, b1);
    s = v128.load32_splat(w5), c50 = madd(c50, s, b0), c51 = madd(c51, s, b1);
    w += 4, w1 += 4, w2 += 4, w3 += 4, w4 += 4, w5 += 4;
  }
  const to = threadMemory + EDGE_TILE;
  storeRow(to, c00, c01, adds);
  storeRow(to + 32, c10, c11, adds);
  storeRow(to + 64, c20, c21, adds);
  storeRow(to + 96, c30, c31, adds);
  storeRow(to + 128, c40, c41, adds);
  storeRow(to + 160, c50, c51, adds);
}

/** One row of the tile. */
// @ts-ignore: decorator
@inline
function storeRow(to: usize, v0: v128, v1: v128, adds: bool): void {
  v128.store(to, adds ? f32x4.add(v0, v128.load(to)) : v0);
  v128.store(to, adds ? f32x4.add(v1, v128.load(to, 16)) : v1, 16);
}

/** Adds the bias to a tile's sums, activates them, and stores them in y, sample by sample. */
function finish(y: usize, outF: i32, bias: usize, rows: i32, samples: i32, activation: i32): void {
  let from = threadMemory + EDGE_TILE;
  for (let s = 0; s < samples; s++, from += 4, y += outF << 2) {
    let r = 0;
    if (rows >= 4) {
      let v = lanes4(from, from + 32, from + 64, from + 96);
      if (bias) v = f32x4.add(v, v128.load(bias));
      v128.store(y, activate4(v, activation));
      r = 4;
    }
    for (; r < rows; r++) {
      const v = load<f32>(from + (r << 5)) + (bias ? load<f32>(bias + (r << 2)) : 0);
      store<f32>(y + (r << 2), activate(v, activation));
    }
  }
}
