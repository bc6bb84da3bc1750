/**
 * Softmax and its logarithm.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { AxisGeometry } from "../backend/geometry.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkAxis, checkOptions, checkTensor, type OutOptions, produce } from "./checks.ts";

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
 * import { softmax } from "./softmax.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 1, 1, 1]), [1, 4]);
 * using y = softmax(x, 1);
 * console.log(await y.read()); // 0.25 four times
 * ```
 */
export function softmax(x: Tensor, dim: number, options: OutOptions = {}): Tensor {
  return forward("softmax", x, dim, options);
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
  return forward("logSoftmax", x, dim, options);
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
  return backward("softmaxBackward", dy, y, dim, options);
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
  return backward("logSoftmaxBackward", dy, y, dim, options);
}

function forward(
  op: "softmax" | "logSoftmax",
  x: Tensor,
  dim: number,
  options: OutOptions,
): Tensor {
  checkTensor(op, "x", x, x);
  checkOptions(op, options);
  const g = axisGeometry(op, x.shape, dim);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce(op, x, target, (y) => kernelsOf(x)[op](y, x, g));
}

function backward(
  op: "softmaxBackward" | "logSoftmaxBackward",
  dy: Tensor,
  y: Tensor,
  dim: number,
  options: OutOptions,
): Tensor {
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "y", y, dy, dy.shape);
  checkOptions(op, options);
  const g = axisGeometry(op, dy.shape, dim);
  const target = { shape: dy.shape, out: options.out, reads: [y], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy)[op](dx, dy, y, g));
}

function axisGeometry(op: string, shape: Shape, dim: number): AxisGeometry {
  const axis = checkAxis(op, dim, shape);
  return {
    outer: elements(shape.slice(0, axis)),
    size: shape[axis],
    inner: elements(shape.slice(axis + 1)),
  };
}
