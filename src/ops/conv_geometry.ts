/**
 * The options of convolutions: types, checks and output sizes.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Conv2dGeometry } from "../backend/geometry.ts";
import type { Shape } from "../tensor.ts";
import { checkInteger, checkPerAxis, checkShape, formatShape, maxSize } from "./checks.ts";

/**
 * Zeros added to an axis: one number for both ends, `[before, after]`, or PyTorch's "same" (keeps
 * the size, needs stride 1) or "valid" (0).
 */
export type Padding1d = number | readonly [number] | readonly [number, number] | "same" | "valid";

/**
 * Zeros added around the plane: one number for all sides, PyTorch's `[height, width]`, `[top, left,
 * bottom, right]`, or PyTorch's "same" (keeps the size, needs stride 1) or "valid" (0).
 */
export type Padding2d =
  | number
  | readonly [number, number]
  | readonly [number, number, number, number]
  | "same"
  | "valid";

/** Options of 2-D convolutions. Pairs are `[height, width]`. */
export interface Conv2dOptions {
  /** Distance between windows. Default: 1. */
  readonly stride?: number | readonly [number, number];
  /**
   * Zeros added around the input: a number, `[height, width]`, `[top, left, bottom, right]`, "same"
   * (keeps the size) or "valid" (none). Default: 0.
   */
  readonly padding?: Padding2d;
  /** Distance between the elements of a window. Default: 1. */
  readonly dilation?: number | readonly [number, number];
  /** Number of groups that the channels are split into. Default: 1. */
  readonly groups?: number;
}

/** Options of 1-D convolutions. */
export interface Conv1dOptions {
  /** Distance between windows. Default: 1. */
  readonly stride?: number | readonly [number];
  /**
   * Zeros added around the input: a number, `[before, after]`, "same" (keeps the size) or "valid"
   * (none). Default: 0.
   */
  readonly padding?: Padding1d;
  /** Distance between the elements of a window. Default: 1. */
  readonly dilation?: number | readonly [number];
  /** Number of groups that the channels are split into. Default: 1. */
  readonly groups?: number;
}

/**
 * Checks the arguments of a convolution and computes the size of its output,
 * `⌊(size + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1` on each axis.
 *
 * @param op The name of the operation in error messages.
 * @param x [N, C, H, W].
 * @param weight [outC, C/groups, kH, kW].
 */
function conv2dGeometry(
  op: string,
  x: Shape,
  weight: Shape,
  options: Conv2dOptions = {},
): Conv2dGeometry {
  checkShape(op, "x", x, "[N, C, H, W]");
  checkShape(op, "weight", weight, "[outC, C/groups, kH, kW]");
  const [n, inC, h, w] = x, [outC, groupC, kh, kw] = weight;
  const [strideH, strideW] = checkPerAxis(op, "stride", options.stride ?? 1, 2, 1);
  const [dilationH, dilationW] = checkPerAxis(op, "dilation", options.dilation ?? 1, 2, 1);
  const groups = checkInteger(op, "groups", options.groups ?? 1, 1), channels = groupC * groups;
  if (inC !== channels && w === channels && h > 1) { // probably [N, H, W, C], as in TensorFlow
    throw new ArgumentError(op, "the shape of x", x, `[N, ${channels}, H, W]`);
  }
  if (inC % groups !== 0) {
    throw new ArgumentError(op, "groups", groups, `a divisor of the ${inC} input channels`);
  }
  if (inC !== channels) {
    const fits = `[outC, ${inC / groups}, kH, kW]`;
    const expected = `${fits} for x ${formatShape(x)} in ${groups} group(s)`;
    throw new ArgumentError(op, "the shape of weight", weight, expected);
  }
  if (outC % groups !== 0) {
    throw new ArgumentError(op, "groups", groups, `a divisor of the ${outC} output channels`);
  }
  const spanH = dilationH * (kh - 1) + 1, spanW = dilationW * (kw - 1) + 1;
  const [top, left, bottom, right] = padding2d(op, options.padding ?? 0, spanH, spanW, [
    strideH,
    strideW,
  ]);
  const roomH = h + top + bottom - spanH, roomW = w + left + right - spanW;
  if (roomH < 0 || roomW < 0) {
    const expected = `at least ${spanH}×${spanW}, the extent of the kernel`;
    const padded = [h + top + bottom, w + left + right];
    throw new ArgumentError(op, "the padded input", padded, expected, padded.join("×"));
  }
  const oh = Math.floor(roomH / strideH) + 1, ow = Math.floor(roomW / strideW) + 1;
  // deno-fmt-ignore
  return {
    n, inC, h, w, outC, oh, ow, kh, kw, strideH, strideW, top, left, bottom, right,
    dilationH, dilationW, groups,
  };
}

/** Options of 1-D and 2-D convolutions. */
export type ConvOptions = Conv1dOptions | Conv2dOptions;

