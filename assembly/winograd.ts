// Convolution with stride 1 and kernels of 3×3 or 5×5 by Winograd's minimal filtering (Lavin & Gray,
// "Fast Algorithms for Convolutional Neural Networks", 2016). Both work on input tiles of 6×6, the
// points 0, ±1, ±2, ∞, and so share the input's transform V = Bᵀ d B:
//   F(4×4, 3×3): 4×4 outputs a tile, 36 multiplications instead of 144
//   F(2×2, 5×5): 2×2 outputs a tile, 36 instead of 100
// For each of the 36 positions the products over channels are a GEMM, M[p] = U[p] · V[p], whose
// columns are tiles; then y = Aᵀ M A.

import { gemmPanels, MR, NR, packedRows } from "./gemm";
import { padImage } from "./columns";
import { lanes4, relu4 } from "./inline/lanes";
import { area, HALF_TILE, ROW } from "./threads";

const POSITIONS: i32 = 36;
/** Outputs along a tile's side: the tile is 6 = outputs + k − 1. */
// @ts-ignore: decorator
@inline
function outputsOf(k: i32): i32 {
  return 7 - k;
}

// ---- weights: U = G g Gᵀ, once ----

/** Floats that winogradPack writes. */
export function winogradPackedSize(outC: i32, c: i32, groups: i32): f64 {
  return (POSITIONS * groups) as f64 * (packedRows(outC / groups) as f64) * (c as f64);
}

/**
 * Transforms weights [outC, c, k, k] and lays them out for gemm.ts, group by group, position by
 * position: panels of 6 output channels, all c deep. Four output channels at a time, in the lanes.
 */
export function winogradPack(packed: usize, w: usize, outC: i32, c: i32, k: i32, groups: i32): void {
  const m = outC / groups, rows = packedRows(m), filter = (c * k * k) << 2;
  const half = area + HALF_TILE, row6 = area + ROW;
  memory.fill(packed, 0, (groups * POSITIONS * rows * c) << 2);
  for (let g = 0; g < groups; g++, w += m * filter) {
    for (let o = 0; o < m; o += 4) {
      const w0 = w + o * filter, w1 = w + min(o + 1, m - 1) * filter;
      const w2 = w + min(o + 2, m - 1) * filter, w3 = w + min(o + 3, m - 1) * filter;
      const lanes = min(4, m - o);
      for (let i = 0, tap: usize = 0; i < c; i++) {
        // G g, column by column: six points for each of k columns
        for (let x = 0, h = half; x < k; x++, h += 16) {
          const at = tap + (x << 2);
          tapPoints(h, 96, w0 + at, w1 + at, w2 + at, w3 + at, k << 2, k);
        }
        tap += (k * k) << 2;
        // … Gᵀ, row by row
        for (let r = 0, h = half; r < 6; r++, h += 96) {
          tapPoints(row6, 16, h, h + 4, h + 8, h + 12, 16, k);
          for (let q = 0; q < 6; q++) {
            for (let l = 0; l < lanes; l++) {
              const row = o + l, p = r * 6 + q;
              const to = ((g * POSITIONS + p) * rows + row / MR * MR) * c + i * MR + row % MR;
              store<f32>(packed + (to << 2), load<f32>(row6 + ((q * 4 + l) << 2)));
            }
          }
        }
      }
    }
  }
}

/** G on k taps that stand `tap` bytes apart, of four filters; six results `step` bytes apart. */
function tapPoints(to: usize, step: usize, w0: usize, w1: usize, w2: usize, w3: usize, tap: usize, k: i32): void {
  const g0 = lanes4(w0, w1, w2, w3);
  let even = g0, odd = f32x4.splat(0); // at ±1: Σ over even and over odd taps
  let even2 = g0, odd2 = odd; // at ±2
  let last = g0;
  let power: f32 = 1;
  for (let i: usize = 1; i < (k as usize); i++) {
    const o = i * tap;
    last = lanes4(w0 + o, w1 + o, w2 + o, w3 + o);
    power *= 2;
    const scaled = f32x4.mul(last, f32x4.splat(power));
    if (i & 1) {
      odd = f32x4.add(odd, last);
      odd2 = f32x4.add(odd2, scaled);
    } else {
      even = f32x4.add(even, last);
      even2 = f32x4.add(even2, scaled);
    }
  }
  const sixth = f32x4.splat(-1.0 / 6), part = f32x4.splat(1.0 / 24);
  v128.store(to, f32x4.mul(g0, f32x4.splat(0.25)));
  v128.store(to + step, f32x4.mul(f32x4.add(even, odd), sixth));
  v128.store(to + 2 * step, f32x4.mul(f32x4.sub(even, odd), sixth));
  v128.store(to + 3 * step, f32x4.mul(f32x4.add(even2, odd2), part));
  v128.store(to + 4 * step, f32x4.mul(f32x4.sub(even2, odd2), part));
  v128.store(to + 5 * step, last);
}

