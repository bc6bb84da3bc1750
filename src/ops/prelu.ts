/**
 * The parametric rectified linear unit, and its gradients.
 *
 * Source: K. He et al., "Delving deep into rectifiers" (2015)
 *
 * @module
 */

import type { BroadcastGeometry } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { broadcastGeometry } from "./broadcast.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkOptions,
  checkTensor,
  type OutOptions,
  produce,
} from "./checks.ts";

/**
 * Computes x where x is positive, and weight · x elsewhere, with a weight for each channel or one for
 * all.
 *
 * @param x [N, C, …], or any shape with one weight.
 * @param weight [C] or [1].
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When a shape does not fit.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { prelu } from "./prelu.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([-1, 2, -3, 4], [1, 2, 2]);
 * using weight = backend.upload([0.5, 10], [2]); // one number for each channel
 * using y = prelu(x, weight);
 * console.log(await y.read()); // -0.5, 2, -30, 4
 * ```
 */
export function prelu(x: Tensor, weight: Tensor, options: OutOptions = {}): Tensor {
  const op = "prelu";
  checkTensor(op, "x", x, x);
  checkTensor(op, "weight", weight, x);
  checkOptions(op, options);
  const g = perChannel(op, x.shape, weight.shape);
  const target = { shape: x.shape, out: options.out, reads: [weight], inPlace: true };
  return produce(op, x, target, (y) => kernelsOf(x).prelu(y, x, weight, x, g));
}

/**
 * Computes the gradient of x for {@linkcode prelu}: dy where x is positive, weight · dy elsewhere.
 *
 * @param dy [N, C, …], or any shape with one weight.
 * @param x The input of the forward pass, in the shape of dy.
 * @param weight [C] or [1].
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When a shape does not fit.
 */
export function preluBackwardInput(
  dy: Tensor,
  x: Tensor,
  weight: Tensor,
  options: OutOptions = {},
): Tensor {
  const op = "preluBackwardInput";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "x", x, dy, dy.shape);
  checkTensor(op, "weight", weight, dy);
  checkOptions(op, options);
  const g = perChannel(op, dy.shape, weight.shape);
  const target = { shape: dy.shape, out: options.out, reads: [x, weight], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).prelu(dx, dy, weight, x, g));
}

/**
 * Computes the gradient of the weight for {@linkcode prelu}: the sum of dy · x where x is not positive.
 *
 * @param dy [N, C, …], or any shape with one weight.
 * @param x The input of the forward pass, in the shape of dy.
 * @param weightShape [C] or [1].
 * @param options `into` is a tensor of that shape, to which the gradient is added. Default: a new one.
 * @returns The gradient, in the shape of the weight.
 * @throws {ArgumentError} When a shape does not fit.
 */
export function preluBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: AccumulateOptions = {},
): Tensor {
  const op = "preluBackwardWeight";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "x", x, dy, dy.shape);
  checkOptions(op, options, ["into"]);
  const g = perChannel(op, dy.shape, weightShape);
  return accumulate(op, dy, weightShape, options, [x], (dweight) => {
    kernelsOf(dy).sumProducts(dweight, dy, x, g, true);
  });
}

/** How a weight [C] or [1] is repeated over a tensor [N, C, …]. */
function perChannel(op: string, shape: Shape, weight: Shape): BroadcastGeometry {
  const size = Array.isArray(weight) && weight.length === 1 ? weight[0] : undefined;
  if (size === 1) return broadcastGeometry(op, "weight", shape, [1]);
  if (size === undefined || size !== shape[1]) {
    const takes = shape.length > 1 ? `[${shape[1]}] or [1]` : "[1]";
    throw new ArgumentError(op, "the shape of weight", weight, takes);
  }
  return broadcastGeometry(op, "weight", shape, [size, ...shape.slice(2).fill(1)]);
}
