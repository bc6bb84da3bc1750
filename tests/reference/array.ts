/** A dense row-major array of any rank. */
export interface NumArray {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** An array of writable values. */
export interface NumArray64 extends NumArray {
  readonly data: Float64Array;
}

export type Pair = readonly [number, number];
/** [top, left, bottom, right] */
export type Sides = readonly [number, number, number, number];

/** Creates an array of zeros. */
export function zeros(shape: readonly number[]): NumArray64 {
  return { shape, data: new Float64Array(shape.reduce((product, size) => product * size, 1)) };
}

/** Reshapes [N, C, L] to [N, C, 1, L]. */
export function plane<T extends NumArray>(x: T): T {
  const [n, c, l] = x.shape;
  return { ...x, shape: [n, c, 1, l] };
}

/** Reshapes [N, C, 1, L] to [N, C, L]. */
export function row<T extends NumArray>(x: T): T {
  const [n, c, , l] = x.shape;
  return { ...x, shape: [n, c, l] };
}
