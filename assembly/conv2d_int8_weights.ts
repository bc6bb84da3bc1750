// The weights of a convolution in 8 bits: rounded to ±127, with a step for each output channel, and laid out
// for gemm_int8.ts.

import { MR } from "./gemm";
import { A_STEP, LANES } from "./gemm_int8";
import { packedRows } from "./gemm_pack";
import { Int8FilterGeometry } from "./geometry";
import { upper } from "./inline/lanes";
import { loadUpTo } from "./inline/part";
import { INFINITE, TINY } from "./quantize";
import { EDGE_TILE, threadMemory } from "./threads";

/** Words that hold c channels. */
// @ts-ignore: decorator
@inline
export function wordsOf(c: i32): i32 {
  return (c + LANES - 1) / LANES;
}

/** Bytes of the sums in front of packed weights. */
// @ts-ignore: decorator
@inline
export function sumsBytes(outC: i32): usize {
  return ((outC << 2) + 63) & ~63;
}

/** Words of depth of packed weights. */
// @ts-ignore: decorator
@inline
function depthOf(g: Int8FilterGeometry): i32 {
  return wordsOf(g.filterSize / g.taps) * g.taps;
}

/** Bytes that conv2dInt8Pack writes, in float64: sums of each row, then panels of each group. */
export function conv2dInt8PackedSize(g: Int8FilterGeometry): f64 {
  const rows = (g.groups as f64) * (packedRows(g.outC / g.groups) as f64);
  return (sumsBytes(g.outC) as f64) + rows * (depthOf(g) as f64) * LANES;
}

/** Address of the first word of row o, in packed weights. */
function packedRow(packed: usize, o: i32, g: Int8FilterGeometry): usize {
  const m = g.outC / g.groups, row = o % m, depth = depthOf(g);
  const first = (o / m * packedRows(m) + (row & ~(MR - 1))) * LANES;
  return packed + sumsBytes(g.outC) + (first as usize) * (depth as usize) + ((row % MR) * LANES);
}

/**
 * Rounds `rows` rows of weights, from row `first` on, and lays them out for conv2dInt8.
 * @param packed conv2dInt8PackedSize bytes
 * @param scales outC floats, read if they are given
 * @param w [rows, filterSize]
 */
export function conv2dInt8Pack(packed: usize, scales: usize, w: usize, g: Int8FilterGeometry): void {
  const size = g.filterSize, taps = g.taps, c = size / taps, words = wordsOf(c);
  for (let o = g.first, end = o + g.rows; o < end; o++, w += size << 2) {
    const top = largest(w, size);
    let by: f32 = NaN;
    if (top < Infinity) by = g.isScaled ? load<f32>(scales + (o << 2)) : weightStep(w, size, top);
    store<f32>(scales + (o << 2), by);
    const to = packedRow(packed, o, g), corrects = !g.isScaled;
    if (corrects && taps == 1) chooseCorrections(w, size, by);
    let sum = 0;
    for (let i = 0, from = w; i < words * LANES; i++) {
      if (corrects && taps > 1 && i < c) chooseCorrections(from, taps, by);
      for (let t = 0; t < taps; t++, from += 4) {
        let q = 0;
        if (i < c) q = corrects ? roundCorrected(load<f32>(from), by) : roundWeight(load<f32>(from), by);
        store<i8>(to + ((i / LANES * taps + t) * A_STEP) + i % LANES, q as i8);
        sum += q;
      }
    }
    store<i32>(packed + (o << 2), sum);
  }
}

/**
 * Lays out `rows` rows of integers, from row `first` on, for conv2dInt8.
 * @param scales outC floats; those of the rows are rounded to 16 bits, so that products are exact
 * @param w [rows, filterSize]
 */
export function conv2dInt8PackIntegers(packed: usize, scales: usize, w: usize, g: Int8FilterGeometry): void {
  const size = g.filterSize, taps = g.taps, c = size / taps;
  for (let o = g.first, end = o + g.rows; o < end; o++, w += size) {
    const step = load<f32>(scales + (o << 2));
    store<f32>(scales + (o << 2), isNaN(step) ? NaN : roundStep(step));
    store<i32>(packed + (o << 2), sumOfIntegers(w, size));
    let to = packedRow(packed, o, g), from = w;
    for (let i = 0; i < c; i += LANES, from += taps * LANES) {
      for (let t = 0; t < taps; t++, to += A_STEP) packWord(to, from + t, taps, c - i);
    }
  }
}

/** Packs a word of up to `lanes` integers, `step` bytes apart. */
// @ts-ignore: decorator
@inline
function packWord(to: usize, from: usize, step: usize, lanes: i32): void {
  let word: u32 = load<u8>(from);
  if (lanes > 1) word |= (load<u8>(from + step) as u32) << 8;
  if (LANES == 2) {
    store<u16>(to, word as u16);
    return;
  }
  if (lanes > 2) word |= (load<u8>(from + 2 * step) as u32) << 16;
  if (lanes > 3) word |= (load<u8>(from + 3 * step) as u32) << 24;
  store<u32>(to, word);
}

