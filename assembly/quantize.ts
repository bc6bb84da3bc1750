// Rounding the inputs of a convolution to words of integers from 0 to 127 (gemm_int8.ts).
//
//   x ≈ step · (q − zero),  step = (high − low) / 127 for a range that includes 0
//
// `zero` is the integer that stands for 0, so that padding is exact. Wide inputs have 14 bits,
// q = 128 · q1 + q0, in two words.
//
// A sum with MAGIC, 1.5 · 2²³, rounds: such a float has no fraction, and its last bits are those of the
// integer.

import { LANES } from "./gemm_int8";
import { demoted, upper } from "./inline/lanes";
import { loadPart, loadUpTo, storePart, storeUpTo } from "./inline/part";

/** 1.5 · 2²³ */
const MAGIC: f32 = 12582912;
/** The bits of infinity. */
export const INFINITE: i32 = 0x7f800000;
/** The least width of a range: it is divided by. */
export const TINY: f64 = 7.888609052210118e-31; // 2⁻¹⁰⁰

/**
 * Widens the pair of extremes at `to` by n floats. The bits of floats from 0 on, as integers, are in order, and
 * those of floats below 0 in reverse. So the largest signed integer is the largest float, unless all are
 * below 0. The largest unsigned one is the least float, if one is below 0. NaN counts as beyond infinity.
 */
export function widenRange(to: usize, x: usize, n: i32): void {
  let high = i32x4.splat(load<i32>(to)), low = i32x4.splat(load<i32>(to, 4)), high1 = high, low1 = low;
  const end = x + (n << 2);
  for (; x + 32 <= end; x += 32) {
    const v = v128.load(x), w = v128.load(x, 16);
    high = i32x4.max_s(high, v);
    low = i32x4.max_u(low, v);
    high1 = i32x4.max_s(high1, w);
    low1 = i32x4.max_u(low1, w);
  }
  for (; x < end; x += 4) {
    const v = v128.load32_splat(x);
    high = i32x4.max_s(high, v);
    low = i32x4.max_u(low, v);
  }
  high = i32x4.max_s(high, high1);
  low = i32x4.max_u(low, low1);
  high = i32x4.max_s(high, i32x4.shuffle(high, high, 2, 3, 0, 1));
  low = i32x4.max_u(low, i32x4.shuffle(low, low, 2, 3, 0, 1));
  high = i32x4.max_s(high, i32x4.shuffle(high, high, 1, 0, 3, 2));
  low = i32x4.max_u(low, i32x4.shuffle(low, low, 1, 0, 3, 2));
  store<i32>(to, i32x4.extract_lane(high, 0));
  store<i32>(to, i32x4.extract_lane(low, 0), 4);
}

/** How this thread's current sample is rounded. */
export let step: f32 = 0, zero: i32 = 0;
let inverse: f32 = 0, levels: f32 = 0;

/** Chooses how to round values between low and high, to 14 bits if they are wide. */
export function chooseSteps(low: f32, high: f32, isWide: bool): void {
  levels = isWide ? 16383 : 127;
  const width = max((max(high, 0) as f64) - (min(low, 0) as f64), TINY);
  step = (width / levels) as f32;
  inverse = ((levels as f64) / width) as f32;
  zero = nearest<f64>(-(min(low, 0) as f64) * levels / width) as i32;
}

/**
 * Chooses how to round each of n pixels, by its values in all channels.
 * @param steps n floats, then the same for `zeros`
 * @param factors a float for each pixel, then another one `offset` bytes behind: how quantizePixels rounds
 */
export function choosePixels(
  steps: usize, zeros: usize, factors: usize, offset: usize, x: usize, channels: i32, plane: usize, n: i32,
): void {
  for (let i = 0; i < n;) {
    const left = n - i;
    let high = i32x4.splat(0), low = high;
    if (left >= 16) { // whole lines of the cache
      let high1 = high, low1 = high, high2 = high, low2 = high, high3 = high, low3 = high;
      for (let c = 0, p = x + (i << 2); c < channels; c++, p += plane) {
        const v = v128.load(p), v1 = v128.load(p, 16), v2 = v128.load(p, 32), v3 = v128.load(p, 48);
        high = i32x4.max_s(high, v), low = i32x4.max_u(low, v);
        high1 = i32x4.max_s(high1, v1), low1 = i32x4.max_u(low1, v1);
        high2 = i32x4.max_s(high2, v2), low2 = i32x4.max_u(low2, v2);
        high3 = i32x4.max_s(high3, v3), low3 = i32x4.max_u(low3, v3);
      }
      chooseFour(steps, zeros, factors, offset, i, high, low, 4);
      chooseFour(steps, zeros, factors, offset, i + 4, high1, low1, 4);
      chooseFour(steps, zeros, factors, offset, i + 8, high2, low2, 4);
      chooseFour(steps, zeros, factors, offset, i + 12, high3, low3, 4);
      i += 16;
      continue;
    }
    for (let c = 0, p = x + (i << 2); c < channels; c++, p += plane) {
      const v = loadUpTo(p, left);
      high = i32x4.max_s(high, v);
      low = i32x4.max_u(low, v);
    }
    chooseFour(steps, zeros, factors, offset, i, high, low, left);
    i += 4;
  }
}

