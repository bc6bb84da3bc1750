/**
 * Functions of single values, and of the values along one axis.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { AxisGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkTensor, type OutOptions, produce } from "./checks.ts";

/**
 * max(x, 0) of every element; NaN stays NaN.
 *
 * @param x Any shape.
 * @param options `out` may be x itself.
 */
export function relu(x: Tensor, options: OutOptions = {}): Tensor {
  checkTensor("relu", "x", x, x);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("relu", x, target, (y) => kernelsOf(x).relu(y, x));
}

/**
 * exp(x) / Σ exp(x) along an axis, computed without overflow.
 *
 * @param x Any shape.
 * @param dim The axis; a negative one counts from the end.
 * @param options `out` may be x itself.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { softmax } from "./activation.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 1, 1, 1]), [1, 4]);
 * using y = softmax(x, 1);
 * console.log(await y.read()); // 0.25 four times
 * ```
 */
export function softmax(x: Tensor, dim: number, options: OutOptions = {}): Tensor {
  checkTensor("softmax", "x", x, x);
  const g = axisGeometry("softmax", x.shape, dim);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("softmax", x, target, (y) => kernelsOf(x).softmax(y, x, g));
}

/**
 * x − log Σ exp(x) along an axis, computed without overflow.
 *
 * @param x Any shape.
 * @param dim The axis; a negative one counts from the end.
 * @param options `out` may be x itself.
 */
export function logSoftmax(x: Tensor, dim: number, options: OutOptions = {}): Tensor {
  checkTensor("logSoftmax", "x", x, x);
  const g = axisGeometry("logSoftmax", x.shape, dim);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("logSoftmax", x, target, (y) => kernelsOf(x).logSoftmax(y, x, g));
}

/**
 * The gradient of {@linkcode relu}: dy where y is not 0, 0 elsewhere.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass.
 * @param options `out` may be dy itself.
 */
export function reluBackward(dy: Tensor, y: Tensor, options: OutOptions = {}): Tensor {
  const op = "reluBackward";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "y", y, dy, dy.shape);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).reluBackward(dx, dy, y));
}

/**
 * The gradient of {@linkcode softmax}: y · (dy − Σ dy·y).
 *
 * @param dy Any shape.
 * @param y The output of the forward pass.
 * @param dim The axis of the forward pass.
 * @param options `out` may be dy itself.
 */
export function softmaxBackward(
  dy: Tensor,
  y: Tensor,
  dim: number,
  options: OutOptions = {},
): Tensor {
  const op = "softmaxBackward";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "y", y, dy, dy.shape);
  const g = axisGeometry(op, dy.shape, dim);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).softmaxBackward(dx, dy, y, g));
}

/**
 * The gradient of {@linkcode logSoftmax}: dy − exp(y) · Σ dy.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass.
 * @param dim The axis of the forward pass.
 * @param options `out` may be dy itself.
 */
export function logSoftmaxBackward(
  dy: Tensor,
  y: Tensor,
  dim: number,
  options: OutOptions = {},
): Tensor {
  const op = "logSoftmaxBackward";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "y", y, dy, dy.shape);
  const g = axisGeometry(op, dy.shape, dim);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).logSoftmaxBackward(dx, dy, y, g));
}

/**
 * Dropout: every element is 0 with probability p, and divided by 1 − p otherwise. The same seed
 * drops the same elements: called with dy it gives the gradient.
 *
 * @param x Any shape.
 * @param p The probability of an element to be dropped, from 0 to 1.
 * @param seed 32 bits, such as a {@linkcode RandomGenerator} draws.
 * @param options `out` may be x itself.
 */
export function dropout(x: Tensor, p: number, seed: number, options: OutOptions = {}): Tensor {
  const op = "dropout";
  checkTensor(op, "x", x, x);
  if (!(p >= 0 && p <= 1)) throw new ArgumentError(op, "p", p, "between 0 and 1");
  if (!Number.isInteger(seed)) throw new ArgumentError(op, "seed", seed, "an integer");
  const target = { shape: x.shape, out: options.out, inPlace: true };
  const keep = Math.round((1 - p) * 2 ** 32) - 1, scale = 1 / (1 - p);
  return produce(op, x, target, (y) => {
    if (keep < 0) x.backend.fill(y, 0);
    else kernelsOf(x).dropout(y, x, { seed, keep, scale });
  });
}

function axisGeometry(op: string, shape: Shape, dim: number): AxisGeometry {
  const rank = shape.length;
  if (!Number.isInteger(dim) || dim < -rank || dim >= rank) {
    throw new ArgumentError(op, "dim", dim, `an axis of x [${shape.join(", ")}]`);
  }
  const axis = dim < 0 ? dim + rank : dim;
  return {
    outer: elements(shape.slice(0, axis)),
    size: shape[axis],
    inner: elements(shape.slice(axis + 1)),
  };
}
