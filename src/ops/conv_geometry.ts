/**
 * What a convolution's numbers mean together: checked, and with the output's size.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Conv2dGeometry } from "../backend/geometry.ts";
import type { Shape } from "../tensor.ts";
import { checkInteger, checkPerAxis, checkShape, LIMIT } from "./checks.ts";

/**
 * Zeros around an axis: as many on both sides, `[before, after]`, or by name as in PyTorch.
 *
 * @internal
 */
export type Padding1d = number | readonly [number] | readonly [number, number] | "same" | "valid";

/**
 * Zeros around the plane: as many on all sides, `[height, width]` as in PyTorch, each side by
 * itself as `[top, left, bottom, right]`, or by name as in PyTorch ("same" keeps the size and
 * takes stride 1, "valid" is 0).
 *
 * @internal
 */
export type Padding2d =
  | number
  | readonly [number, number]
  | readonly [number, number, number, number]
  | "same"
  | "valid";

/** How a 2-D convolution moves over its input; a pair is `[height, width]`. */
export interface Conv2dOptions {
  /** Step between windows. Default 1. */
  readonly stride?: number | readonly [number, number];
  /** Zeros around the input. Default 0. */
  readonly padding?: Padding2d;
  /** Distance between the taps of the kernel. Default 1. */
  readonly dilation?: number | readonly [number, number];
  /** Groups that input and output channels are split into. Default 1. */
  readonly groups?: number;
}

/** How a 1-D convolution moves over its input. */
export interface Conv1dOptions {
  /** Step between windows. Default 1. */
  readonly stride?: number | readonly [number];
  /** Zeros around the input. Default 0. */
  readonly padding?: Padding1d;
  /** Distance between the taps of the kernel. Default 1. */
  readonly dilation?: number | readonly [number];
  /** Groups that input and output channels are split into. Default 1. */
  readonly groups?: number;
}

/**
 * Checks a convolution's arguments and works out its output,
 * `⌊(size + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1` on each axis.
 *
 * @param op The name that errors carry.
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
  const groups = checkInteger(op, "groups", options.groups ?? 1, 1);
  if (inC % groups !== 0) {
    throw new ArgumentError(op, "groups", groups, `a divisor of the ${inC} input channels`);
  }
  if (inC !== groupC * groups) {
    const takes = `[outC, ${inC / groups}, kH, kW] for x [${x.join(", ")}] in ${groups} group(s)`;
    throw new ArgumentError(op, "the shape of weight", weight, takes);
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
    const takes = `at least ${spanH}×${spanW}, the extent of the kernel`;
    throw new ArgumentError(
      op,
      "the padded input",
      `${h + top + bottom}×${w + left + right}`,
      takes,
    );
  }
  const oh = Math.floor(roomH / strideH) + 1, ow = Math.floor(roomW / strideW) + 1;
  // deno-fmt-ignore
  return {
    n, inC, h, w, outC, oh, ow, kh, kw, strideH, strideW, top, left, bottom, right,
    dilationH, dilationW, groups,
  };
}

/** The options of a convolution along one axis or two. */
export type ConvOptions = Conv1dOptions | Conv2dOptions;

/** A convolution along one axis or two. */
export interface Convolution {
  /** The geometry in two dimensions; one axis has height 1. */
  readonly g: Conv2dGeometry;
  /** The shape of the output, of as many axes as the input. */
  readonly output: Shape;
}

/**
 * Checks a convolution's arguments and works out its output.
 *
 * @param op The name that errors carry.
 * @param axes Axes that the kernel has.
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
  const planar = planeOptions(op, options as Conv1dOptions);
  const g = conv2dGeometry(op, planeShape(x), planeShape(weight), planar);
  return { g, output: [g.n, g.outC, g.ow] };
}

/** [N, C, L] as [N, C, 1, L]. */
export function planeShape([n, c, l]: Shape): Shape {
  return [n, c, 1, l];
}

function planeOptions(op: string, options: Conv1dOptions): Conv2dOptions {
  const { padding = 0, groups } = options;
  const [stride] = checkPerAxis(op, "stride", options.stride ?? 1, 1, 1);
  const [dilation] = checkPerAxis(op, "dilation", options.dilation ?? 1, 1, 1);
  if (typeof padding === "string") {
    return { stride: [1, stride], dilation: [1, dilation], padding, groups };
  }
  const sides = sidesOf(op, padding, [1, 2], '[before, after], "same" or "valid"');
  const [before, after = before] = sides;
  return {
    stride: [1, stride],
    dilation: [1, dilation],
    padding: [0, before, 0, after],
    groups,
  };
}

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
    // an odd zero goes behind, as in PyTorch
    const top = Math.floor((spanH - 1) / 2), left = Math.floor((spanW - 1) / 2);
    const sides = [top, left, spanH - 1 - top, spanW - 1 - left];
    if (sides.every(isSide)) return sides;
    throw new ArgumentError(op, "padding", sides, `at most ${LIMIT}`);
  }
  const sides = sidesOf(
    op,
    padding,
    [2, 4],
    '[height, width], [top, left, bottom, right], "same" or "valid"',
  );
  return sides.length === 4 ? sides : [...sides, ...sides];
}

/** Padding as a list; a single number stands for the shortest list. */
export function sidesOf(
  op: string,
  padding: unknown,
  lengths: readonly number[],
  layout: string,
): readonly number[] {
  const sides = Array.isArray(padding) ? padding as number[] : Array(lengths[0]).fill(padding);
  if (lengths.includes(sides.length) && sides.every(isSide)) return sides;
  const takes = `integers that are not negative: ${layout}`;
  throw new ArgumentError(op, "padding", padding, takes);
}

function isSide(side: unknown): boolean {
  return Number.isInteger(side) && side as number >= 0 && side as number <= LIMIT;
}