/** The same for four pixels from pixel i on, `left` of them if there are fewer, with these extremes. */
function chooseFour(
  steps: usize, zeros: usize, factors: usize, offset: usize, i: i32, high: v128, low: v128, left: i32,
): void {
  low = v128.and(low, i32x4.shr_s(low, 31)); // 0 without negative values
  const largest = i32x4.max_s(high, v128.and(low, i32x4.splat(0x7fffffff)));
  const isFinite = i32x4.lt_s(largest, i32x4.splat(INFINITE));

  // as chooseSteps
  const low0 = f64x2.promote_low_f32x4(low), low1 = f64x2.promote_low_f32x4(upper(low));
  const top = f64x2.splat(127), tiny = f64x2.splat(TINY);
  const width0 = f64x2.max(f64x2.sub(f64x2.promote_low_f32x4(high), low0), tiny);
  const width1 = f64x2.max(f64x2.sub(f64x2.promote_low_f32x4(upper(high)), low1), tiny);
  const steps4 = demoted(f64x2.div(width0, top), f64x2.div(width1, top));
  const zero0 = f64x2.nearest(f64x2.div(f64x2.mul(f64x2.neg(low0), top), width0));
  const zero1 = f64x2.nearest(f64x2.div(f64x2.mul(f64x2.neg(low1), top), width1));
  const zeros4 = demoted(zero0, zero1);
  storeUpTo(steps + (i << 2), v128.bitselect(steps4, f32x4.splat(NaN), isFinite), left);
  storeUpTo(zeros + (i << 2), i32x4.trunc_sat_f32x4_s(zeros4), left);
  v128.store(factors + (i << 2), demoted(f64x2.div(top, width0), f64x2.div(top, width1)));
  v128.store(factors + offset + (i << 2), f32x4.add(f32x4.splat(MAGIC), zeros4));
}

/**
 * Chooses how to round a sample with these extremes, `count` pairs of them. If one is not finite, the step
 * is NaN.
 * @param isKnown whether the range has been chosen, and only has to be checked
 */
export function chooseStepsFrom(extremes: usize, count: i32, isKnown: bool, isWide: bool): void {
  let high = 0;
  let low: u32 = 0;
  for (const end = extremes + (count << 3); extremes < end; extremes += 8) {
    high = max(high, load<i32>(extremes));
    low = max(low, load<u32>(extremes, 4));
  }
  const isBelow = (low as i32) < 0;
  const isFinite = high < INFINITE && (!isBelow || (low & 0x7fffffff) < (INFINITE as u32));
  if (!isFinite) step = NaN;
  else if (!isKnown) chooseSteps(isBelow ? reinterpret<f32>(low) : 0, reinterpret<f32>(high), isWide);
}

/** The word with this value for each of its integers. */
export function repeated(value: i32): i32 {
  return value * (LANES == 4 ? 0x01010101 : 0x00010001);
}

/** Writes a word n times, and returns the address behind the last. It stands for zeros: that of padding. */
export function fillWords(to: usize, n: i32, word: i32): usize {
  const end = to + (n << 2);
  for (; to + 16 <= end; to += 16) v128.store(to, i32x4.splat(word));
  for (; to < end; to += 4) store<i32>(to, word);
  return end;
}

/** Writes n words: the values at p0 … p3, rounded, n of each. Only p0 and p1 without relaxed SIMD. */
export function quantizeWords(to: usize, p0: usize, p1: usize, p2: usize, p3: usize, n: i32): void {
  const by = f32x4.splat(inverse), bottom = f32x4.splat(MAGIC), top = f32x4.splat(MAGIC + 127);
  const offset = f32x4.splat(MAGIC + (zero as f32));
  const whole = (n & ~3) << 2;
  let i: usize = 0;
  for (; i < (whole as usize); i += 16) {
    const a = rounded(v128.load(p0 + i), by, offset, bottom, top);
    const b = rounded(v128.load(p1 + i), by, offset, bottom, top);
    if (LANES == 2) {
      v128.store(to + i, words2(a, b));
      continue;
    }
    const c = rounded(v128.load(p2 + i), by, offset, bottom, top);
    const d = rounded(v128.load(p3 + i), by, offset, bottom, top);
    v128.store(to + i, words4(a, b, c, d));
  }
  const rest = n & 3;
  if (!rest) return;
  const a = rounded(loadPart(p0 + i, rest), by, offset, bottom, top);
  const b = rounded(loadPart(p1 + i, rest), by, offset, bottom, top);
  if (LANES == 2) {
    storePart(to + i, words2(a, b), rest);
    return;
  }
  const c = rounded(loadPart(p2 + i, rest), by, offset, bottom, top);
  const d = rounded(loadPart(p3 + i, rest), by, offset, bottom, top);
  storePart(to + i, words4(a, b, c, d), rest);
}

