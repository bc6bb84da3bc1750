/**
 * Activation functions and dropout.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { AxisGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkAxis, checkOptions, checkTensor, type OutOptions, produce } from "./checks.ts";

/**
 * Computes max(x, 0) of every element. NaN stays NaN.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function relu(x: Tensor, options: OutOptions = {}): Tensor {
  checkTensor("relu", "x", x, x);
  checkOptions("relu", options);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("relu", x, target, (y) => kernelsOf(x).relu(y, x));
}

/**
 * Computes exp(x) / Σ exp(x) along an axis, without overflow.
 *
 * @param x Any shape.
 * @param dim The axis. Negative values count from the last axis.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `dim` is not an axis of x, or `out` has another shape.
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
  checkOptions("softmax", options);
  const g = axisGeometry("softmax", x.shape, dim);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("softmax", x, target, (y) => kernelsOf(x).softmax(y, x, g));
}

/**
 * Computes x − log Σ exp(x) along an axis, without overflow.
 *
 * @param x Any shape.
 * @param dim The axis. Negative values count from the last axis.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `dim` is not an axis of x, or `out` has another shape.
 */
export function logSoftmax(x: Tensor, dim: number, options: OutOptions = {}): Tensor {
  checkTensor("logSoftmax", "x", x, x);
  checkOptions("logSoftmax", options);
  const g = axisGeometry("logSoftmax", x.shape, dim);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("logSoftmax", x, target, (y) => kernelsOf(x).logSoftmax(y, x, g));
}

/**
 * Computes the gradient of {@linkcode relu}: dx = dy where y is positive or NaN, 0 elsewhere.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function reluBackward(dy: Tensor, y: Tensor, options: OutOptions = {}): Tensor {
  const op = "reluBackward";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "y", y, dy, dy.shape);
  checkOptions(op, options);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).reluBackward(dx, dy, y));
}

/**
 * Computes the gradient of {@linkcode softmax}: dx = y · (dy − Σ dy·y).
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param dim The axis of the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or `dim` is not an axis of dy.
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
  checkOptions(op, options);
  const g = axisGeometry(op, dy.shape, dim);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).softmaxBackward(dx, dy, y, g));
}

/**
 * Computes the gradient of {@linkcode logSoftmax}: dx = dy − exp(y) · Σ dy.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param dim The axis of the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or `dim` is not an axis of dy.
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
  checkOptions(op, options);
  const g = axisGeometry(op, dy.shape, dim);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).logSoftmaxBackward(dx, dy, y, g));
}

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
  if (typeof p !== "number" || !(p >= 0 && p <= 1)) {
    throw new ArgumentError(op, "p", p, "between 0 and 1");
  }
  if (!Number.isInteger(seed)) throw new ArgumentError(op, "seed", seed, "an integer");
  const target = { shape: x.shape, out: options.out, inPlace: true };
  const keep = Math.round((1 - p) * 2 ** 32) - 1, scale = 1 / (1 - p);
  return produce(op, x, target, (y) => {
    if (keep < 0) x.backend.fill(y, 0);
    else kernelsOf(x).dropout(y, x, { seed, keep, scale });
  });
}

function axisGeometry(op: string, shape: Shape, dim: number): AxisGeometry {
  const axis = checkAxis(op, dim, shape);
  return {
    outer: elements(shape.slice(0, axis)),
    size: shape[axis],
    inner: elements(shape.slice(axis + 1)),
  };
}
