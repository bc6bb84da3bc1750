/** A dense row-major array of any rank. */
export interface NumArray {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** The same with values to write. */
export interface NumArray64 extends NumArray {
  readonly data: Float64Array;
}

export type Pair = readonly [number, number];
/** [top, left, bottom, right] */
export type Sides = readonly [number, number, number, number];

/** An array of zeros. */
export function zeros(shape: readonly number[]): NumArray64 {
  return { shape, data: new Float64Array(shape.reduce((product, size) => product * size, 1)) };
}

/** [N, C, L] as [N, C, 1, L]: one dimension is two of height 1. */
export function plane<T extends NumArray>(x: T): T {
  const [n, c, l] = x.shape;
  return { ...x, shape: [n, c, 1, l] };
}

/** [N, C, 1, L] as [N, C, L]. */
export function row<T extends NumArray>(x: T): T {
  const [n, c, , l] = x.shape;
  return { ...x, shape: [n, c, l] };
}
