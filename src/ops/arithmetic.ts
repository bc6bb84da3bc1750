/**
 * Sums and products of tensors.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { isShape, type Shape, type Tensor } from "../tensor.ts";
import { broadcastGeometry } from "./broadcast.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkNumber,
  checkOptions,
  checkTensor,
  disposeOnError,
  type OutOptions,
  produce,
  type Target,
} from "./checks.ts";

/**
 * Computes a + alpha · b of each pair of elements, `torch.add`. b is repeated along axes where it
 * has size 1 or that it lacks. The layer {@linkcode Add} computes gradients.
 *
 * @param a Any shape.
 * @param b A tensor of the same shape; or with size 1 along a run of axes, or along all others, such as
 * [N, C, 1, 1] or [1, C, 1, 1] for [N, C, H, W]; or of one element.
 * @param options `alpha` is 1 by default. `out` may be a, or b if that has as many elements.
 * @returns A tensor of the shape of a.
 * @throws {ArgumentError} When the shapes do not fit, or alpha is not finite.
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
  checkTensor(op, "b", b, a);
  checkOptions(op, options, ["alpha", "out"]);
  const g = broadcastGeometry(op, "b", a.shape, b.shape);
  const alpha = checkNumber(op, "alpha", options.alpha ?? 1);
  return produce(op, a, targetFor(a, b, options), (y) => kernelsOf(a).add(y, a, b, g, alpha));
}

/**
 * Computes a · b of each pair of elements, `torch.mul`. b is repeated as by {@linkcode add}. The
 * layer {@linkcode Mul} computes gradients.
 *
 * @param a Any shape.
 * @param b A tensor of the same shape, or with axes of size 1, as for {@linkcode add}.
 * @param options `out` may be a, or b if that has as many elements.
 * @returns A tensor of the shape of a.
 * @throws {ArgumentError} When the shapes do not fit.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { mul } from "./arithmetic.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4], [1, 2, 1, 2]);
 * using gate = backend.upload([1, 10], [1, 2, 1, 1]); // one number for each channel
 * using y = mul(x, gate);
 * console.log(await y.read()); // 1, 2, 30, 40
 * ```
 */
export function mul(a: Tensor, b: Tensor, options: OutOptions = {}): Tensor {
  const op = "mul";
  checkTensor(op, "a", a, a);
  checkTensor(op, "b", b, a);
  checkOptions(op, options);
  const g = broadcastGeometry(op, "b", a.shape, b.shape);
  return produce(op, a, targetFor(a, b, options), (y) => kernelsOf(a).mul(y, a, b, g));
}

/**
 * Computes the gradient of b for {@linkcode add} with alpha 1: the sum of dy over the axes along which b
 * is repeated.
 *
 * @param dy The gradient of the sum, any shape.
 * @param shape The shape of b.
 * @param options `into` is a tensor of that shape, to which the gradient is added. Default: a new one.
 * @returns The gradient, in the shape of b.
 * @throws {ArgumentError} When the shapes do not fit.
 */
export function addBackward(dy: Tensor, shape: Shape, options: AccumulateOptions = {}): Tensor {
  return sumProducts("addBackward", dy, null, shape, options);
}

/**
 * Computes the gradient of b for {@linkcode mul}: the sum of dy · a over the axes along which b is
 * repeated.
 *
 * @param dy The gradient of the product, any shape.
 * @param a The other factor, in the shape of dy.
 * @param shape The shape of b.
 * @param options `into` is a tensor of that shape, to which the gradient is added. Default: a new one.
 * @returns The gradient, in the shape of b.
 * @throws {ArgumentError} When the shapes do not fit.
 */
export function mulBackward(
  dy: Tensor,
  a: Tensor,
  shape: Shape,
  options: AccumulateOptions = {},
): Tensor {
  return sumProducts("mulBackward", dy, a, shape, options);
}

function sumProducts(
  op: string,
  dy: Tensor,
  a: Tensor | null,
  shape: Shape,
  options: AccumulateOptions,
): Tensor {
  checkTensor(op, "dy", dy, dy);
  if (a) checkTensor(op, "a", a, dy, dy.shape);
  if (!isShape(shape)) throw new ArgumentError(op, "shape", shape, "positive integers");
  checkOptions(op, options, ["into"]);
  const g = broadcastGeometry(op, "b", dy.shape, shape), reads = a ? [a] : [];
  return accumulate(op, dy, shape, options, reads, (db) => {
    kernelsOf(dy).sumProducts(db, dy, a, g, false);
  });
}

/** Where the result goes: not to b if elements of b are read more than once. */
function targetFor(a: Tensor, b: Tensor, { out }: OutOptions): Target {
  return { shape: a.shape, out, reads: b.size === a.size ? [] : [b], inPlace: true };
}

/** Returns a copy of a tensor. The caller disposes of it. */
export function copyOf(tensor: Tensor): Tensor {
  return disposeOnError(tensor.backend.empty(tensor.shape), (copy) => {
    copyInto(copy, tensor);
    return copy;
  });
}

/** Overwrites a tensor with the values of another one of the same shape. */
export function copyInto(target: Tensor, source: Tensor): void {
  target.backend.fill(target, 0); // it may hold NaN, and 0 · NaN is NaN
  kernelsOf(target).axpby(target, source, 1, 0);
}
