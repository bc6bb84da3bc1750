/**
 * Pooling for one or two axes: the shared code of the 1-D and 2-D operations and layers.
 *
 * @module
 */

import type { AdaptiveGeometry } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { disposable, type Shape, type Tensor } from "../tensor.ts";
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPerAxis,
  checkPlanes,
  checkTensor,
  disposeOnError,
  type OutOptions,
  produce,
} from "./checks.ts";
import { to2dShape } from "./conv_geometry.ts";
import { poolGeometry, poolNames, type PoolOptions } from "./pool_geometry.ts";

/**
 * The divisor of average pooling.
 */
export interface AverageOptions {
  /** Counts padding in the divisor. Default: true. */
  readonly countIncludePad?: boolean;
  /** The divisor of all windows. Default: the number of elements in the window. */
  readonly divisorOverride?: number;
}

/** The names of {@linkcode AverageOptions}. */
export const averageNames = ["countIncludePad", "divisorOverride"] as const;

const maxPoolNames = [...poolNames, "kernelSize", "out"] as const;
const avgPoolNames = [...maxPoolNames, ...averageNames] as const;

/**
 * The result of max pooling with indices. The caller disposes of it.
 */
export interface MaxPoolResult extends Disposable {
  /** The maxima, [N, C, oH, oW] or [N, C, oL]. */
  readonly output: Tensor;
  /** Their positions in the input plane, iy·W + ix, in the same shape. */
  readonly indices: Tensor<Int32Array>;
}

/** Computes {@linkcode maxPool1d} or {@linkcode maxPool2d}. */
export function maxPool(
  axes: 1 | 2,
  x: Tensor,
  options: PoolOptions & OutOptions,
): Tensor {
  const op = `maxPool${axes}d`;
  checkTensor(op, "x", x, x);
  checkOptions(op, options, maxPoolNames);
  const { g, output } = poolGeometry(op, axes, x.shape, options);
  const target = { shape: output, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, null, x, g));
}

/** Computes {@linkcode maxPool1dWithIndices} or {@linkcode maxPool2dWithIndices}. */
export function maxPoolWithIndices(
  axes: 1 | 2,
  x: Tensor,
  options: PoolOptions & OutOptions,
): MaxPoolResult {
  const op = `maxPool${axes}dWithIndices`;
  checkTensor(op, "x", x, x);
  checkOptions(op, options, maxPoolNames);
  const { g, output } = poolGeometry(op, axes, x.shape, options);
  const target = { shape: output, out: options.out };
  return disposeOnError(x.backend.emptyIndices(output), (indices) =>
    disposable({
      output: produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, indices, x, g)),
      indices,
    }));
}

/** Computes {@linkcode avgPool1d} or {@linkcode avgPool2d}. */
export function avgPool(
  axes: 1 | 2,
  x: Tensor,
  options: PoolOptions & AverageOptions & OutOptions,
): Tensor {
  const op = `avgPool${axes}d`;
  checkTensor(op, "x", x, x);
  checkOptions(op, options, avgPoolNames);
  const { g, output } = poolGeometry(op, axes, x.shape, options);
  const countIncludePad = countsPadding(op, options), divisor = divisorOf(op, options);
  const target = { shape: output, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).avgPool2d(y, x, g, countIncludePad, divisor));
}

/** Computes {@linkcode avgPool1dBackward} or {@linkcode avgPool2dBackward}. */
export function avgPoolBackward(
  axes: 1 | 2,
  dy: Tensor,
  inputShape: Shape,
  options: PoolOptions & AverageOptions & OutOptions,
): Tensor {
  const op = `avgPool${axes}dBackward`;
  checkTensor(op, "dy", dy, dy);
  checkOptions(op, options, avgPoolNames);
  const { g, output } = poolGeometry(op, axes, inputShape, options);
  checkTensor(op, "dy", dy, dy, output);
  const countIncludePad = countsPadding(op, options), divisor = divisorOf(op, options);
  return produce(op, dy, { shape: inputShape, out: options.out }, (dx) => {
    kernelsOf(dy).avgPool2dBackward(dx, dy, g, countIncludePad, divisor);
  });
}

/** Computes {@linkcode adaptiveAvgPool1d} or {@linkcode adaptiveAvgPool2d}. */
export function adaptiveAvgPool(
  axes: 1 | 2,
  x: Tensor,
  outputSize: number | readonly number[],
  options: OutOptions,
): Tensor {
  const op = `adaptiveAvgPool${axes}d`;
  const { g, shape } = checkAdaptive(op, axes, x, outputSize, options);
  const target = { shape, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).adaptiveAvgPool2d(y, x, g));
}

