/**
 * Dropout.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { checkFraction, checkOptions, checkTensor, type OutOptions, produce } from "./checks.ts";

/**
 * Sets each element to 0 with probability p, and divides it by 1 − p otherwise. The same seed drops
 * the same elements, so the gradient is `dropout(dy, p, seed)`.
 *
 * @param x Any shape.
 * @param p The probability of dropping an element, from 0 to 1.
 * @param seed An integer of 32 bits, such as {@linkcode RandomGenerator.random} returns.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When p or the seed is invalid, or `out` has another shape.
 */
export function dropout(x: Tensor, p: number, seed: number, options: OutOptions = {}): Tensor {
  const op = "dropout";
  checkTensor(op, "x", x, x);
  checkOptions(op, options);
  checkFraction(op, "p", p);
  if (!(Number.isInteger(seed) && seed >= -(2 ** 31) && seed < 2 ** 32)) {
    throw new ArgumentError(op, "seed", seed, "an integer of 32 bits"); // kernels take no more
  }
  const target = { shape: x.shape, out: options.out, inPlace: true };
  const keep = Math.round((1 - p) * 2 ** 32) - 1, scale = 1 / (1 - p);
  return produce(op, x, target, (y) => {
    if (keep < 0) x.backend.fill(y, 0);
    else kernelsOf(x).dropout(y, x, { seed, keep, scale });
  });
}
