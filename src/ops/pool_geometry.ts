/**
 * The options of pooling: types, checks and output sizes.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Pool2dGeometry } from "../backend/geometry.ts";
import type { Shape } from "../tensor.ts";
import { checkBoolean, checkPerAxis, checkShape, maxSize } from "./checks.ts";
import { checkPadding, to2dShape } from "./conv_geometry.ts";

/** Options of 2-D pooling. Pairs are `[height, width]`. */
export interface Pool2dOptions {
  /** Size of the window. */
  readonly kernelSize: number | readonly [number, number];
  /** Distance between windows. Default: the kernel size. */
  readonly stride?: number | readonly [number, number];
  /**
   * Positions added around the input: one number for all sides, `[height, width]`, or
   * `[top, left, bottom, right]`. Every window must still overlap the input. Default: 0.
   */
  readonly padding?: number | readonly [number, number] | readonly [number, number, number, number];
  /** Distance between the elements of a window. Default: 1. */
  readonly dilation?: number | readonly [number, number];
  /**
   * Rounds the output size up instead of down, unless the last window would start after the input.
   * Default: false.
   */
  readonly ceilMode?: boolean;
}

/** Options of 1-D pooling. */
export interface Pool1dOptions {
  /** Size of the window. */
  readonly kernelSize: number | readonly [number];
  /** Distance between windows. Default: the kernel size. */
  readonly stride?: number | readonly [number];
  /**
   * Positions added at the ends of the input: one number for both, or `[before, after]`. Every
   * window must still overlap the input. Default: 0.
   */
  readonly padding?: number | readonly [number] | readonly [number, number];
  /** Distance between the elements of a window. Default: 1. */
  readonly dilation?: number | readonly [number];
  /**
   * Rounds the output size up instead of down, unless the last window would start after the input.
   * Default: false.
   */
  readonly ceilMode?: boolean;
}

/** Options of 1-D and 2-D pooling. */
export type PoolOptions = Pool1dOptions | Pool2dOptions;

/** The names of {@linkcode PoolOptions}, without the size of the window. */
export const poolNames = ["stride", "padding", "dilation", "ceilMode"] as const;

function pool2dGeometry(op: string, x: Shape, options: Pool2dOptions): Pool2dGeometry {
  checkShape(op, "x", x, "[N, C, H, W]");
  const [n, c, h, w] = x;
  const [kh, kw] = checkPerAxis(op, "kernelSize", options.kernelSize, 2, 1);
  const [strideH, strideW] = checkPerAxis(op, "stride", options.stride ?? [kh, kw], 2, 1);
  const [dilationH, dilationW] = checkPerAxis(op, "dilation", options.dilation ?? 1, 2, 1);
  const layout = "[height, width] or [top, left, bottom, right]";
  const sides = checkPadding(op, options.padding ?? 0, [2, 4], layout);
  const [top, left, bottom = top, right = left] = sides;
  const ceil = checkBoolean(op, "ceilMode", options.ceilMode ?? false);
  const spanH = dilationH * (kh - 1) + 1, spanW = dilationW * (kw - 1) + 1;
  const oh = outputSize(op, "height", h, spanH, strideH, top, bottom, ceil);
  const ow = outputSize(op, "width", w, spanW, strideW, left, right, ceil);
  checkWindows(op, "height", h, oh, kh, strideH, dilationH, [top, bottom]);
  checkWindows(op, "width", w, ow, kw, strideW, dilationW, [left, right]);
  // deno-fmt-ignore
  return {
    n, c, h, w, oh, ow, kh, kw, strideH, strideW, top, left, bottom, right, dilationH, dilationW,
  };
}

/** The geometry and output shape of a 1-D or 2-D pooling. */
export interface Pooling {
  /** The geometry in two dimensions. A 1-D pooling has height 1. */
  readonly g: Pool2dGeometry;
  /** The shape of the output, with as many axes as the input. */
  readonly output: Shape;
}

/**
 * Checks the arguments of a pooling and computes the shape of its output.
 *
 * @param op The name of the operation in error messages.
 * @param axes The number of axes of the window.
 * @param x [N, C, L] or [N, C, H, W].
 */