/** Checks that the groups of a convolution divide its channels. */
export function checkChannels(
  op: string,
  inChannels: number,
  outChannels: number,
  groups: number,
): void {
  checkInteger(op, "inChannels", inChannels, 1);
  checkInteger(op, "outChannels", outChannels, 1);
  checkInteger(op, "groups", groups, 1);
  if (inChannels % groups === 0 && outChannels % groups === 0) return;
  const expected = `a divisor of ${inChannels} input and ${outChannels} output channels`;
  throw new ArgumentError(op, "groups", groups, expected);
}

/** The names of {@linkcode ConvOptions}. */
export const convOptionNames = ["stride", "padding", "dilation", "groups"] as const;

/** The geometry and output shape of a 1-D or 2-D convolution. */
export interface Convolution {
  /** The geometry in two dimensions. A 1-D convolution has height 1. */
  readonly g: Conv2dGeometry;
  /** The shape of the output, with as many axes as the input. */
  readonly output: Shape;
}

/**
 * Checks the arguments of a convolution and computes the shape of its output.
 *
 * @param op The name of the operation in error messages.
 * @param axes The number of axes of the kernel.
 * @param x [N, C, L] or [N, C, H, W].
 * @param weight [outC, C/groups, K] or [outC, C/groups, kH, kW].
 */
export function convGeometry(
  op: string,
  axes: 1 | 2,
  x: Shape,
  weight: Shape,
  options: ConvOptions = {},
): Convolution {
  if (axes === 2) {
    const g = conv2dGeometry(op, x, weight, options as Conv2dOptions);
    return { g, output: [g.n, g.outC, g.oh, g.ow] };
  }
  checkShape(op, "x", x, "[N, C, L]");
  checkShape(op, "weight", weight, "[outC, C/groups, K]");
  const options2d = to2dOptions(op, options as Conv1dOptions);
  const g = conv2dGeometry(op, to2dShape(x), to2dShape(weight), options2d);
  return { g, output: [g.n, g.outC, g.ow] };
}

/** Converts [N, C, L] to [N, C, 1, L]. */
export function to2dShape([n, c, l]: Shape): Shape {
  return [n, c, 1, l];
}

/** Converts the options of a 1-D convolution to those of a 2-D convolution of height 1. */
function to2dOptions(op: string, options: Conv1dOptions): Conv2dOptions {
  const { padding = 0, groups } = options;
  const [stride] = checkPerAxis(op, "stride", options.stride ?? 1, 1, 1);
  const [dilation] = checkPerAxis(op, "dilation", options.dilation ?? 1, 1, 1);
  if (typeof padding === "string") {
    return { stride: [1, stride], dilation: [1, dilation], padding, groups };
  }
  const sides = checkPadding(op, padding, [1, 2], '[before, after], "same" or "valid"');
  const [before, after = before] = sides;
  return {
    stride: [1, stride],
    dilation: [1, dilation],
    padding: [0, before, 0, after],
    groups,
  };
}

/** Returns the padding of a 2-D convolution as [top, left, bottom, right]. */
function padding2d(
  op: string,
  padding: Padding2d,
  spanH: number,
  spanW: number,
  stride: readonly [number, number],
): readonly number[] {
  if (padding === "valid") return [0, 0, 0, 0];
  if (padding === "same") {
    if (stride[0] !== 1 || stride[1] !== 1) {
      throw new ArgumentError(op, "stride", stride, '1 with padding "same"');
    }
    // As in PyTorch: if the number of zeros is odd, the bottom and the right get one more.
    const top = Math.floor((spanH - 1) / 2), left = Math.floor((spanW - 1) / 2);
    const sides = [top, left, spanH - 1 - top, spanW - 1 - left];
    if (sides.findIndex((side) => !isSide(side)) < 0) return sides;
    throw new ArgumentError(op, "padding", sides, `at most ${maxSize}`);
  }
  const sides = checkPadding(
    op,
    padding,
    [2, 4],
    '[height, width], [top, left, bottom, right], "same" or "valid"',
  );
  return sides.length === 4 ? sides : [...sides, ...sides];
}

/**
 * Checks padding given as a number or a list, and returns a list.
 *
 * @param lengths The lengths that a list may have. A number is repeated to the first one.
 * @param layout The accepted forms in words, for the error message.
 */
export function checkPadding(
  op: string,
  padding: unknown,
  lengths: readonly number[],
  layout: string,
): readonly number[] {
  const sides = Array.isArray(padding) ? padding as number[] : Array(lengths[0]).fill(padding);
  if (lengths.includes(sides.length) && sides.findIndex((side) => !isSide(side)) < 0) return sides;
  const expected = `non-negative integers: ${layout}`;
  throw new ArgumentError(op, "padding", padding, expected);
}

function isSide(side: unknown): boolean {
  return Number.isInteger(side) && side as number >= 0 && side as number <= maxSize;
}
