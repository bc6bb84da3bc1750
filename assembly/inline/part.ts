// One to three floats, which do not fill a vector, in its first lanes. All of these functions are inlined.

/** Reads n floats; the other lanes are 0. */
// @ts-ignore: decorator
@inline
export function loadPart(p: usize, n: i32): v128 {
  if (n == 1) return v128.load32_zero(p);
  const v = v128.load64_zero(p);
  return n == 3 ? v128.load_lane<f32>(p + 8, v, 2) : v;
}

/** Writes n floats. */
// @ts-ignore: decorator
@inline
export function storePart(p: usize, v: v128, n: i32): void {
  if (n == 1) {
    v128.store_lane<f32>(p, v, 0);
    return;
  }
  v128.store_lane<f64>(p, v, 0);
  if (n == 3) v128.store_lane<f32>(p + 8, v, 2);
}

/** Reads n floats, four if n is larger. */
// @ts-ignore: decorator
@inline
export function loadUpTo(p: usize, n: i32): v128 {
  return n < 4 ? loadPart(p, n) : v128.load(p);
}

/** Writes n floats, four if n is larger. */
// @ts-ignore: decorator
@inline
export function storeUpTo(p: usize, v: v128, n: i32): void {
  if (n < 4) storePart(p, v, n);
  else v128.store(p, v);
}

/** All bits of the first n lanes. */
// @ts-ignore: decorator
@inline
export function maskOf(n: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n));
}
