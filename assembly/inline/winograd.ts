// The one-dimensional transforms of Winograd's minimal filtering F(4, r) (Lavin & Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2016): y = Aᵀ[(G g) ⊙ (Bᵀ d)] gives four outputs of
// a filter with r taps. Applied to the rows of a tile and then to the columns, they are those of winograd.ts.
//
// The interpolation points are 0, ±1, ±2, ∞ for 3 taps; 5 taps add ±½. A polynomial's values at a point and at
// its negative are the sum and the difference of its even and its odd part, which is how all of them are
// computed. The divisors of G's rows are moved to Aᵀ, because weights are transformed most often. Each value is a
// vector of four lanes. Results are stored `step` bytes apart.

import { madd } from "./lanes";

// The factors lie in memory. V8 builds a constant vector at each use, in three instructions, but loads
// one from a constant address in a single instruction, without a bounds check.
const SIXTEENTH: usize = memory.data<f32>([0.0625]), EIGHTH: usize = memory.data<f32>([0.125]);
const QUARTER: usize = memory.data<f32>([0.25]), HALF: usize = memory.data<f32>([0.5]);
const TWO: usize = memory.data<f32>([2]), FOUR: usize = memory.data<f32>([4]);
const EIGHT: usize = memory.data<f32>([8]), SIXTEEN: usize = memory.data<f32>([16]);
const MINUS_1_25: usize = memory.data<f32>([-1.25]), MINUS_2_5: usize = memory.data<f32>([-2.5]);
const MINUS_4: usize = memory.data<f32>([-4]), MINUS_4_25: usize = memory.data<f32>([-4.25]);
const MINUS_5: usize = memory.data<f32>([-5]), PLUS_5_25: usize = memory.data<f32>([5.25]);

// Reciprocals of the divisors of Lagrange's interpolation at ±1, ±2 and ±½, for 3 and for 5 taps,
// multiplied by the point's powers 0 to 3.
const ONE_3: usize = memory.data<f32>([-1.0 / 6]);
const TWO_3: usize = memory.data<f32>([1.0 / 24, 1.0 / 12, 1.0 / 6, 1.0 / 3]);
const ONE_5: usize = memory.data<f32>([-2.0 / 9]);
const TWO_5: usize = memory.data<f32>([1.0 / 90, 1.0 / 45, 2.0 / 45, 4.0 / 45]);
const HALF_5: usize = memory.data<f32>([32.0 / 45, 16.0 / 45, 8.0 / 45, 4.0 / 45]);

/** factor · v */
// @ts-ignore: decorator
@inline
function times(v: v128, factor: usize): v128 {
  return f32x4.mul(v, v128.load32_splat(factor));
}

/** a + factor · b */
// @ts-ignore: decorator
@inline
function plus(a: v128, b: v128, factor: usize): v128 {
  return madd(a, b, v128.load32_splat(factor));
}

/** Stores a + b and a − b. */
// @ts-ignore: decorator
@inline
function sumAndDifference(to: usize, step: usize, a: v128, b: v128): void {
  v128.store(to, f32x4.add(a, b));
  v128.store(to + step, f32x4.sub(a, b));
}

/** Bᵀ on 6 inputs. */
// @ts-ignore: decorator
@inline
export function inputTransform6(
  to: usize, step: usize, d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128,
): void {
  v128.store(to, plus(plus(d0, d2, MINUS_1_25), d4, QUARTER));
  sumAndDifference(to + step, step, plus(d4, d2, MINUS_4), plus(d3, d1, MINUS_4));
  sumAndDifference(to + 3 * step, step, f32x4.sub(d4, d2), times(f32x4.sub(d3, d1), TWO));
  v128.store(to + 5 * step, plus(plus(d5, d3, MINUS_5), d1, FOUR));
}

/** Row 0 of Bᵀ on 8 inputs, from the even ones. Row 7 is the same on the odd ones, in reverse. */
// @ts-ignore: decorator
@inline
export function inputTransform8Outer(to: usize, d0: v128, d2: v128, d4: v128, d6: v128): void {
  v128.store(to, plus(f32x4.sub(d0, d6), f32x4.sub(d4, d2), PLUS_5_25));
}

