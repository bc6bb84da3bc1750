// Helpers on four float32 lanes. All of them are inlined.

/** acc + a · b. Rounds once in builds with relaxed SIMD, twice otherwise. */
// @ts-ignore: decorator
@inline
export function madd(acc: v128, a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, acc);
  return f32x4.add(acc, f32x4.mul(a, b));
}

/** The same; with fuses = false it rounds twice in every build. */
// @ts-ignore: decorator
@inline
export function maddIf(fuses: bool, acc: v128, a: v128, b: v128): v128 {
  return fuses ? madd(acc, a, b) : f32x4.add(acc, f32x4.mul(a, b));
}

/** The first lane in all lanes. */
// @ts-ignore: decorator
@inline
export function lane0(v: v128): v128 {
  return i32x4.shuffle(v, v, 0, 0, 0, 0);
}

/** The second lane in all lanes. */
// @ts-ignore: decorator
@inline
export function lane1(v: v128): v128 {
  return i32x4.shuffle(v, v, 1, 1, 1, 1);
}

/** The third lane in all lanes. */
// @ts-ignore: decorator
@inline
export function lane2(v: v128): v128 {
  return i32x4.shuffle(v, v, 2, 2, 2, 2);
}

/** The last lane in all lanes. */
// @ts-ignore: decorator
@inline
export function lane3(v: v128): v128 {
  return i32x4.shuffle(v, v, 3, 3, 3, 3);
}

/** The upper half of a vector, in its lower half, too. */
// @ts-ignore: decorator
@inline
export function upper(v: v128): v128 {
  return i32x4.shuffle(v, v, 2, 3, 2, 3);
}

/** Four doubles of two vectors as floats. */
// @ts-ignore: decorator
@inline
export function demoted(a: v128, b: v128): v128 {
  return i32x4.shuffle(f32x4.demote_f64x2_zero(a), f32x4.demote_f64x2_zero(b), 0, 1, 4, 5);
}

/** max(x, 0) per lane. pmax is one instruction, and keeps a NaN when x is its first operand. */
// @ts-ignore: decorator
@inline
export function relu4(x: v128): v128 {
  return f32x4.pmax(x, f32x4.splat(0));
}

/** The sum of the four lanes. */
// @ts-ignore: decorator
@inline
export function sum4(v: v128): f32 {
  const pairs = f32x4.add(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Four floats from four addresses. */
// @ts-ignore: decorator
@inline
export function lanes4(p0: usize, p1: usize, p2: usize, p3: usize): v128 {
  let v = v128.load32_zero(p0);
  v = v128.load_lane<f32>(p1, v, 1);
  v = v128.load_lane<f32>(p2, v, 2);
  return v128.load_lane<f32>(p3, v, 3);
}

/** Four floats `step` bytes apart, the first at `p`. Reads nothing behind the last. */
// @ts-ignore: decorator
@inline
export function strided4(p: usize, step: usize): v128 {
  if (step == 4) return v128.load(p);
  if (step == 8) { // 0 · 2 · from 0 1 2 3, · 4 · 6 from 3 4 5 6
    const low = v128.load(p), high = v128.load(p, 12);
    return i8x16.shuffle(low, high, 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23, 28, 29, 30, 31);
  }
  return lanes4(p, p + step, p + 2 * step, p + 3 * step);
}