/** The sum of n integers. */
function sumOfIntegers(p: usize, n: i32): i32 {
  let sums = i32x4.splat(0);
  const end = p + n;
  for (const whole = p + (n & ~15); p < whole; p += 16) {
    const pairs = i16x8.extadd_pairwise_i8x16_s(v128.load(p));
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(pairs));
  }
  let sum = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
  sum += i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
  for (; p < end; p++) sum += load<i8>(p);
  return sum;
}

/** Copies the integers of packed weights back to rows, [outC, filterSize]. */
export function conv2dInt8Unpack(w: usize, packed: usize, g: Int8FilterGeometry): void {
  const taps = g.taps, c = g.filterSize / taps;
  for (let o = 0; o < g.outC; o++) {
    const from = packedRow(packed, o, g);
    for (let i = 0; i < c; i++) {
      for (let t = 0; t < taps; t++, w++) {
        store<i8>(w, load<i8>(from + ((i / LANES * taps + t) * A_STEP) + i % LANES));
      }
    }
  }
}

/** The integers that the largest weight of a row can become: all of them are tried. */
const MOST: f32 = 127, LEAST: f32 = 112;

/** The largest magnitude of n weights, infinity if one is NaN. */
function largest(w: usize, n: i32): f32 {
  let top: u32 = reinterpret<u32>(TINY as f32);
  for (const end = w + (n << 2); w < end; w += 4) top = max(top, load<u32>(w) & 0x7fffffff);
  return reinterpret<f32>(min(top, INFINITE as u32));
}

/**
 * The step of n weights. It makes the largest one, `top`, an integer from MOST down to LEAST: that with the
 * least squared errors. The step has 16 significant bits. So products with integers are exact, and rounding
 * weights again gives the same.
 */
function weightStep(w: usize, n: i32, top: f32): f32 {
  let best: f32 = 0, least: f64 = Infinity;
  for (let integer = MOST; integer >= LEAST; integer--) {
    const step = roundStep(top / integer);
    const error = squaredError(w, n, step);
    if (error < least) least = error, best = step;
  }
  return best;
}

/** A step with 16 significant bits. */
// @ts-ignore: decorator
@inline
function roundStep(step: f32): f32 {
  return reinterpret<f32>((reinterpret<u32>(step) + 0x80) & ~0xff);
}

/** The sum of the squared errors of n weights. Every build adds them in the same order. */
function squaredError(w: usize, n: i32, step: f32): f64 {
  const by = f32x4.splat(step);
  let sum = f32x4.splat(0);
  for (; n > 0; n -= 4, w += 16) {
    const v = f32x4.div(loadUpTo(w, n), by), off = f32x4.sub(v, f32x4.nearest(v));
    sum = f32x4.add(sum, f32x4.mul(off, off));
  }
  const half = f64x2.add(f64x2.promote_low_f32x4(sum), f64x2.promote_low_f32x4(upper(sum)));
  return (f64x2.extract_lane(half, 0) + f64x2.extract_lane(half, 1)) * step * step;
}

/** How to correct the rounding of weights: which way, from which bucket on, how many of that bucket. */
let direction: f32 = 0, bucket: i32 = 0, inBucket: i32 = 0;
const BUCKETS: i32 = 64;

/**
 * Chooses which of n weights to round the other way, so that their errors add up to 0: those of an input
 * channel, whose pixels are similar, or of all channels if there is one pixel, because inputs are often
 * positive. Those in the middle of two integers are chosen, by buckets.
 */
function chooseCorrections(w: usize, n: i32, step: f32): void {
  const end = w + (n << 2), counts = threadMemory + EDGE_TILE;
  let error: f64 = 0;
  for (let p = w; p < end; p += 4) {
    const v = load<f32>(p);
    error += (v / step - (roundWeight(v, step) as f32)) as f64;
  }
  direction = error > 0 ? 1 : -1;
  bucket = BUCKETS, inBucket = 0;
  if (!(abs<f64>(error) >= 0.5)) return; // also if a weight is NaN
  let missing = nearest<f64>(abs<f64>(error)) as i32;
  memory.fill(counts, 0, BUCKETS << 2);
  for (let p = w; p < end; p += 4) {
    const at = bucketOf(load<f32>(p), step);
    if (at >= 0) store<i32>(counts + (at << 2), load<i32>(counts + (at << 2)) + 1);
  }
  while (missing > 0 && bucket > 0) {
    bucket--;
    inBucket = missing;
    missing -= load<i32>(counts + (bucket << 2));
  }
}

/** The bucket of a weight, from 0; −1 if it must not be rounded the other way. */
function bucketOf(w: f32, step: f32): i32 {
  const q = roundWeight(w, step), off = direction * (w / step - (q as f32));
  return off > 0 && abs((q as f32) + direction) <= 127 ? min(BUCKETS - 1, (off * 128) as i32) : -1;
}

/** A weight as an integer, corrected. All n weights must be rounded in order. */
function roundCorrected(w: f32, step: f32): i32 {
  const q = roundWeight(w, step), at = bucketOf(w, step);
  if (at < bucket) return q;
  if (at == bucket && --inBucket < 0) return q;
  return q + (direction as i32);
}

/** A weight / its step as an integer. With a given step, it can be −128. */
function roundWeight(w: f32, step: f32): i32 {
  const v = nearest<f32>(w / step);
  return isNaN(v) ? 0 : max(min(v, 127), -128) as i32;
}