/** Rows 1 to 6 of Bᵀ on 8 inputs. Neither the first nor the last contributes. */
// @ts-ignore: decorator
@inline
export function inputTransform8Inner(
  to: usize, step: usize, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, d6: v128,
): void {
  sumAndDifference(
    to + step, step, plus(f32x4.add(d2, d6), d4, MINUS_4_25), plus(f32x4.add(d1, d5), d3, MINUS_4_25),
  );
  sumAndDifference(
    to + 3 * step, step, plus(plus(d6, d4, MINUS_1_25), d2, QUARTER),
    plus(plus(times(d5, TWO), d3, MINUS_2_5), d1, HALF),
  );
  sumAndDifference(
    to + 5 * step, step, plus(plus(d6, d4, MINUS_5), d2, FOUR),
    plus(plus(times(d5, HALF), d3, MINUS_2_5), d1, TWO),
  );
}

// Aᵀ on 6 products, a function for each output. Their arguments are the first or the last product, and the
// sums or the differences of the products at ±1 and at ±2.

// @ts-ignore: decorator
@inline
export function output6At0(m0: v128, sum1: v128, sum2: v128): v128 {
  return plus(plus(m0, sum1, ONE_3), sum2, TWO_3);
}

// @ts-ignore: decorator
@inline
export function output6At1(diff1: v128, diff2: v128): v128 {
  return plus(times(diff1, ONE_3), diff2, TWO_3 + 4);
}

// @ts-ignore: decorator
@inline
export function output6At2(sum1: v128, sum2: v128): v128 {
  return plus(times(sum1, ONE_3), sum2, TWO_3 + 8);
}

// @ts-ignore: decorator
@inline
export function output6At3(m5: v128, diff1: v128, diff2: v128): v128 {
  return plus(plus(m5, diff1, ONE_3), diff2, TWO_3 + 12);
}

// Aᵀ on 8 products, with those at ±½, too.

// @ts-ignore: decorator
@inline
export function output8At0(m0: v128, sum1: v128, sum2: v128, sumHalf: v128): v128 {
  return plus(plus(plus(m0, sum1, ONE_5), sum2, TWO_5), sumHalf, HALF_5);
}

// @ts-ignore: decorator
@inline
export function output8At1(diff1: v128, diff2: v128, diffHalf: v128): v128 {
  return plus(plus(times(diff1, ONE_5), diff2, TWO_5 + 4), diffHalf, HALF_5 + 4);
}

// @ts-ignore: decorator
@inline
export function output8At2(sum1: v128, sum2: v128, sumHalf: v128): v128 {
  return plus(plus(times(sum1, ONE_5), sum2, TWO_5 + 8), sumHalf, HALF_5 + 8);
}

// @ts-ignore: decorator
@inline
export function output8At3(m7: v128, diff1: v128, diff2: v128, diffHalf: v128): v128 {
  return plus(plus(plus(m7, diff1, ONE_5), diff2, TWO_5 + 12), diffHalf, HALF_5 + 12);
}

/** a + 4 · b, by additions, which need no factor from memory. */
// @ts-ignore: decorator
@inline
export function addFourTimes(a: v128, b: v128): v128 {
  const twice = f32x4.add(b, b);
  return f32x4.add(f32x4.add(a, twice), twice);
}

/** G on 3 taps. */
// @ts-ignore: decorator
@inline
export function weightTransform3(to: usize, step: usize, g0: v128, g1: v128, g2: v128): void {
  v128.store(to, g0);
  sumAndDifference(to + step, step, f32x4.add(g0, g2), g1);
  sumAndDifference(to + 3 * step, step, addFourTimes(g0, g2), f32x4.add(g1, g1));
  v128.store(to + 5 * step, g2);
}

/** G on 5 taps. */
// @ts-ignore: decorator
@inline
export function weightTransform5(to: usize, step: usize, g0: v128, g1: v128, g2: v128, g3: v128, g4: v128): void {
  v128.store(to, g0);
  sumAndDifference(to + step, step, f32x4.add(f32x4.add(g0, g2), g4), f32x4.add(g1, g3));
  sumAndDifference(to + 3 * step, step, plus(plus(g0, g2, FOUR), g4, SIXTEEN), times(plus(g1, g3, FOUR), TWO));
  sumAndDifference(
    to + 5 * step, step, plus(plus(g0, g2, QUARTER), g4, SIXTEENTH), times(plus(g1, g3, QUARTER), HALF),
  );
  v128.store(to + 7 * step, g4);
}

