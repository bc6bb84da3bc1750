/**
 * Functions of single values, and of the values along one axis.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkTensor, produce } from "./checks.ts";
import type { OutOptions } from "./pool.ts";

/** A tensor seen along one axis: what kernels take. */
export interface AxisGeometry {
  /** Elements before the axis. */
  readonly outer: number;
  /** Elements on the axis. */
  readonly size: number;
  /** Elements behind the axis. */
  readonly inner: number;
}

/**
 * max(x, 0) of every element; NaN stays NaN.
 *
 * @param x Any shape.
 * @param options `out` may be x itself.
 */
export function relu(x: Tensor, options: OutOptions = {}): Tensor {
  checkTensor("relu", "x", x, x);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce("relu", x, target, (y) => x.backend.relu(y, x));
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
 * import { createBackend } from "../backend.ts";
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
  return produce("softmax", x, target, (y) => x.backend.softmax(y, x, g));
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
  return produce("logSoftmax", x, target, (y) => x.backend.logSoftmax(y, x, g));
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
