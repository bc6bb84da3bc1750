// The one-dimensional transforms of Winograd's minimal filtering F(4, r) (Lavin & Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2016): y = Aᵀ[(G g) ⊙ (Bᵀ d)] for four outputs of
// r taps, each on four lanes. 3 taps are taken at the points 0, ±1, ±2, ∞; 5 taps at ±½ as well.
// The results go `step` bytes apart.

import { madd } from "./lanes";

// @ts-ignore: decorator
@inline
function scaled(v: v128, factor: f32): v128 {
  return f32x4.mul(v, f32x4.splat(factor));
}

/** a + factor · b */
// @ts-ignore: decorator
@inline
function plus(a: v128, b: v128, factor: f32): v128 {
  return madd(a, b, f32x4.splat(factor));
}

/** a + b and a − b at two places. */
// @ts-ignore: decorator
@inline
function sumAndDifference(to: usize, step: usize, a: v128, b: v128): void {
  v128.store(to, f32x4.add(a, b));
  v128.store(to + step, f32x4.sub(a, b));
}

/** Bᵀ on 6 inputs. */
// @ts-ignore: decorator
@inline
export function points6(to: usize, step: usize, d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128): void {
  v128.store(to, plus(plus(d4, d2, -5), d0, 4));
  sumAndDifference(to + step, step, plus(d4, d2, -4), plus(d3, d1, -4));
  sumAndDifference(to + 3 * step, step, f32x4.sub(d4, d2), scaled(f32x4.sub(d3, d1), 2));
  v128.store(to + 5 * step, plus(plus(d5, d3, -5), d1, 4));
}

/** Bᵀ on 8 inputs. */
// @ts-ignore: decorator
@inline
export function points8(
  to: usize, step: usize, d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, d6: v128, d7: v128,
): void {
  v128.store(to, plus(f32x4.sub(d0, d6), f32x4.sub(d4, d2), 5.25));
  sumAndDifference(
    to + step, step, plus(f32x4.add(d2, d6), d4, -4.25), plus(f32x4.add(d1, d5), d3, -4.25),
  );
  sumAndDifference(
    to + 3 * step, step, plus(plus(d6, d4, -1.25), d2, 0.25), plus(plus(scaled(d5, 2), d3, -2.5), d1, 0.5),
  );
  sumAndDifference(
    to + 5 * step, step, plus(plus(d6, d4, -5), d2, 4), plus(plus(scaled(d5, 0.5), d3, -2.5), d1, 2),
  );
  v128.store(to + 7 * step, plus(f32x4.sub(d7, d1), f32x4.sub(d3, d5), 5.25));
}

/** Aᵀ on 6 products. */
// @ts-ignore: decorator
@inline
export function outputs6(to: usize, step: usize, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128): void {
  const even1 = f32x4.add(m1, m2), odd1 = f32x4.sub(m1, m2);
  const even2 = f32x4.add(m3, m4), odd2 = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(m0, f32x4.add(even1, even2)));
  v128.store(to + step, plus(odd1, odd2, 2));
  v128.store(to + 2 * step, plus(even1, even2, 4));
  v128.store(to + 3 * step, plus(f32x4.add(odd1, m5), odd2, 8));
}

/** Aᵀ on 8 products. */
// @ts-ignore: decorator
@inline
export function outputs8(
  to: usize, step: usize, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128, m6: v128, m7: v128,
): void {
  const even1 = f32x4.add(m1, m2), odd1 = f32x4.sub(m1, m2);
  const even2 = f32x4.add(m3, m4), odd2 = f32x4.sub(m3, m4);
  const evenHalf = f32x4.add(m5, m6), oddHalf = f32x4.sub(m5, m6);
  v128.store(to, f32x4.add(f32x4.add(m0, even1), f32x4.add(even2, evenHalf)));
  v128.store(to + step, plus(plus(odd1, odd2, 2), oddHalf, 0.5));
  v128.store(to + 2 * step, plus(plus(even1, even2, 4), evenHalf, 0.25));
  v128.store(to + 3 * step, plus(plus(f32x4.add(odd1, m7), odd2, 8), oddHalf, 0.125));
}

/** G on 3 taps. */
// @ts-ignore: decorator
@inline
export function taps3(to: usize, step: usize, g0: v128, g1: v128, g2: v128): void {
  const sixth: f32 = -1.0 / 6, part: f32 = 1.0 / 24;
  v128.store(to, scaled(g0, 0.25));
  sumAndDifference(to + step, step, scaled(f32x4.add(g0, g2), sixth), scaled(g1, sixth));
  sumAndDifference(to + 3 * step, step, scaled(plus(g0, g2, 4), part), scaled(g1, 2 * part));
  v128.store(to + 5 * step, g2);
}