/** The same with a factor and an offset for each pixel, from choosePixels. */
export function quantizePixels(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, n: i32, factors: usize, offset: usize,
): void {
  const bottom = f32x4.splat(MAGIC), top = f32x4.splat(MAGIC + 127);
  for (; LANES == 4 && n >= 4; n -= 4, to += 16, p0 += 16, p1 += 16, p2 += 16, p3 += 16, factors += 16) {
    const by = v128.load(factors), from = v128.load(factors + offset);
    const a = rounded(v128.load(p0), by, from, bottom, top), b = rounded(v128.load(p1), by, from, bottom, top);
    const c = rounded(v128.load(p2), by, from, bottom, top), d = rounded(v128.load(p3), by, from, bottom, top);
    v128.store(to, words4(a, b, c, d));
  }
  for (; n > 0; n -= 4, to += 16, p0 += 16, p1 += 16, p2 += 16, p3 += 16, factors += 16) {
    const by = v128.load(factors), from = v128.load(factors + offset);
    const a = rounded(loadUpTo(p0, n), by, from, bottom, top);
    const b = rounded(loadUpTo(p1, n), by, from, bottom, top);
    if (LANES == 2) {
      storeUpTo(to, words2(a, b), n);
      continue;
    }
    const c = rounded(loadUpTo(p2, n), by, from, bottom, top);
    const d = rounded(loadUpTo(p3, n), by, from, bottom, top);
    storeUpTo(to, words4(a, b, c, d), n);
  }
}

/** The same for wide inputs: words of their high bits, and of their low ones, `low` bytes behind. */
export function quantizeWide(
  to: usize, low: usize, p0: usize, p1: usize, p2: usize, p3: usize, n: i32,
): void {
  const by = f32x4.splat(inverse), bottom = f32x4.splat(MAGIC), top = f32x4.splat(MAGIC + 16383);
  const offset = f32x4.splat(MAGIC + (zero as f32));
  for (; n > 0; n -= 4, to += 16, p0 += 16, p1 += 16, p2 += 16, p3 += 16) {
    const a = rounded(loadUpTo(p0, n), by, offset, bottom, top);
    const b = rounded(loadUpTo(p1, n), by, offset, bottom, top);
    const c = LANES == 4 ? rounded(loadUpTo(p2, n), by, offset, bottom, top) : a;
    const d = LANES == 4 ? rounded(loadUpTo(p3, n), by, offset, bottom, top) : a;
    storeUpTo(to, joined(sevenBits(a, 7), sevenBits(b, 7), sevenBits(c, 7), sevenBits(d, 7)), n);
    storeUpTo(to + low, joined(sevenBits(a, 0), sevenBits(b, 0), sevenBits(c, 0), sevenBits(d, 0)), n);
  }
}

/** Seven bits of each integer, the lowest of which is number `from`. */
// @ts-ignore: decorator
@inline
function sevenBits(v: v128, from: i32): v128 {
  return v128.and(i32x4.shr_u(v, from), i32x4.splat(127));
}

/** The integers of two or four vectors as the lanes of words. */
// @ts-ignore: decorator
@inline
function joined(a: v128, b: v128, c: v128, d: v128): v128 {
  if (LANES == 2) return v128.or(a, i32x4.shl(b, 16));
  return v128.or(v128.or(a, i32x4.shl(b, 8)), i32x4.shl(v128.or(c, i32x4.shl(d, 8)), 16));
}

/**
 * Four integers in the last bits of floats, between those of `bottom` and `top`. A NaN becomes `bottom`: pmax gives
 * its first operand if the second is NaN.
 */
// @ts-ignore: decorator
@inline
function rounded(x: v128, by: v128, offset: v128, bottom: v128, top: v128): v128 {
  return f32x4.pmin(top, f32x4.pmax(bottom, f32x4.add(f32x4.mul(x, by), offset)));
}

/** The integers of two floats as the halves of a word. The bits of MAGIC overlap, and are subtracted. */
// @ts-ignore: decorator
@inline
function words2(a: v128, b: v128): v128 {
  return i32x4.sub(i32x4.add(a, i32x4.shl(b, 16)), i32x4.splat(0x4b400000));
}

/** The integers of four floats as the bytes of a word. 2 · 0x4b400000 · (1 + 2⁸) overflows to this. */
// @ts-ignore: decorator
@inline
function words4(a: v128, b: v128, c: v128, d: v128): v128 {
  const low = i32x4.add(a, i32x4.shl(b, 8)), high = i32x4.add(c, i32x4.shl(d, 8));
  return i32x4.sub(i32x4.add(low, i32x4.shl(high, 16)), i32x4.splat(0x8b400000));
}