// ---- forward ----

/** Floats of V and M together: 2 MB. */
const BUDGET: i32 = 1 << 19;

/** Tiles transformed at a time, so that V and M stay near the core. */
function tilesAtOnce(tiles: i32, channels: i32): i32 {
  const fit = BUDGET / (POSITIONS * channels) & ~(NR - 1);
  return min((tiles + NR - 1) & ~(NR - 1), max(2 * NR, fit));
}
/** Bytes of scratch that winograd needs, in float64. */
export function winogradScratchSize(
  inC: i32, outC: i32, oh: i32, ow: i32, k: i32, groups: i32,
): f64 {
  const c = inC / groups, rows = packedRows(outC / groups), t = outputsOf(k);
  const down = (oh + t - 1) / t, across = (ow + t - 1) / t;
  const image = (c as f64) * ((down * t + k - 1) as f64) * ((across * t + k - 1) as f64);
  const tiles = tilesAtOnce(down * across, c + rows);
  const matrices = ((POSITIONS * tiles) as f64) * ((c + rows) as f64);
  return (image + matrices) * 4 + 16;
}

/**
 * y[n, outC, oh, ow] = x[n, inC, h, w] ⋆ w + b, stride and dilation 1, written.
 * @param packed weights from winogradPack
 * @param bias outC floats, or 0 for none
 * @param relu 1 clamps y at 0
 */
export function winograd(
  y: usize, x: usize, packed: usize, bias: usize, scratch: usize,
  n: i32, inC: i32, h: i32, w: i32, outC: i32, oh: i32, ow: i32, k: i32,
  top: i32, left: i32, groups: i32, relu: i32,
): void {
  const c = inC / groups, m = outC / groups, rows = packedRows(m), t = outputsOf(k);
  const down = (oh + t - 1) / t, across = (ow + t - 1) / t, tiles = down * across;
  const hp = down * t + k - 1, wp = across * t + k - 1;
  const chunk = tilesAtOnce(tiles, c + rows);
  const v = (scratch + ((c * hp * wp) << 2) + 15) & ~15;
  const products = v + ((POSITIONS * chunk * c) << 2);

  for (let s = 0; s < n * groups; s++) {
    const g = s % groups;
    const u = packed + ((g * POSITIONS * rows * c) << 2);
    padImage(scratch, x + ((s * c * h * w) << 2), c, h, w, top, left, hp - h - top, wp - w - left);
    for (let first = 0; first < tiles; first += chunk) {
      const count = min(chunk, tiles - first), ld = (count + NR - 1) & ~(NR - 1);
      transformInput(v, scratch, c, hp, wp, t, across, first, ld, tiles - 1);
      for (let p = 0; p < POSITIONS; p++) {
        gemmPanels(
          products + ((p * rows * ld) << 2), ld, u + ((p * rows * c) << 2), (MR * c) << 2,
          v + ((p * c * ld) << 2), (NR * c) << 2, rows, ld, c,
        );
      }
      transformOutput(
        y + ((s * m * oh * ow) << 2), products, bias ? bias + ((g * m) << 2) : 0, m, (rows * ld) << 2,
        ld, oh, ow, k, across, first, count, relu,
      );
    }
  }
}

