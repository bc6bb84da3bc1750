/**
 * Pooling in one and two dimensions: maxima, averages, and averages to a given output size.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkInteger, checkPerAxis, checkShape, checkTensor, output } from "./checks.ts";
import { asPlane, planeShape, sidesOf } from "./conv.ts";

/** A pair is `[height, width]`, four paddings are `[top, left, bottom, right]`. */
export interface Pool2dOptions {
  /** Size of the window. */
  readonly kernelSize: number | readonly [number, number];
  /** Step between windows. Default: the window's own size. */
  readonly stride?: number | readonly [number, number];
  /** Positions around the input; every window must still meet the input. Default 0. */
  readonly padding?: number | readonly [number, number] | readonly [number, number, number, number];
  /** Distance between the taps of the window. Default 1. */
  readonly dilation?: number | readonly [number, number];
  /** Rounds the output size up; a last window starts inside the input or its leading padding. */
  readonly ceilMode?: boolean;
}

/** The same along one axis; two paddings are `[before, after]`. */
export interface Pool1dOptions {
  /** Size of the window. */
  readonly kernelSize: number | readonly [number];
  /** Step between windows. Default: the window's own size. */
  readonly stride?: number | readonly [number];
  /** Positions around the input; every window must still meet the input. Default 0. */
  readonly padding?: number | readonly [number] | readonly [number, number];
  /** Distance between the taps of the window. Default 1. */
  readonly dilation?: number | readonly [number];
  /** Rounds the output size up; a last window starts inside the input or its leading padding. */
  readonly ceilMode?: boolean;
}

/** What averages are divided by. */
export interface AverageOptions {
  /** Counts padding in the divisor. Default true. */
  readonly countIncludePad?: boolean;
  /** Divides every sum by this instead of the window's area. */
  readonly divisorOverride?: number;
}

/** Where the result of a pooling goes. */
export interface OutOptions {
  /** The tensor to write to; without it a new one is returned. */
  readonly out?: Tensor;
}

/** Maxima and the row-major position of each in its input plane. */
export interface MaxPoolResult {
  /** The maxima, [N, C, oH, oW] or [N, C, oL]. */
  readonly output: Tensor;
  /** Their positions, iy·W + ix, of the same shape. */
  readonly indices: Tensor<Int32Array>;
}

/** A 2-D pooling with every number checked: what kernels take. */
export interface Pool2dGeometry {
  /** Samples. */
  readonly n: number;
  /** Channels. */
  readonly c: number;
  /** Height of the input. */
  readonly h: number;
  /** Width of the input. */
  readonly w: number;
  /** Height of the output. */
  readonly oh: number;
  /** Width of the output. */
  readonly ow: number;
  /** Height of the kernel. */
  readonly kh: number;
  /** Width of the kernel. */
  readonly kw: number;
  /** Step between rows of windows. */
  readonly strideH: number;
  /** Step between columns of windows. */
  readonly strideW: number;
  /** Padding above. */
  readonly top: number;
  /** Padding to the left. */
  readonly left: number;
  /** Padding below. */
  readonly bottom: number;
  /** Padding to the right. */
  readonly right: number;
  /** Rows from tap to tap. */
  readonly dilationH: number;
  /** Columns from tap to tap. */
  readonly dilationW: number;
}

/**
 * Checks a pooling's arguments and works out its output size.
 *
 * @param op The name that errors carry.
 * @param x [N, C, H, W].
 */
export function pool2dGeometry(op: string, x: Shape, options: Pool2dOptions): Pool2dGeometry {
  checkShape(op, "x", x, "[N, C, H, W]");
  const [n, c, h, w] = x;
  const [kh, kw] = checkPerAxis(op, "kernelSize", options.kernelSize, 2, 1);
  const [strideH, strideW] = checkPerAxis(op, "stride", options.stride ?? [kh, kw], 2, 1);
  const [dilationH, dilationW] = checkPerAxis(op, "dilation", options.dilation ?? 1, 2, 1);
  const layout = "[height, width] or [top, left, bottom, right]";
  const sides = sidesOf(op, options.padding ?? 0, [2, 4], layout);
  const [top, left, bottom = top, right = left] = sides;
  const ceil = options.ceilMode ?? false;
  const spanH = dilationH * (kh - 1) + 1, spanW = dilationW * (kw - 1) + 1;
  const oh = pooledSize(op, "height", h, spanH, strideH, top, bottom, ceil);
  const ow = pooledSize(op, "width", w, spanW, strideW, left, right, ceil);
  checkWindows(op, "height", h, oh, kh, strideH, dilationH, top);
  checkWindows(op, "width", w, ow, kw, strideW, dilationW, left);
  // deno-fmt-ignore
  return {
    n, c, h, w, oh, ow, kh, kw, strideH, strideW, top, left, bottom, right, dilationH, dilationW,
  };
}

