/**
 * Interpolation to another size.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkBoolean, checkOptions, checkPlanes, checkTensor, type OutOptions } from "./checks.ts";
import { resample, resampleBackward, type Resampling } from "./resample.ts";
import { checkResampled, type Taps, tapsAt } from "./taps.ts";

/**
 * Options of {@linkcode interpolate}, with PyTorch's names. One of the first two is required.
 */
export interface InterpolateOptions {
  /** The size of the output: one number for all axes, or `[height, width]`. */
  readonly size?: number | readonly number[];
  /** The factor of the size, likewise. Sizes are rounded down. */
  readonly scaleFactor?: number | readonly number[];
  /**
   * "nearest" takes the value at ⌊position⌋, "nearest-exact" the nearest one. "bilinear" interpolates
   * in [N, C, H, W], "linear" in [N, C, L]. Default: "nearest".
   */
  readonly mode?: "nearest" | "nearest-exact" | "linear" | "bilinear";
  /**
   * The first and the last positions of input and output meet. Only for linear interpolation. Default
   * false: the outer edges meet.
   */
  readonly alignCorners?: boolean;
  /**
   * Computes positions from the sizes, although `scaleFactor` is given. They differ if a size was
   * rounded. Default: false.
   */
  readonly recomputeScaleFactor?: boolean;
}

/** The names of {@linkcode InterpolateOptions}. */
export const interpolateNames = [
  "size",
  "scaleFactor",
  "mode",
  "alignCorners",
  "recomputeScaleFactor",
] as const;

/**
 * Resizes planes, `torch.nn.functional.interpolate`.
 *
 * @param x [N, C, L] or [N, C, H, W].
 * @param options `size` or `scaleFactor`; `mode`: "nearest" (default), "nearest-exact", "linear"
 * or "bilinear"; `alignCorners` and `recomputeScaleFactor`, as in PyTorch; `out`.
 * @returns [N, C, oL] or [N, C, oH, oW].
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { interpolate } from "./interpolate.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
 * using y = interpolate(x, { scaleFactor: [1, 2], mode: "bilinear" });
 * console.log(y.shape, await y.read()); // [1, 1, 2, 4], 1, 1.25, 1.75, 2, 3, 3.25, 3.75, 4
 * ```
 */
export function interpolate(x: Tensor, options: InterpolateOptions & OutOptions): Tensor {
  const op = "interpolate";
  checkTensor(op, "x", x, x);
  checkOptions(op, options, [...interpolateNames, "out"]);
  const resampling = interpolation(op, x.shape, options);
  return resample(op, x, resampling, options.out);
}

/**
 * Computes the gradient of {@linkcode interpolate}: each element of dy is spread over the elements
 * that it was computed from.
 *
 * @param dy [N, C, oL] or [N, C, oH, oW].
 * @param inputShape The shape of the forward pass's input.
 * @param options Those of the forward pass.
 * @returns dx, in the shape of the input.
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function interpolateBackward(
  dy: Tensor,
  inputShape: Shape,
  options: InterpolateOptions & OutOptions,
): Tensor {
  const op = "interpolateBackward";
  checkTensor(op, "dy", dy, dy);
  checkOptions(op, options, [...interpolateNames, "out"]);
  return resampleBackward(op, dy, interpolation(op, inputShape, options), options.out);
}

/** Checks the options of an interpolation and computes the shape of its output. */
export function interpolation(op: string, input: Shape, options: InterpolateOptions): Resampling {
  checkInterpolation(op, options);
  const { size, scaleFactor, mode = "nearest", recomputeScaleFactor = false } = options;
  const axes = Array.isArray(input) && input.length === 3 ? 1 : 2;
  checkPlanes(op, "x", input, axes);
  if (mode === "linear" && axes === 2 || mode === "bilinear" && axes === 1) {
    const expected = axes === 1 ? '"linear" for [N, C, L]' : '"bilinear" for [N, C, H, W]';
    throw new ArgumentError(op, "mode", mode, expected);
  }
  const parameter = size === undefined ? "scaleFactor" : "size", given = size ?? scaleFactor;
  const each = Array.isArray(given) ? given as number[] : Array(axes).fill(given);
  if (each.length !== axes) {
    const expected = `one number, or one for each of ${axes} axes`;
    throw new ArgumentError(op, parameter, given, expected);
  }
  const plane = input.slice(2), usesScale = size === undefined && !recomputeScaleFactor;
  const outs = plane.map((from, axis) => {
    const out = size === undefined ? Math.floor(from * each[axis]) : each[axis];
    checkResampled(op, "a size of x", from);
    return checkResampled(op, "a size of the output", out);
  });
  const taps = () =>
    plane.map((from, axis) => {
      const step = usesScale ? 1 / each[axis] : from / outs[axis];
      return axisTaps(options, from, outs[axis], step);
    });
  return { input, output: [...input.slice(0, 2), ...outs], taps };
}

/**
 * The taps of an axis. Positions are computed in float32, as PyTorch does.
 *
 * @param step Positions of the input for one of the output.
 */
function axisTaps(
  { mode = "nearest", alignCorners = false }: InterpolateOptions,
  size: number,
  out: number,
  step: number,
): Taps {
  const { fround } = Math, isFloor = mode === "nearest", isNearest = mode.startsWith("nearest");
  // An axis that keeps its size is not interpolated: the first and the last positions meet.
  const isAligned = !isNearest && (alignCorners || size === out);
  const scale = fround(!isAligned ? step : out > 1 ? fround(size - 1) / (out - 1) : 0);
  return tapsAt(size, out, (i) => {
    const isHalf = !isFloor && !isAligned;
    const at = isHalf ? fround(fround(scale * (i + 0.5)) - 0.5) : fround(scale * i);
    const position = isNearest ? Math.floor(isFloor ? at : at + 0.5) : at;
    return Math.min(Math.max(position, 0), size - 1);
  });
}

/** Checks the values that do not depend on the shape of the input. */
export function checkInterpolation(op: string, options: InterpolateOptions): void {
  const { size, scaleFactor, mode = "nearest", alignCorners = false } = options;
  if ((size === undefined) === (scaleFactor === undefined)) {
    const found = `given by ${size === undefined ? "neither" : "both"}`;
    const expected = "given by one of size and scaleFactor";
    throw new ArgumentError(op, "the output size", [size, scaleFactor], expected, found);
  }
  if (!["nearest", "nearest-exact", "linear", "bilinear"].includes(mode)) {
    const expected = '"nearest", "nearest-exact", "linear" or "bilinear"';
    throw new ArgumentError(op, "mode", mode, expected);
  }
  checkBoolean(op, "recomputeScaleFactor", options.recomputeScaleFactor ?? false);
  if (checkBoolean(op, "alignCorners", alignCorners) && mode.startsWith("nearest")) {
    throw new ArgumentError(op, "alignCorners", true, `false with mode "${mode}"`);
  }
  const [parameter, value] = size === undefined ? ["scaleFactor", scaleFactor] : ["size", size];
  const list = (Array.isArray(value) ? value : [value]) as number[];
  const valid = list.length > 0 &&
    list.findIndex((v) => !Number.isFinite(v) || !(v > 0)) < 0 &&
    (size === undefined || list.every(Number.isInteger));
  if (valid) return;
  const what = size === undefined ? "positive numbers" : "positive integers";
  throw new ArgumentError(op, parameter as string, value, what);
}
