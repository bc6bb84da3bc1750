/**
 * Sums and products of tensors.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Tensor } from "../tensor.ts";
import { checkNumber, checkOptions, checkTensor, type OutOptions, produce } from "./checks.ts";

/**
 * Computes a + alpha · b of each pair of elements, `torch.add`. The gradient of a is dy, and that of b
 * is alpha · dy.
 *
 * @param a Any shape.
 * @param b A tensor of the same shape.
 * @param options `alpha` is 1 by default. `out` may be a or b.
 * @returns A tensor of that shape.
 * @throws {ArgumentError} When the shapes differ, or alpha is not finite.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { add } from "./arithmetic.ts";
 *
 * using backend = await createBackend();
 * using weight = backend.upload([1, 2, 3], [3]);
 * using gradient = backend.upload([10, 20, 30], [3]);
 * add(weight, gradient, { alpha: -0.1, out: weight }); // one step of gradient descent
 * console.log(await weight.read()); // 0, 0, 0
 * ```
 */
export function add(
  a: Tensor,
  b: Tensor,
  options: { readonly alpha?: number } & OutOptions = {},
): Tensor {
  const op = "add";
  checkTensor(op, "a", a, a);
  checkTensor(op, "b", b, a, a.shape);
  checkOptions(op, options);
  const alpha = checkNumber(op, "alpha", options.alpha ?? 1);
  const target = { shape: a.shape, out: options.out, inPlace: true };
  return produce(op, a, target, (y) => kernelsOf(a).add(y, a, b, alpha));
}

/**
 * Computes a · b of each pair of elements, `torch.mul`. The gradient of a is `mul(dy, b)`, and that of
 * b is `mul(dy, a)`.
 *
 * @param a Any shape.
 * @param b A tensor of the same shape.
 * @param options `out` may be a or b.
 * @returns A tensor of that shape.
 * @throws {ArgumentError} When the shapes differ.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { mul } from "./arithmetic.ts";
 *
 * using backend = await createBackend();
 * using a = backend.upload([1, 2, 3], [3]);
 * using y = mul(a, a);
 * console.log(await y.read()); // 1, 4, 9
 * ```
 */
export function mul(a: Tensor, b: Tensor, options: OutOptions = {}): Tensor {
  const op = "mul";
  checkTensor(op, "a", a, a);
  checkTensor(op, "b", b, a, a.shape);
  checkOptions(op, options);
  const target = { shape: a.shape, out: options.out, inPlace: true };
  return produce(op, a, target, (y) => kernelsOf(a).mul(y, a, b));
}