/** Checks a 1-D pooling: the 2-D one of height 1 that computes it. */
export function pool1dGeometry(op: string, x: Shape, options: Pool1dOptions): Pool2dGeometry {
  checkShape(op, "x", x, "[N, C, L]");
  return pool2dGeometry(op, planeShape(x), planePool(op, options));
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
 * import { createBackend } from "../backend.ts";
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
  const y = output(op, x, [g.n, g.c, g.oh, g.ow], options.out);
  x.backend.maxPool2d(y, null, x, g);
  return y;
}

/**
 * {@linkcode maxPool2d} together with the position of each maximum, the first one among equals.
 *
 * @param x [N, C, H, W].
 */
export function maxPool2dWithIndices(x: Tensor, options: Pool2dOptions): MaxPoolResult {
  const op = "maxPool2dWithIndices";
  checkTensor(op, "x", x, x);
  const g = pool2dGeometry(op, x.shape, options);
  const y = x.backend.empty([g.n, g.c, g.oh, g.ow]);
  const indices = x.backend.emptyIndices(y.shape);
  x.backend.maxPool2d(y, indices, x, g);
  return { output: y, indices };
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
  const y = output(op, x, [g.n, g.c, g.ow], options.out);
  x.backend.maxPool2d(asPlane(y), null, asPlane(x), g);
  return y;
}

/**
 * {@linkcode maxPool1d} together with the position of each maximum, the first one among equals.
 *
 * @param x [N, C, L].
 */
export function maxPool1dWithIndices(x: Tensor, options: Pool1dOptions): MaxPoolResult {
  const op = "maxPool1dWithIndices";
  checkTensor(op, "x", x, x);
  const g = pool1dGeometry(op, x.shape, options);
  const y = x.backend.empty([g.n, g.c, g.ow]);
  const indices = x.backend.emptyIndices(y.shape);
  x.backend.maxPool2d(y, indices, x, g);
  return { output: y, indices };
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
 * import { createBackend } from "../backend.ts";
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
  const y = output(op, x, [g.n, g.c, g.oh, g.ow], options.out);
  x.backend.avgPool2d(y, x, g, options.countIncludePad ?? true, divisorOf(op, options));
  return y;
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
  const y = output(op, x, [g.n, g.c, g.ow], options.out);
  x.backend.avgPool2d(y, x, g, options.countIncludePad ?? true, divisorOf(op, options));
  return y;
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
  const y = output(op, x, [x.shape[0], x.shape[1], oh, ow], options.out);
  x.backend.adaptiveAvgPool2d(y, x);
  return y;
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
  checkInteger(op, "outputSize", outputSize, 1);
  const y = output(op, x, [x.shape[0], x.shape[1], outputSize], options.out);
  x.backend.adaptiveAvgPool2d(asPlane(y), asPlane(x));
  return y;
}

function divisorOf(op: string, { divisorOverride }: AverageOptions): number | null {
  return divisorOverride === undefined
    ? null
    : checkInteger(op, "divisorOverride", divisorOverride, 1);
}

function planePool(op: string, options: Pool1dOptions): Pool2dOptions {
  const [kernel] = checkPerAxis(op, "kernelSize", options.kernelSize, 1, 1);
  const [stride] = checkPerAxis(op, "stride", options.stride ?? kernel, 1, 1);
  const [dilation] = checkPerAxis(op, "dilation", options.dilation ?? 1, 1, 1);
  const sides = sidesOf(op, options.padding ?? 0, [1, 2], "[before, after]");
  const [before, after = before] = sides;
  return {
    kernelSize: [1, kernel],
    stride: [1, stride],
    dilation: [1, dilation],
    padding: [0, before, 0, after],
    ceilMode: options.ceilMode,
  };
}

function pooledSize(
  op: string,
  axis: string,
  size: number,
  span: number,
  stride: number,
  before: number,
  after: number,
  ceil: boolean,
): number {
  const room = size + before + after - span;
  if (room < 0) {
    const takes = `at least ${span}, the extent of the window`;
    throw new ArgumentError(op, `the padded ${axis} of x`, size + before + after, takes);
  }
  if (!ceil) return Math.floor(room / stride) + 1;
  const out = Math.ceil(room / stride) + 1;
  return (out - 1) * stride >= size + before ? out - 1 : out;
}

/** A window that lies in the padding alone has no maximum and no mean. */
function checkWindows(
  op: string,
  axis: string,
  size: number,
  out: number,
  kernel: number,
  stride: number,
  dilation: number,
  before: number,
): void {
  for (let o = 0; o < out; o++) {
    let tap = o * stride - before;
    if (tap < 0) tap += Math.ceil(-tap / dilation) * dilation;
    if (tap < size && tap <= o * stride - before + (kernel - 1) * dilation) continue;
    const takes = `such that every window meets the input (window ${o} along the ${axis} does not)`;
    throw new ArgumentError(op, "padding", before, takes);
  }
}
