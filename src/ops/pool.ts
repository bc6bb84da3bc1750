/**
 * Pooling in one and two dimensions: maxima, averages, and averages to a given output size.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Pool2dGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  checkInteger,
  checkPerAxis,
  checkShape,
  checkTensor,
  type OutOptions,
  produce,
  type Target,
  together,
} from "./checks.ts";
import { planeShape } from "./conv_geometry.ts";
import {
  pool1dGeometry,
  type Pool1dOptions,
  pool2dGeometry,
  type Pool2dOptions,
} from "./pool_geometry.ts";

/** What averages are divided by. */
export interface AverageOptions {
  /** Counts padding in the divisor. Default true. */
  readonly countIncludePad?: boolean;
  /** Divides every sum by this instead of the window's area. */
  readonly divisorOverride?: number;
}

/** Maxima and the row-major position of each in its input plane. */
export interface MaxPoolResult {
  /** The maxima, [N, C, oH, oW] or [N, C, oL]. */
  readonly output: Tensor;
  /** Their positions, iy·W + ix, of the same shape. */
  readonly indices: Tensor<Int32Array>;
}

/**
 * The maximum of each window. Padding never wins, NaN in a window gives NaN, as in PyTorch.
 *
 * @param x [N, C, H, W].
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} when shapes and options do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { maxPool2d } from "./pool.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 1, 2, 2]);
 * using y = maxPool2d(x, { kernelSize: 2 });
 * console.log(await y.read()); // 4
 * ```
 */
export function maxPool2d(x: Tensor, options: Pool2dOptions & OutOptions): Tensor {
  const op = "maxPool2d";
  checkTensor(op, "x", x, x);
  const g = pool2dGeometry(op, x.shape, options);
  const target = { shape: [g.n, g.c, g.oh, g.ow], out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, null, x, g));
}

/**
 * {@linkcode maxPool2d} together with the position of each maximum, the first one among equals.
 *
 * @param x [N, C, H, W].
 */
export function maxPool2dWithIndices(
  x: Tensor,
  options: Pool2dOptions & OutOptions,
): MaxPoolResult {
  const op = "maxPool2dWithIndices";
  checkTensor(op, "x", x, x);
  const g = pool2dGeometry(op, x.shape, options);
  return withIndices(op, x, g, { shape: [g.n, g.c, g.oh, g.ow], out: options.out });
}

/**
 * The maximum of each window along one axis; see {@linkcode maxPool2d}.
 *
 * @param x [N, C, L].
 * @returns [N, C, oL].
 */
export function maxPool1d(x: Tensor, options: Pool1dOptions & OutOptions): Tensor {
  const op = "maxPool1d";
  checkTensor(op, "x", x, x);
  const g = pool1dGeometry(op, x.shape, options);
  const target = { shape: [g.n, g.c, g.ow], out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, null, x, g));
}

/**
 * {@linkcode maxPool1d} together with the position of each maximum, the first one among equals.
 *
 * @param x [N, C, L].
 */
export function maxPool1dWithIndices(
  x: Tensor,
  options: Pool1dOptions & OutOptions,
): MaxPoolResult {
  const op = "maxPool1dWithIndices";
  checkTensor(op, "x", x, x);
  const g = pool1dGeometry(op, x.shape, options);
  return withIndices(op, x, g, { shape: [g.n, g.c, g.ow], out: options.out });
}

/**
 * The mean of each window; by default padding counts as zeros, as in PyTorch.
 *
 * @param x [N, C, H, W].
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} when shapes and options do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { avgPool2d } from "./pool.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 1, 2, 2]);
 * using y = avgPool2d(x, { kernelSize: 2 });
 * console.log(await y.read()); // 2.5
 * ```
 */
export function avgPool2d(x: Tensor, options: Pool2dOptions & AverageOptions & OutOptions): Tensor {
  const op = "avgPool2d";
  checkTensor(op, "x", x, x);
  const g = pool2dGeometry(op, x.shape, options);
  const target = { shape: [g.n, g.c, g.oh, g.ow], out: options.out };
  const countIncludePad = options.countIncludePad ?? true, divisor = divisorOf(op, options);
  return produce(op, x, target, (y) => kernelsOf(x).avgPool2d(y, x, g, countIncludePad, divisor));
}

/**
 * The mean of each window along one axis; see {@linkcode avgPool2d}.
 *
 * @param x [N, C, L].
 * @returns [N, C, oL].
 */
export function avgPool1d(x: Tensor, options: Pool1dOptions & AverageOptions & OutOptions): Tensor {
  const op = "avgPool1d";
  checkTensor(op, "x", x, x);
  const g = pool1dGeometry(op, x.shape, options);
  const target = { shape: [g.n, g.c, g.ow], out: options.out };
  const countIncludePad = options.countIncludePad ?? true, divisor = divisorOf(op, options);
  return produce(op, x, target, (y) => kernelsOf(x).avgPool2d(y, x, g, countIncludePad, divisor));
}

