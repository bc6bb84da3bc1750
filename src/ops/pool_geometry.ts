/**
 * What a pooling's numbers mean together: checked, and with the output's size.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Pool2dGeometry } from "../backend/geometry.ts";
import type { Shape } from "../tensor.ts";
import { checkPerAxis, checkShape, LIMIT } from "./checks.ts";
import { planeShape, sidesOf } from "./conv_geometry.ts";

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

/** The options of a pooling over one axis or two. */
export type PoolOptions = Pool1dOptions | Pool2dOptions;

function pool2dGeometry(op: string, x: Shape, options: Pool2dOptions): Pool2dGeometry {
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
  checkWindows(op, "height", h, oh, kh, strideH, dilationH, [top, bottom]);
  checkWindows(op, "width", w, ow, kw, strideW, dilationW, [left, right]);
  // deno-fmt-ignore
  return {
    n, c, h, w, oh, ow, kh, kw, strideH, strideW, top, left, bottom, right, dilationH, dilationW,
  };
}

/** A pooling over one axis or two. */
export interface Pooling {
  /** The geometry in two dimensions; one axis has height 1. */
  readonly g: Pool2dGeometry;
  /** The shape of the output, of as many axes as the input. */
  readonly output: Shape;
}

/**
 * Checks a pooling's arguments and works out its output.
 *
 * @param op The name that errors carry.
 * @param axes Axes that the window has.
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
  const g = pool2dGeometry(op, planeShape(x), planePool(op, options as Pool1dOptions));
  return { g, output: [g.n, g.c, g.ow] };
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
  const steps = (size + before + after - span) / stride;
  const out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  if (out < 1 || span > LIMIT) {
    const takes = `at least ${span}, the extent of the window`;
    throw new ArgumentError(op, `the padded ${axis} of x`, size + before + after, takes);
  }
  return ceil && (out - 1) * stride >= size + before ? out - 1 : out;
}

/**
 * A window that lies in the padding alone has no maximum and no mean. Windows that start inside the
 * input meet it; of those before it, the first is the one to miss it, unless taps stand apart.
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
  const last = (out - 1) * stride - before;
  const early = Math.min(out, Math.ceil(before / stride), dilation === 1 ? 1 : Infinity);
  let missing = last >= size ? out - 1 : undefined;
  for (let o = early - 1; o >= 0; o--) {
    const start = o * stride - before;
    const tap = start + Math.ceil(-start / dilation) * dilation;
    if (tap >= size || tap > start + (kernel - 1) * dilation) missing = o;
  }
  if (missing === undefined) return;
  const takes =
    `such that every window meets the input (window ${missing} along the ${axis} does not)`;
  throw new ArgumentError(op, "padding", padding, takes);
}