/** G on 5 taps. */
// @ts-ignore: decorator
@inline
export function taps5(to: usize, step: usize, g0: v128, g1: v128, g2: v128, g3: v128, g4: v128): void {
  const one: f32 = -2.0 / 9, two: f32 = 1.0 / 90, half: f32 = 32.0 / 45;
  v128.store(to, g0);
  sumAndDifference(
    to + step, step, scaled(f32x4.add(f32x4.add(g0, g2), g4), one), scaled(f32x4.add(g1, g3), one),
  );
  sumAndDifference(
    to + 3 * step, step, scaled(plus(plus(g0, g2, 4), g4, 16), two), scaled(plus(g1, g3, 4), 2 * two),
  );
  sumAndDifference(
    to + 5 * step, step, scaled(plus(plus(g0, g2, 0.25), g4, 0.0625), half),
    scaled(plus(g1, g3, 0.25), 0.5 * half),
  );
  v128.store(to + 7 * step, g4);
}

/** A, the transpose of outputs6: 4 gradients seen at 6 points. */
// @ts-ignore: decorator
@inline
export function spread6(to: usize, step: usize, e0: v128, e1: v128, e2: v128, e3: v128): void {
  v128.store(to, e0);
  sumAndDifference(to + step, step, f32x4.add(e0, e2), f32x4.add(e1, e3));
  sumAndDifference(to + 3 * step, step, plus(e0, e2, 4), scaled(plus(e1, e3, 4), 2));
  v128.store(to + 5 * step, e3);
}

/** A, the transpose of outputs8: 4 gradients seen at 8 points. */
// @ts-ignore: decorator
@inline
export function spread8(to: usize, step: usize, e0: v128, e1: v128, e2: v128, e3: v128): void {
  v128.store(to, e0);
  sumAndDifference(to + step, step, f32x4.add(e0, e2), f32x4.add(e1, e3));
  sumAndDifference(to + 3 * step, step, plus(e0, e2, 4), scaled(plus(e1, e3, 4), 2));
  sumAndDifference(to + 5 * step, step, plus(e0, e2, 0.25), scaled(plus(e1, e3, 0.25), 0.5));
  v128.store(to + 7 * step, e3);
}

/** Gᵀ, the transpose of taps3: the gradients of 3 taps. */
// @ts-ignore: decorator
@inline
export function collect3(to: usize, step: usize, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128): void {
  const sixth: f32 = -1.0 / 6, part: f32 = 1.0 / 24;
  const even1 = scaled(f32x4.add(m1, m2), sixth), even2 = scaled(f32x4.add(m3, m4), part);
  v128.store(to, plus(f32x4.add(even1, even2), m0, 0.25));
  v128.store(to + step, plus(scaled(f32x4.sub(m1, m2), sixth), f32x4.sub(m3, m4), 2 * part));
  v128.store(to + 2 * step, plus(f32x4.add(even1, m5), even2, 4));
}

/** Gᵀ, the transpose of taps5: the gradients of 5 taps. */
// @ts-ignore: decorator
@inline
export function collect5(
  to: usize, step: usize, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128, m6: v128, m7: v128,
): void {
  const one: f32 = -2.0 / 9, two: f32 = 1.0 / 90, half: f32 = 32.0 / 45;
  const even1 = scaled(f32x4.add(m1, m2), one), odd1 = scaled(f32x4.sub(m1, m2), one);
  const even2 = scaled(f32x4.add(m3, m4), two), odd2 = scaled(f32x4.sub(m3, m4), two);
  const evenHalf = scaled(f32x4.add(m5, m6), half), oddHalf = scaled(f32x4.sub(m5, m6), half);
  v128.store(to, f32x4.add(f32x4.add(m0, even1), f32x4.add(even2, evenHalf)));
  v128.store(to + step, plus(plus(odd1, odd2, 2), oddHalf, 0.5));
  v128.store(to + 2 * step, plus(plus(even1, even2, 4), evenHalf, 0.25));
  v128.store(to + 3 * step, plus(plus(odd1, odd2, 8), oddHalf, 0.125));
  v128.store(to + 4 * step, plus(plus(f32x4.add(even1, m7), even2, 16), evenHalf, 0.0625));
}