/** Computes {@linkcode adaptiveMaxPool2d}. */
export function adaptiveMaxPool(
  x: Tensor,
  outputSize: number | readonly number[],
  options: OutOptions,
): Tensor {
  const op = "adaptiveMaxPool2d";
  const { g, shape } = checkAdaptive(op, 2, x, outputSize, options);
  const target = { shape, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).adaptiveMaxPool2d(y, null, x, g));
}

/** Computes {@linkcode adaptiveMaxPool2dWithIndices}. */
export function adaptiveMaxPoolWithIndices(
  x: Tensor,
  outputSize: number | readonly number[],
  options: OutOptions,
): MaxPoolResult {
  const op = "adaptiveMaxPool2dWithIndices";
  const { g, shape } = checkAdaptive(op, 2, x, outputSize, options);
  const target = { shape, out: options.out };
  return disposeOnError(x.backend.emptyIndices(shape), (indices) =>
    disposable({
      output: produce(op, x, target, (y) => kernelsOf(x).adaptiveMaxPool2d(y, indices, x, g)),
      indices,
    }));
}

/** Checks the arguments of an adaptive pooling. */
function checkAdaptive(
  op: string,
  axes: 1 | 2,
  x: Tensor,
  outputSize: number | readonly number[],
  options: OutOptions,
): { readonly g: AdaptiveGeometry; readonly shape: Shape } {
  checkTensor(op, "x", x, x);
  checkOptions(op, options);
  checkPlanes(op, "x", x.shape, axes);
  const size = checkPerAxis(op, "outputSize", outputSize, axes, 1);
  const shape = [...x.shape.slice(0, 2), ...size];
  return { g: adaptiveGeometry(x.shape, shape), shape };
}

/**
 * Computes the gradient of max pooling: each element of dy is added at the position of its maximum.
 *
 * @param dy [N, C, oH, oW] or [N, C, oL].
 * @param indices The positions of the maxima, in the shape of dy.
 * @param inputShape The shape of the forward pass's input.
 * @returns dx, in the shape of the input.
 * @throws {ArgumentError} When the shapes do not fit together.
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
  checkOptions(op, options);
  const axes = dy.shape.length === 3 ? 1 : 2;
  checkPlanes(op, "dy", dy.shape, axes);
  checkPlanes(op, "the input", inputShape, axes);
  const planes = dy.shape[0] * dy.shape[1];
  if (inputShape[0] * inputShape[1] !== planes) {
    const expected = `a shape with ${planes} planes (N · C), like dy`;
    throw new ArgumentError(op, "inputShape", inputShape, expected);
  }
  const target = { shape: inputShape, out: options.out };
  return produce(op, dy, target, (dx) => kernelsOf(dy).maxPool2dBackward(dx, dy, indices, planes));
}

/**
 * Computes the gradient of adaptive average pooling: each element of dy, divided by the number of
 * elements in its window, is added to all of them.
 *
 * @param dy [N, C, oH, oW] or [N, C, oL].
 * @param inputShape The shape of the forward pass's input.
 * @returns dx, in the shape of the input.
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function adaptiveAvgPoolBackward(
  dy: Tensor,
  inputShape: Shape,
  options: OutOptions = {},
): Tensor {
  const op = "adaptiveAvgPoolBackward";
  checkTensor(op, "dy", dy, dy);
  checkOptions(op, options);
  const axes = dy.shape.length === 3 ? 1 : 2;
  checkPlanes(op, "dy", dy.shape, axes);
  checkPlanes(op, "the input", inputShape, axes);
  checkTensor(op, "dy", dy, dy, [...inputShape.slice(0, 2), ...dy.shape.slice(2)]);
  const g = adaptiveGeometry(inputShape, dy.shape);
  const target = { shape: inputShape, out: options.out };
  return produce(op, dy, target, (dx) => kernelsOf(dy).adaptiveAvgPool2dBackward(dx, dy, g));
}

/** The geometry in two dimensions. A 1-D pooling has height 1. */
function adaptiveGeometry(input: Shape, output: Shape): AdaptiveGeometry {
  const [n, c, h, w] = input.length === 3 ? to2dShape(input) : input;
  const [, , oh, ow] = output.length === 3 ? to2dShape(output) : output;
  return { n, c, h, w, oh, ow };
}

function countsPadding(op: string, { countIncludePad = true }: AverageOptions): boolean {
  return checkBoolean(op, "countIncludePad", countIncludePad);
}

function divisorOf(op: string, { divisorOverride }: AverageOptions): number | null {
  return divisorOverride === undefined
    ? null
    : checkInteger(op, "divisorOverride", divisorOverride, 1);
}
