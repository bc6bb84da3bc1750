// Exponential functions on four float32 lanes. All of them are inlined. NaN stays NaN.

import { madd, maddIf } from "./lanes";

// The factors lie in memory, as in winograd.ts.

/** The numbers of exp4, in the order of the addresses that follow. */
const EXP: usize = memory.data<f32>([
  -88, 89, 1.44269504088896341, -0.693359375, 2.12194440e-4, 12583039, 1,
  4.9999994040e-1, 1.6666519642e-1, 4.1668400168e-2, 8.3688562736e-3, 1.3814308913e-3,
]);
/** The least x, and the largest: more than 128 · ln 2, so that scale4 gives ∞. */
const LEAST: usize = EXP, MOST: usize = EXP + 4;
const LOG2_E: usize = EXP + 8;
const MINUS_LN2_HIGH: usize = EXP + 12, MINUS_LN2_LOW: usize = EXP + 16; // their sum is −ln 2
const SHIFT: usize = EXP + 20; // 1.5 · 2²³ + 127
const ONE: usize = EXP + 24;
/** The polynomial of remainder4, from its constant up. */
const POLYNOMIAL: usize = EXP + 28;

const TWO: usize = memory.data<f32>([2]), MINUS_TWO: usize = memory.data<f32>([-2]);
/** The polynomial of log1p4. */
const LOG: usize = memory.data<f32>([0.2801219, 0.28001767, 0.40021529, 0.66666416]);
/** The numbers of normal4: the factor of |x|, and the polynomial. */
const NORMAL: usize = memory.data<f32>([
  0.3, 0.03567630323, -0.15720925183, 0.20636382228, -0.05369288136, 0.12856639306, 0.09991207977,
  0.12075417781, 0.11962928463,
]);

/** eˣ within 2 units in the last place; 0 from x = −87.7 on, ∞ from 88.4 on. */
// @ts-ignore: decorator
@inline
export function exp4(x: v128, fuses: bool = true): v128 {
  x = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(LEAST)), v128.load32_splat(MOST)); // keeps a NaN
  const shifted = power4(x, fuses), factor = f32x4.add(v128.load32_splat(ONE), remainder4(x, shifted, fuses));
  return f32x4.mul(scale4(shifted), factor);
}

/** eˣ − 1 for x ≤ 0, with the relative precision of exp4() for small x, too. */
// @ts-ignore: decorator
@inline
export function expm14(x: v128): v128 {
  x = f32x4.pmax(x, v128.load32_splat(LEAST));
  const shifted = power4(x), scale = scale4(shifted);
  return madd(f32x4.sub(scale, v128.load32_splat(ONE)), remainder4(x, shifted), scale);
}

/**
 * The integer n for which eˣ is about 2ⁿ, plus SHIFT: such a large float has no fraction, and the last bits of
 * its mantissa are those of n + 127.
 */
// @ts-ignore: decorator
@inline
function power4(x: v128, fuses: bool = true): v128 {
  return maddIf(fuses, v128.load32_splat(SHIFT), x, v128.load32_splat(LOG2_E));
}

/** 2ⁿ for −127 ≤ n ≤ 128: n + 127 becomes the exponent of a float. 2⁻¹²⁷ becomes 0, and 2¹²⁸ ∞. */
// @ts-ignore: decorator
@inline
function scale4(shifted: v128): v128 {
  return i32x4.shl(shifted, 23);
}

/**
 * eʳ − 1 for r = x − n·ln 2, |r| ≤ ln 2 / 2. ln 2 is subtracted in two parts, the first of which times n
 * is exact. The polynomial is fitted to a relative error of 4 · 10⁻⁹.
 *
 * Source: S. Moshier, Cephes mathematical library, expf (parts of ln 2)
 */
// @ts-ignore: decorator
@inline
function remainder4(x: v128, shifted: v128, fuses: bool = true): v128 {
  const n = f32x4.sub(shifted, v128.load32_splat(SHIFT));
  const rough = maddIf(fuses, x, n, v128.load32_splat(MINUS_LN2_HIGH));
  const r = maddIf(fuses, rough, n, v128.load32_splat(MINUS_LN2_LOW));
  const square = f32x4.mul(r, r);
  const low = maddIf(fuses, v128.load32_splat(POLYNOMIAL), r, v128.load32_splat(POLYNOMIAL + 4));
  const middle = maddIf(fuses, v128.load32_splat(POLYNOMIAL + 8), r, v128.load32_splat(POLYNOMIAL + 12));
  const high = maddIf(fuses, middle, square, v128.load32_splat(POLYNOMIAL + 16));
  return maddIf(fuses, r, square, maddIf(fuses, low, square, high));
}

/**
 * log(1 + e) for 0 ≤ e ≤ 1. With s = e / (2 + e) it is 2 · artanh s = 2s + s³·p(s²); p is fitted to a
 * relative error of 4 · 10⁻⁹.
 */
// @ts-ignore: decorator
@inline
export function log1p4(e: v128): v128 {
  const two = v128.load32_splat(TWO), s = f32x4.div(e, f32x4.add(two, e)), square = f32x4.mul(s, s);
  let p = v128.load32_splat(LOG);
  p = madd(v128.load32_splat(LOG + 4), p, square);
  p = madd(v128.load32_splat(LOG + 8), p, square);
  p = madd(v128.load32_splat(LOG + 12), p, square);
  return f32x4.mul(s, madd(two, p, square));
}

/** 1 / (1 + e⁻ˣ) */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128, fuses: bool = true): v128 {
  const one = v128.load32_splat(ONE);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x), fuses)));
}

/** x / (1 + e⁻ˣ) */
// @ts-ignore: decorator
@inline
export function silu4(x: v128, fuses: bool = true): v128 {
  return f32x4.div(x, f32x4.add(v128.load32_splat(ONE), exp4(f32x4.neg(x), fuses)));
}

/** The hyperbolic tangent: |tanh x| = −m / (2 + m) with m = e^(−2|x|) − 1, and the sign of x. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const m = expm14(f32x4.mul(f32x4.abs(x), v128.load32_splat(MINUS_TWO)));
  const t = f32x4.div(m, f32x4.add(v128.load32_splat(TWO), m));
  return v128.bitselect(x, t, f32x4.splat(-0.0));
}

/**
 * The normal distribution Φ(x) = (1 + erf(x/√2)) / 2, from e^(−x²/2). Φ(−|x|) · e^(x²/2) is a polynomial in
 * 1 / (1 + 0.3·|x|), fitted to a relative error of 1.5 · 10⁻⁷ for |x| ≤ 14.
 */
// @ts-ignore: decorator
@inline
export function normal4(x: v128, e: v128): v128 {
  const one = v128.load32_splat(ONE);
  const t = f32x4.div(one, madd(one, f32x4.abs(x), v128.load32_splat(NORMAL)));
  let p = v128.load32_splat(NORMAL + 4);
  p = madd(v128.load32_splat(NORMAL + 8), p, t);
  p = madd(v128.load32_splat(NORMAL + 12), p, t);
  p = madd(v128.load32_splat(NORMAL + 16), p, t);
  p = madd(v128.load32_splat(NORMAL + 20), p, t);
  p = madd(v128.load32_splat(NORMAL + 24), p, t);
  p = madd(v128.load32_splat(NORMAL + 28), p, t);
  p = madd(v128.load32_splat(NORMAL + 32), p, t);
  const tail = f32x4.mul(e, f32x4.mul(p, t));
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)));
}