/** V = Bᵀ d B of the tiles first … first + count − 1, as B panels of 8 tiles, a matrix a position. */
function transformInput(
  v: usize, image: usize, c: i32, hp: i32, wp: i32, t: i32, across: i32, first: i32, count: i32, last: i32,
): void {
  const position = (c * count) << 2, row = wp << 2;
  const half = area + HALF_TILE;
  for (let j = 0; j < count; j += 4) {
    const d0 = tileAt(image, min(first + j, last), across, t, wp);
    const d1 = tileAt(image, min(first + j + 1, last), across, t, wp);
    const d2 = tileAt(image, min(first + j + 2, last), across, t, wp);
    const d3 = tileAt(image, min(first + j + 3, last), across, t, wp);
    let to = v + (((j / NR) * NR * c + j % NR) << 2);
    for (let i = 0, at: usize = 0; i < c; i++, at += (hp * wp) << 2, to += NR * 4) {
      for (let x: usize = 0, h = half; x < 24; x += 4, h += 16) {
        let o = at + x;
        const a = lanes4(d0 + o, d1 + o, d2 + o, d3 + o);
        o += row;
        const b = lanes4(d0 + o, d1 + o, d2 + o, d3 + o);
        o += row;
        const e = lanes4(d0 + o, d1 + o, d2 + o, d3 + o);
        o += row;
        const f = lanes4(d0 + o, d1 + o, d2 + o, d3 + o);
        o += row;
        const g = lanes4(d0 + o, d1 + o, d2 + o, d3 + o);
        o += row;
        points(h, 96, a, b, e, f, g, lanes4(d0 + o, d1 + o, d2 + o, d3 + o));
      }
      for (let r: usize = 0, h = half, q = to; r < 6; r++, h += 96, q += 6 * position) {
        points(
          q, position, v128.load(h), v128.load(h, 16), v128.load(h, 32), v128.load(h, 48),
          v128.load(h, 64), v128.load(h, 80),
        );
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function tileAt(image: usize, tile: i32, across: i32, t: i32, wp: i32): usize {
  return image + (((tile / across * wp + tile % across) * t) << 2);
}

/** Bᵀ on six values, stored `step` bytes apart. */
// @ts-ignore: decorator
@inline
function points(to: usize, step: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128): void {
  const four = f32x4.splat(4), five = f32x4.splat(5), two = f32x4.splat(2);
  const ce = f32x4.sub(e, f32x4.mul(four, c)); // e − 4c
  const bd = f32x4.sub(d, f32x4.mul(four, b)); // d − 4b
  const e2 = f32x4.sub(e, c); // e − c
  const d2 = f32x4.mul(two, f32x4.sub(d, b)); // 2(d − b)
  v128.store(to, f32x4.add(f32x4.sub(f32x4.mul(four, a), f32x4.mul(five, c)), e));
  v128.store(to + step, f32x4.add(ce, bd));
  v128.store(to + 2 * step, f32x4.sub(ce, bd));
  v128.store(to + 3 * step, f32x4.add(e2, d2));
  v128.store(to + 4 * step, f32x4.sub(e2, d2));
  v128.store(to + 5 * step, f32x4.add(f32x4.sub(f32x4.mul(four, b), f32x4.mul(five, d)), f));
}

/** y = Aᵀ M A + bias of the tiles first … first + count − 1; what hangs over the edge is cut off. */
function transformOutput(
  y: usize, products: usize, bias: usize, m: i32, position: usize, ld: i32, oh: i32, ow: i32, k: i32,
  across: i32, first: i32, count: i32, relu: i32,
): void {
  const t = outputsOf(k);
  // a tile between the two halves of a transform, four tiles side by side in the lanes
  const half = area + HALF_TILE;
  for (let o = 0; o < m; o++, y += (oh * ow) << 2, products += ld << 2) {
    const b = bias ? v128.load32_splat(bias + (o << 2)) : f32x4.splat(0);
    for (let j = 0; j < count; j += 4) {
      const from = products + (j << 2);
      for (let x: usize = 0, h = half, q = from; x < 6; x++, h += 16, q += position) {
        const row: usize = 6 * position;
        const p0 = v128.load(q), p1 = v128.load(q + row), p2 = v128.load(q + 2 * row);
        const p3 = v128.load(q + 3 * row), p4 = v128.load(q + 4 * row), p5 = v128.load(q + 5 * row);
        if (t == 4) outputs4(h, 96, p0, p1, p2, p3, p4, p5);
        else outputs2(h, 96, p0, p1, p2, p3, p4, p5);
      }
      const tiles = min(4, count - j);
      for (let r = 0, h = half; r < t; r++, h += 96) {
        const p0 = v128.load(h), p1 = v128.load(h, 16), p2 = v128.load(h, 32), p3 = v128.load(h, 48);
        const p4 = v128.load(h, 64), p5 = v128.load(h, 80);
        if (t == 4) {
          outputs4(h, 16, p0, p1, p2, p3, p4, p5);
          transpose4(h, b, relu);
        } else {
          outputs2(h, 16, p0, p1, p2, p3, p4, p5);
          transpose2(h, b, relu);
        }
        let oy = (first + j) / across * t + r, ox = (first + j) % across * t;
        for (let l = 0; l < tiles; l++) {
          if (oy < oh) storeRow(y + ((oy * ow + ox) << 2), h + ((l * t) << 2), t, ow - ox);
          ox += t;
          if (ox == across * t) {
            ox = 0;
            oy += t;
          }
        }
      }
    }
  }
}

/** One row of a tile, of which `room` floats lie inside y. */
// @ts-ignore: decorator
@inline
function storeRow(to: usize, from: usize, t: i32, room: i32): void {
  if (t == 4 && room >= 4) {
    v128.store(to, v128.load(from));
  } else if (t == 2 && room >= 2) {
    store<i64>(to, load<i64>(from));
  } else {
    for (let i = 0; i < min(t, room); i++) store<f32>(to + (i << 2), load<f32>(from + (i << 2)));
  }
}

/** Four columns of four tiles, in place, become a row of four for each tile; bias and ReLU added. */
// @ts-ignore: decorator
@inline
function transpose4(h: usize, b: v128, relu: i32): void {
  const c0 = finish(v128.load(h), b, relu), c1 = finish(v128.load(h, 16), b, relu);
  const c2 = finish(v128.load(h, 32), b, relu), c3 = finish(v128.load(h, 48), b, relu);
  const low01 = interleaveLow(c0, c1), high01 = interleaveHigh(c0, c1);
  const low23 = interleaveLow(c2, c3), high23 = interleaveHigh(c2, c3);
  v128.store(h, i64x2.shuffle(low01, low23, 0, 2));
  v128.store(h, i64x2.shuffle(low01, low23, 1, 3), 16);
  v128.store(h, i64x2.shuffle(high01, high23, 0, 2), 32);
  v128.store(h, i64x2.shuffle(high01, high23, 1, 3), 48);
}

/** Two columns of four tiles, in place, become a row of two for each tile. */
// @ts-ignore: decorator
@inline
function transpose2(h: usize, b: v128, relu: i32): void {
  const c0 = finish(v128.load(h), b, relu), c1 = finish(v128.load(h, 16), b, relu);
  v128.store(h, interleaveLow(c0, c1));
  v128.store(h, interleaveHigh(c0, c1), 16);
}

// @ts-ignore: decorator
@inline
function finish(v: v128, b: v128, relu: i32): v128 {
  const sum = f32x4.add(v, b);
  return relu ? relu4(sum) : sum;
}

/** a0 b0 a1 b1 */
// @ts-ignore: decorator
@inline
function interleaveLow(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 0, 4, 1, 5);
}

/** a2 b2 a3 b3 */
// @ts-ignore: decorator
@inline
function interleaveHigh(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 2, 6, 3, 7);
}

/** Aᵀ of F(4, 3) on six values. */
// @ts-ignore: decorator
@inline
function outputs4(to: usize, step: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128): void {
  const bc = f32x4.add(b, c), bc2 = f32x4.sub(b, c), de = f32x4.add(d, e), de2 = f32x4.sub(d, e);
  v128.store(to, f32x4.add(a, f32x4.add(bc, de)));
  v128.store(to + step, f32x4.add(bc2, f32x4.add(de2, de2)));
  v128.store(to + 2 * step, f32x4.add(bc, f32x4.mul(f32x4.splat(4), de)));
  v128.store(to + 3 * step, f32x4.add(f32x4.add(bc2, f32x4.mul(f32x4.splat(8), de2)), f));
}

/** Aᵀ of F(2, 5) on six values. */
// @ts-ignore: decorator
@inline
function outputs2(to: usize, step: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128): void {
  v128.store(to, f32x4.add(a, f32x4.add(f32x4.add(b, c), f32x4.add(d, e))));
  const de = f32x4.sub(d, e);
  v128.store(to + step, f32x4.add(f32x4.add(f32x4.sub(b, c), f32x4.add(de, de)), f));
}