export function poolGeometry(
  op: string,
  axes: 1 | 2,
  x: Shape,
  options: PoolOptions,
): Pooling {
  if (axes === 2) {
    const g = pool2dGeometry(op, x, options as Pool2dOptions);
    return { g, output: [g.n, g.c, g.oh, g.ow] };
  }
  checkShape(op, "x", x, "[N, C, L]");
  const g = pool2dGeometry(op, to2dShape(x), to2dOptions(op, options as Pool1dOptions));
  return { g, output: [g.n, g.c, g.ow] };
}

/** Converts the options of a 1-D pooling to those of a 2-D pooling of height 1. */
function to2dOptions(op: string, options: Pool1dOptions): Pool2dOptions {
  const [kernel] = checkPerAxis(op, "kernelSize", options.kernelSize, 1, 1);
  const [stride] = checkPerAxis(op, "stride", options.stride ?? kernel, 1, 1);
  const [dilation] = checkPerAxis(op, "dilation", options.dilation ?? 1, 1, 1);
  const sides = checkPadding(op, options.padding ?? 0, [1, 2], "[before, after]");
  const [before, after = before] = sides;
  return {
    kernelSize: [1, kernel],
    stride: [1, stride],
    dilation: [1, dilation],
    padding: [0, before, 0, after],
    ceilMode: options.ceilMode,
  };
}

/** Checks that the window fits an axis, and computes the size of the output. */
function outputSize(
  op: string,
  axis: string,
  size: number,
  span: number,
  stride: number,
  before: number,
  after: number,
  ceil: boolean,
): number {
  const steps = (size + before + after - span) / stride;
  const out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  if (out < 1 || span > maxSize) {
    const expected = `at least ${span}, the extent of the window`;
    throw new ArgumentError(op, `the padded ${axis} of x`, size + before + after, expected);
  }
  return ceil && (out - 1) * stride >= size + before ? out - 1 : out;
}

/**
 * Checks that every window overlaps the input: a window of padding alone has no maximum or mean.
 * The error names the first window that does not.
 */
function checkWindows(
  op: string,
  axis: string,
  size: number,
  out: number,
  kernel: number,
  stride: number,
  dilation: number,
  padding: readonly [before: number, after: number],
): void {
  const [before] = padding;
  // windows that start in the padding; the first one reaches least far into the input
  const early = Math.min(out, Math.ceil(before / stride));
  let outside: number | undefined;
  if ((out - 1) * stride - before >= size) outside = out - 1;
  const stepsOver = firstStepOver(size, stride, dilation, before);
  if (stepsOver !== undefined && stepsOver < early) outside = stepsOver;
  if (early > 0 && (kernel - 1) * dilation < before) outside = 0;
  if (outside === undefined) return;
  const expected =
    `such that every window overlaps the input (window ${outside} along the ${axis} does not)`;
  throw new ArgumentError(op, "padding", padding, expected);
}

/**
 * Returns the first window that starts in the padding and steps over the whole input: its first tap
 * at or behind the input's beginning, (window · stride − before) mod dilation, is behind its end.
 */
function firstStepOver(
  size: number,
  stride: number,
  dilation: number,
  before: number,
): number | undefined {
  if (dilation <= size) return undefined;
  const first = (dilation - before % dilation) % dilation;
  if (first >= size) return 0;
  return firstMultipleWithin(stride, dilation, size - first, dilation - 1 - first);
}

/**
 * Returns the smallest k with low ≤ k · step mod modulus ≤ high, in as many steps as Euclid's
 * algorithm. 0 < low ≤ high < modulus.
 */
function firstMultipleWithin(
  step: number,
  modulus: number,
  low: number,
  high: number,
): number | undefined {
  step %= modulus;
  if (step === 0) return undefined;
  const k = Math.ceil(low / step);
  if (k * step <= high) return k;
  // no multiple below the modulus fits: k · step = value + turns · modulus, so look for the turns
  const remainder = (value: number) => (step - value % step) % step;
  const turns = firstMultipleWithin(modulus, step, remainder(high), remainder(low));
  if (turns === undefined) return undefined;
  // in integers, because the product can exceed 2⁵³
  return Number((BigInt(low) + BigInt(turns) * BigInt(modulus) - 1n) / BigInt(step) + 1n);
}
