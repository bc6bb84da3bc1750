/**
 * Poolings over one axis or two, for the operations and layers of both.
 *
 * @module
 */

import type { AdaptiveGeometry } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  checkInteger,
  checkPerAxis,
  checkShape,
  checkTensor,
  type OutOptions,
  produce,
  together,
} from "./checks.ts";
import { planeShape } from "./conv_geometry.ts";
import { poolGeometry, type PoolOptions } from "./pool_geometry.ts";

/**
 * What averages are divided by.
 *
 * @internal
 */
export interface AverageOptions {
  /** Counts padding in the divisor. Default true. */
  readonly countIncludePad?: boolean;
  /** Divides every sum by this instead of the window's area. */
  readonly divisorOverride?: number;
}

/**
 * Maxima and the row-major position of each in its input plane.
 *
 * @internal
 */
export interface MaxPoolResult {
  /** The maxima, [N, C, oH, oW] or [N, C, oL]. */
  readonly output: Tensor;
  /** Their positions, iy·W + ix, of the same shape. */
  readonly indices: Tensor<Int32Array>;
}

/** {@linkcode maxPool1d} or {@linkcode maxPool2d}. */
export function maxPool(
  axes: 1 | 2,
  x: Tensor,
  options: PoolOptions & OutOptions,
): Tensor {
  const op = `maxPool${axes}d`;
  checkTensor(op, "x", x, x);
  const { g, output } = poolGeometry(op, axes, x.shape, options);
  const target = { shape: output, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, null, x, g));
}

/** {@linkcode maxPool1dWithIndices} or {@linkcode maxPool2dWithIndices}. */
export function maxPoolWithIndices(
  axes: 1 | 2,
  x: Tensor,
  options: PoolOptions & OutOptions,
): MaxPoolResult {
  const op = `maxPool${axes}dWithIndices`;
  checkTensor(op, "x", x, x);
  const { g, output } = poolGeometry(op, axes, x.shape, options);
  const target = { shape: output, out: options.out };
  return together(x.backend.emptyIndices(output), (indices) => ({
    output: produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, indices, x, g)),
    indices,
  }));
}

/** {@linkcode avgPool1d} or {@linkcode avgPool2d}. */
export function avgPool(
  axes: 1 | 2,
  x: Tensor,
  options: PoolOptions & AverageOptions & OutOptions,
): Tensor {
  const op = `avgPool${axes}d`;
  checkTensor(op, "x", x, x);
  const { g, output } = poolGeometry(op, axes, x.shape, options);
  const countIncludePad = options.countIncludePad ?? true, divisor = divisorOf(op, options);
  const target = { shape: output, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).avgPool2d(y, x, g, countIncludePad, divisor));
}

/** {@linkcode avgPool1dBackward} or {@linkcode avgPool2dBackward}. */
export function avgPoolBackward(
  axes: 1 | 2,
  dy: Tensor,
  inputShape: Shape,
  options: PoolOptions & AverageOptions & OutOptions,
): Tensor {
  const op = `avgPool${axes}dBackward`;
  const { g, output } = poolGeometry(op, axes, inputShape, options);
  checkTensor(op, "dy", dy, dy, output);
  const countIncludePad = options.countIncludePad ?? true, divisor = divisorOf(op, options);
  return produce(op, dy, { shape: inputShape, out: options.out }, (dx) => {
    kernelsOf(dy).avgPool2dBackward(dx, dy, g, countIncludePad, divisor);
  });
}

/** {@linkcode adaptiveAvgPool1d} or {@linkcode adaptiveAvgPool2d}. */
export function adaptiveAvgPool(
  axes: 1 | 2,
  x: Tensor,
  outputSize: number | readonly number[],
  options: OutOptions,
): Tensor {
  const op = `adaptiveAvgPool${axes}d`;
  checkTensor(op, "x", x, x);
  checkShape(op, "x", x.shape, axes === 1 ? "[N, C, L]" : "[N, C, H, W]");
  const size = checkPerAxis(op, "outputSize", outputSize, axes, 1);
  const shape = [...x.shape.slice(0, 2), ...size];
  const g = adaptiveGeometry(x.shape, shape), target = { shape, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).adaptiveAvgPool2d(y, x, g));
}

/**
 * The gradient of max pooling: every dy goes to where its maximum stood; windows that overlap add up.
 *
 * @param dy [N, C, oH, oW] or [N, C, oL].
 * @param indices The positions of the maxima, of dy's shape.
 * @param inputShape The shape of the forward pass's input.
 * @returns dx, of that shape.
 */
export function maxPoolBackward(
  dy: Tensor,
  indices: Tensor<Int32Array>,
  inputShape: Shape,
  options: OutOptions = {},
): Tensor {
  const op = "maxPoolBackward";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "indices", indices, dy, dy.shape, Int32Array);
  const layout = dy.shape.length === 3 ? "[N, C, L]" : "[N, C, H, W]";
  checkShape(op, "dy", dy.shape, layout);
  checkShape(op, "the input", inputShape, layout);
  const planes = dy.shape[0] * dy.shape[1];
  if (inputShape[0] * inputShape[1] !== planes) {
    throw new ArgumentError(op, "inputShape", inputShape, `of ${planes} planes, as dy is`);
  }
  const target = { shape: inputShape, out: options.out };
  return produce(op, dy, target, (dx) => kernelsOf(dy).maxPool2dBackward(dx, dy, indices, planes));
}

/**
 * The gradient of adaptive average pooling: every dy over its window's area, spread over the window.
 *
 * @param dy [N, C, oH, oW] or [N, C, oL].
 * @param inputShape The shape of the forward pass's input.
 * @returns dx, of that shape.
 */
export function adaptiveAvgPoolBackward(
  dy: Tensor,
  inputShape: Shape,
  options: OutOptions = {},
): Tensor {
  const op = "adaptiveAvgPoolBackward";
  checkTensor(op, "dy", dy, dy);
  const layout = dy.shape.length === 3 ? "[N, C, L]" : "[N, C, H, W]";
  checkShape(op, "dy", dy.shape, layout);
  checkShape(op, "the input", inputShape, layout);
  checkTensor(op, "dy", dy, dy, [...inputShape.slice(0, 2), ...dy.shape.slice(2)]);
  const g = adaptiveGeometry(inputShape, dy.shape);
  const target = { shape: inputShape, out: options.out };
  return produce(op, dy, target, (dx) => kernelsOf(dy).adaptiveAvgPool2dBackward(dx, dy, g));
}

/** Planes of one axis have height 1. */
function adaptiveGeometry(input: Shape, output: Shape): AdaptiveGeometry {
  const [n, c, h, w] = input.length === 3 ? planeShape(input) : input;
  const [, , oh, ow] = output.length === 3 ? planeShape(output) : output;
  return { n, c, h, w, oh, ow };
}

function divisorOf(op: string, { divisorOverride }: AverageOptions): number | null {
  return divisorOverride === undefined
    ? null
    : checkInteger(op, "divisorOverride", divisorOverride, 1);
}
