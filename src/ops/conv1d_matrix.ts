/**
 * The matrix of a 1-D convolution.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "./checks.ts";

/** The largest number of rows: 512 MB of numbers. */
const maxRows = 8192;

/**
 * Returns the n×n band matrix W with W·x = conv1d(x, w) for "same" padding:
 * `W[i][j] = w[j − i + (K − 1)/2]`. The gradient is dx = Wᵀ·dy.
 *
 * @param w The kernel, of odd length K.
 * @param n The length of x.
 * @returns The rows of W.
 * @throws {ArgumentError} When K is even, or n is not an integer from 1 to 8192.
 *
 * @example
 * ```ts
 * import { conv1dMatrix } from "./conv1d_matrix.ts";
 *
 * console.log(conv1dMatrix([1, 2, 3], 4));
 * // [[2, 3, 0, 0], [1, 2, 3, 0], [0, 1, 2, 3], [0, 0, 1, 2]]
 * ```
 */
export function conv1dMatrix(w: ArrayLike<number>, n: number): number[][] {
  const op = "conv1dMatrix";
  if (typeof w !== "object" || w === null) {
    throw new ArgumentError(op, "w", w, "a list of numbers");
  }
  if (!(w.length % 2 === 1)) throw new ArgumentError(op, "the length of w", w.length, "odd");
  if (checkInteger(op, "n", n, 1) > maxRows) {
    throw new ArgumentError(op, "n", n, `at most ${maxRows}: the matrix has n² numbers`);
  }
  const padding = (w.length - 1) / 2;
  return Array.from(
    { length: n },
    (_, i) => Array.from({ length: n }, (_, j) => w[j - i + padding] ?? 0),
  );
}