/**
 * Averages over windows chosen so that the output has the size asked for: window i covers
 * ⌊i·size/out⌋ … ⌈(i+1)·size/out⌉ − 1, as in PyTorch.
 *
 * @param x [N, C, H, W].
 * @param outputSize Height and width of the output.
 * @returns [N, C, oH, oW].
 */
export function adaptiveAvgPool2d(
  x: Tensor,
  outputSize: number | readonly [number, number],
  options: OutOptions = {},
): Tensor {
  const op = "adaptiveAvgPool2d";
  checkTensor(op, "x", x, x);
  checkShape(op, "x", x.shape, "[N, C, H, W]");
  const [oh, ow] = checkPerAxis(op, "outputSize", outputSize, 2, 1);
  const [n, c, h, w] = x.shape;
  const target = { shape: [n, c, oh, ow], out: options.out };
  return produce(
    op,
    x,
    target,
    (y) => kernelsOf(x).adaptiveAvgPool2d(y, x, { n, c, h, w, oh, ow }),
  );
}

/**
 * {@linkcode adaptiveAvgPool2d} along one axis.
 *
 * @param x [N, C, L].
 * @param outputSize Length of the output.
 * @returns [N, C, oL].
 */
export function adaptiveAvgPool1d(
  x: Tensor,
  outputSize: number,
  options: OutOptions = {},
): Tensor {
  const op = "adaptiveAvgPool1d";
  checkTensor(op, "x", x, x);
  checkShape(op, "x", x.shape, "[N, C, L]");
  const ow = checkInteger(op, "outputSize", outputSize, 1);
  const [n, c, w] = x.shape;
  const g = { n, c, h: 1, w, oh: 1, ow };
  const target = { shape: [n, c, ow], out: options.out };
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
 * The gradient of {@linkcode avgPool2d}: every dy, divided as there, spread over its window.
 *
 * @param dy [N, C, oH, oW].
 * @param inputShape [N, C, H, W] of the forward pass.
 * @returns dx, [N, C, H, W].
 */
export function avgPool2dBackward(
  dy: Tensor,
  inputShape: Shape,
  options: Pool2dOptions & AverageOptions & OutOptions,
): Tensor {
  const op = "avgPool2dBackward";
  const g = pool2dGeometry(op, inputShape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.c, g.oh, g.ow]);
  return averageBackward(op, dy, g, inputShape, options);
}

/**
 * The gradient of {@linkcode avgPool1d}; see {@linkcode avgPool2dBackward}.
 *
 * @param dy [N, C, oL].
 * @param inputShape [N, C, L] of the forward pass.
 * @returns dx, [N, C, L].
 */
export function avgPool1dBackward(
  dy: Tensor,
  inputShape: Shape,
  options: Pool1dOptions & AverageOptions & OutOptions,
): Tensor {
  const op = "avgPool1dBackward";
  const g = pool1dGeometry(op, inputShape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.c, g.ow]);
  return averageBackward(op, dy, g, inputShape, options);
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
  const [n, c, h, w] = inputShape.length === 3 ? planeShape(inputShape) : inputShape;
  const [, , oh, ow] = dy.shape.length === 3 ? planeShape(dy.shape) : dy.shape;
  checkTensor(op, "dy", dy, dy, [n, c, ...dy.shape.slice(2)]);
  const g = { n, c, h, w, oh, ow };
  const target = { shape: inputShape, out: options.out };
  return produce(op, dy, target, (dx) => kernelsOf(dy).adaptiveAvgPool2dBackward(dx, dy, g));
}

function divisorOf(op: string, { divisorOverride }: AverageOptions): number | null {
  return divisorOverride === undefined
    ? null
    : checkInteger(op, "divisorOverride", divisorOverride, 1);
}

function withIndices(op: string, x: Tensor, g: Pool2dGeometry, target: Target): MaxPoolResult {
  return together(x.backend.emptyIndices(target.shape), (indices) => ({
    output: produce(op, x, target, (y) => kernelsOf(x).maxPool2d(y, indices, x, g)),
    indices,
  }));
}

function averageBackward(
  op: string,
  dy: Tensor,
  g: Pool2dGeometry,
  shape: Shape,
  options: AverageOptions & OutOptions,
): Tensor {
  const countIncludePad = options.countIncludePad ?? true, divisor = divisorOf(op, options);
  return produce(op, dy, { shape, out: options.out }, (dx) => {
    kernelsOf(dy).avgPool2dBackward(dx, dy, g, countIncludePad, divisor);
  });
}
