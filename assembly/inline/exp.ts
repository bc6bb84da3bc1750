// Exponential functions on four float32 lanes. All of them are inlined. NaN stays NaN.

import { madd, maddIf } from "./lanes";

// The factors lie in memory, as in winograd.ts.

/** Of exp4: the least x, the constants whose offsets follow, and the polynomial of remainder4, from x⁵ down. */
const EXP: usize = memory.data<f32>([
  -88, 1.44269504088896341, -0.693359375, 2.12194440e-4, 1.9875691500e-4, 1.3981999507e-3,
  8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 12583039,
]);
const LOG2_E: usize = 4;
const MINUS_LN2_HIGH: usize = 8, MINUS_LN2_LOW: usize = 12; // their sum is −ln 2
const POLYNOMIAL: usize = 16;
const ONE: usize = 40;
const SHIFT: usize = 44; // 1.5 · 2²³ + 127
/** Of normal4: the factor of |x|, and the polynomial. */
const NORMAL: usize = memory.data<f32>([
  0.3, 0.03567630323, -0.15720925183, 0.20636382228, -0.05369288136, 0.12856639306, 0.09991207977,
  0.12075417781, 0.11962928463,
]);

/** eˣ for x ≤ 0, within 2 units in the last place; 0 from x = −87.7 on. */
// @ts-ignore: decorator
@inline
export function exp4(x: v128, fuses: bool = true): v128 {
  x = f32x4.pmax(x, v128.load32_splat(EXP)); // keeps a NaN
  const shifted = power4(x, fuses), scale = scale4(shifted);
  return maddIf(fuses, scale, remainder4(x, shifted, fuses), scale);
}

/** eˣ − 1 for x ≤ 0, with the relative precision of exp4() for small x, too. */
// @ts-ignore: decorator
@inline
export function expm14(x: v128): v128 {
  x = f32x4.pmax(x, v128.load32_splat(EXP));
  const shifted = power4(x), scale = scale4(shifted);
  return madd(f32x4.sub(scale, v128.load32_splat(EXP, ONE)), remainder4(x, shifted), scale);
}

/**
 * The integer n for which eˣ is about 2ⁿ, plus SHIFT: such a large float has no fraction, and the last bits of
 * its mantissa are those of n + 127.
 */
// @ts-ignore: decorator
@inline
function power4(x: v128, fuses: bool = true): v128 {
  return maddIf(fuses, v128.load32_splat(EXP, SHIFT), x, v128.load32_splat(EXP, LOG2_E));
}

/** 2ⁿ for −127 ≤ n ≤ 0, with 0 for 2⁻¹²⁷: n + 127 becomes the exponent of a float. */
// @ts-ignore: decorator
@inline
function scale4(shifted: v128): v128 {
  return i32x4.shl(shifted, 23);
}

/**
 * eʳ − 1 for r = x − n·ln 2, |r| ≤ ln 2 / 2. ln 2 is subtracted in two parts, the first of which times n
 * is exact.
 *
 * Source: S. Moshier, Cephes mathematical library, expf (polynomial and parts of ln 2)
 */
// @ts-ignore: decorator
@inline
function remainder4(x: v128, shifted: v128, fuses: bool = true): v128 {
  const n = f32x4.sub(shifted, v128.load32_splat(EXP, SHIFT));
  const rough = maddIf(fuses, x, n, v128.load32_splat(EXP, MINUS_LN2_HIGH));
  const r = maddIf(fuses, rough, n, v128.load32_splat(EXP, MINUS_LN2_LOW));
  let p = v128.load32_splat(EXP, POLYNOMIAL);
  p = maddIf(fuses, v128.load32_splat(EXP, POLYNOMIAL + 4), p, r);
  p = maddIf(fuses, v128.load32_splat(EXP, POLYNOMIAL + 8), p, r);
  p = maddIf(fuses, v128.load32_splat(EXP, POLYNOMIAL + 12), p, r);
  p = maddIf(fuses, v128.load32_splat(EXP, POLYNOMIAL + 16), p, r);
  p = maddIf(fuses, v128.load32_splat(EXP, POLYNOMIAL + 20), p, r);
  return maddIf(fuses, r, p, f32x4.mul(r, r));
}

/**
 * log(1 + e) for 0 ≤ e ≤ 1. With s = e / (2 + e) it is 2 · artanh s = 2s + s³·p(s²); p is fitted to a
 * relative error of 4 · 10⁻⁹.
 */
// @ts-ignore: decorator
@inline
export function log1p4(e: v128): v128 {
  const two = f32x4.splat(2), s = f32x4.div(e, f32x4.add(two, e)), square = f32x4.mul(s, s);
  let p = f32x4.splat(0.2801219);
  p = madd(f32x4.splat(0.28001767), p, square);
  p = madd(f32x4.splat(0.40021529), p, square);
  p = madd(f32x4.splat(0.66666416), p, square);
  return f32x4.mul(s, madd(two, p, square));
}

/** 1 / (1 + e⁻ˣ) */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128, fuses: bool = true): v128 {
  const one = v128.load32_splat(EXP, ONE), e = exp4(f32x4.neg(f32x4.abs(x)), fuses);
  const over = v128.bitselect(e, one, f32x4.lt(x, f32x4.splat(0)));
  return f32x4.div(over, f32x4.add(one, e));
}

/** The hyperbolic tangent: |tanh x| = −m / (2 + m) with m = e^(−2|x|) − 1, and the sign of x. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const m = expm14(f32x4.mul(f32x4.abs(x), f32x4.splat(-2)));
  const t = f32x4.div(m, f32x4.add(f32x4.splat(2), m));
  return v128.bitselect(x, t, f32x4.splat(-0.0));
}

/**
 * The normal distribution Φ(x) = (1 + erf(x/√2)) / 2, from e^(−x²/2). Φ(−|x|) · e^(x²/2) is a polynomial in
 * 1 / (1 + 0.3·|x|), fitted to a relative error of 1.5 · 10⁻⁷ for |x| ≤ 14.
 */
// @ts-ignore: decorator
@inline
export function normal4(x: v128, e: v128): v128 {
  const one = v128.load32_splat(EXP, ONE);
  const t = f32x4.div(one, madd(one, f32x4.abs(x), v128.load32_splat(NORMAL)));
  let p = v128.load32_splat(NORMAL, 4);
  p = madd(v128.load32_splat(NORMAL, 8), p, t);
  p = madd(v128.load32_splat(NORMAL, 12), p, t);
  p = madd(v128.load32_splat(NORMAL, 16), p, t);
  p = madd(v128.load32_splat(NORMAL, 20), p, t);
  p = madd(v128.load32_splat(NORMAL, 24), p, t);
  p = madd(v128.load32_splat(NORMAL, 28), p, t);
  p = madd(v128.load32_splat(NORMAL, 32), p, t);
  const tail = f32x4.mul(e, f32x4.mul(p, t));
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)));
}