/** A, the transpose of the outputs of 6 products: 4 gradients become values at 6 points. */
// @ts-ignore: decorator
@inline
export function gradientTransform6(to: usize, step: usize, e0: v128, e1: v128, e2: v128, e3: v128): void {
  v128.store(to, e0);
  sumAndDifference(to + step, step, times(f32x4.add(e0, e2), ONE_3), times(f32x4.add(e1, e3), ONE_3));
  sumAndDifference(to + 3 * step, step, times(plus(e0, e2, FOUR), TWO_3), times(plus(e1, e3, FOUR), TWO_3 + 4));
  v128.store(to + 5 * step, e3);
}

/** A, the transpose for 5 taps: 4 gradients become values at 8 points. */
// @ts-ignore: decorator
@inline
export function gradientTransform8(to: usize, step: usize, e0: v128, e1: v128, e2: v128, e3: v128): void {
  v128.store(to, e0);
  sumAndDifference(to + step, step, times(f32x4.add(e0, e2), ONE_5), times(f32x4.add(e1, e3), ONE_5));
  sumAndDifference(to + 3 * step, step, times(plus(e0, e2, FOUR), TWO_5), times(plus(e1, e3, FOUR), TWO_5 + 4));
  sumAndDifference(
    to + 5 * step, step, times(plus(e0, e2, QUARTER), HALF_5), times(plus(e1, e3, QUARTER), HALF_5 + 4),
  );
  v128.store(to + 7 * step, e3);
}

/** Gᵀ, the transpose of weightTransform3: gradients of 3 taps from 6 vectors, `next` bytes apart. */
// @ts-ignore: decorator
@inline
export function weightGradient3(to: usize, step: usize, m: usize, next: usize): void {
  const m0 = v128.load(m), m1 = v128.load(m + next), m2 = v128.load(m + 2 * next);
  const m3 = v128.load(m + 3 * next), m4 = v128.load(m + 4 * next), m5 = v128.load(m + 5 * next);
  const even1 = f32x4.add(m1, m2), even2 = f32x4.add(m3, m4);
  v128.store(to, f32x4.add(f32x4.add(even1, even2), m0));
  v128.store(to + step, plus(f32x4.sub(m1, m2), f32x4.sub(m3, m4), TWO));
  v128.store(to + 2 * step, plus(f32x4.add(even1, m5), even2, FOUR));
}

/** Gᵀ, the transpose of weightTransform5: gradients of 5 taps from 8 vectors, `next` bytes apart. */
// @ts-ignore: decorator
@inline
export function weightGradient5(to: usize, step: usize, m: usize, next: usize): void {
  const m0 = v128.load(m), m1 = v128.load(m + next), m2 = v128.load(m + 2 * next);
  const m3 = v128.load(m + 3 * next), m4 = v128.load(m + 4 * next), m5 = v128.load(m + 5 * next);
  const m6 = v128.load(m + 6 * next), m7 = v128.load(m + 7 * next);
  const even1 = f32x4.add(m1, m2), odd1 = f32x4.sub(m1, m2);
  const even2 = f32x4.add(m3, m4), odd2 = f32x4.sub(m3, m4);
  const evenHalf = f32x4.add(m5, m6), oddHalf = f32x4.sub(m5, m6);
  v128.store(to, f32x4.add(f32x4.add(m0, even1), f32x4.add(even2, evenHalf)));
  v128.store(to + step, plus(plus(odd1, odd2, TWO), oddHalf, HALF));
  v128.store(to + 2 * step, plus(plus(even1, even2, FOUR), evenHalf, QUARTER));
  v128.store(to + 3 * step, plus(plus(odd1, odd2, EIGHT), oddHalf, EIGHTH));
  v128.store(to + 4 * step, plus(plus(f32x4.add(even1, m7), even2, SIXTEEN), evenHalf, SIXTEENTH));
}
