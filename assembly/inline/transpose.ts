// Shuffles that transpose a 4×4 matrix held in four vectors.

/** a0 b0 a1 b1 */
// @ts-ignore: decorator
@inline
export function interleaveLow(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 0, 4, 1, 5);
}

/** a2 b2 a3 b3 */
// @ts-ignore: decorator
@inline
export function interleaveHigh(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 2, 6, 3, 7);
}

/** a0 a1 b0 b1 */
// @ts-ignore: decorator
@inline
export function lowHalves(a: v128, b: v128): v128 {
  return i64x2.shuffle(a, b, 0, 2);
}

/** a2 a3 b2 b3 */
// @ts-ignore: decorator
@inline
export function highHalves(a: v128, b: v128): v128 {
  return i64x2.shuffle(a, b, 1, 3);
}

/** Stores four vectors as the columns of a 4×4 matrix, with `row` bytes from one row of it to the next. */
// @ts-ignore: decorator
@inline
export function storeTransposed(to: usize, row: usize, a: v128, b: v128, c: v128, d: v128): void {
  const lowAB = interleaveLow(a, b), lowCD = interleaveLow(c, d);
  const highAB = interleaveHigh(a, b), highCD = interleaveHigh(c, d);
  v128.store(to, lowHalves(lowAB, lowCD));
  v128.store(to + row, highHalves(lowAB, lowCD));
  v128.store(to + 2 * row, lowHalves(highAB, highCD));
  v128.store(to + 3 * row, highHalves(highAB, highCD));
}
