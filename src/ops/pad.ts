/**
 * Padding and cropping.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { CopyGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  checkAnyShape,
  checkOptions,
  checkPlanes,
  checkTensor,
  maxSize,
  type OutOptions,
  produce,
} from "./checks.ts";
import { copyGeometry, stridesOf } from "./copy.ts";
import { resample, resampleBackward, type Resampling } from "./resample.ts";
import { checkResampled, tapsAt } from "./taps.ts";

/**
 * Options of {@linkcode pad}.
 */
export interface PadOptions {
  /**
   * "constant" adds one value. "reflect" mirrors the plane at its edges, without repeating them, and
   * "replicate" repeats its edges. Default: "constant".
   */
  readonly mode?: PadMode;
  /** The value of constant padding. Default: 0. */
  readonly value?: number;
}

/** The modes of padding. */
export type PadMode = "constant" | "reflect" | "replicate";

/**
 * Adds elements before and after some axes, `torch.nn.functional.pad`. Negative numbers remove
 * elements.
 *
 * @param x Any shape; [N, C, L] or [N, C, H, W] for modes other than "constant".
 * @param padding A pair for each axis, before and after, the last axis first: `[left, right, top,
 * bottom]` pads the planes of [N, C, H, W].
 * @param options `mode`: "constant" (default), "reflect" or "replicate"; `value` of constant
 * padding (default 0); `out`.
 * @returns The shape of x with padded axes.
 * @throws {ArgumentError} When there are more pairs than axes, or nothing of an axis remains.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { pad } from "./pad.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4], [2, 2]);
 * using y = pad(x, [1, 0, 0, -1]); // a column to the left, no last row
 * console.log(y.shape, await y.read()); // [1, 3], 0, 1, 2
 * ```
 */
export function pad(
  x: Tensor,
  padding: readonly number[],
  options: PadOptions & OutOptions = {},
): Tensor {
  const op = "pad";
  checkTensor(op, "x", x, x);
  checkOptions(op, options, ["mode", "value", "out"]);
  const { mode = "constant", value = 0, out } = options;
  if (mode !== "constant") return resample(op, x, mirroring(op, x.shape, padding, mode), out);
  if (typeof value !== "number") throw new ArgumentError(op, "value", value, "a number");
  const { shape, g } = padded(op, x.shape, padding);
  return produce(op, x, { shape, out }, (y) => {
    if (Math.max(...padding, 0) > 0) x.backend.fill(y, value);
    if (g) kernelsOf(x).stridedCopy(y, x, g);
  });
}

/**
 * Computes the gradient of {@linkcode pad}: what remains of dy without the padding, and in modes
 * other than "constant" the sum over all copies of an element.
 *
 * @param dy The gradient of the padded tensor.
 * @param inputShape The shape of the forward pass's input.
 * @param padding That of the forward pass.
 * @param options Those of the forward pass.
 * @returns dx, in the shape of the input.
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function padBackward(
  dy: Tensor,
  inputShape: Shape,
  padding: readonly number[],
  options: PadOptions & OutOptions = {},
): Tensor {
  const op = "padBackward";
  checkTensor(op, "dy", dy, dy);
  checkOptions(op, options, ["mode", "value", "out"]);
  const { mode = "constant", out } = options;
  if (mode !== "constant") {
    return resampleBackward(op, dy, mirroring(op, inputShape, padding, mode), out);
  }
  checkTensor(op, "dy", dy, dy, padded(op, inputShape, padding).shape);
  return pad(dy, padding.map((side) => -side), { out });
}

/** Padding by values of the plane itself. */
export function mirroring(
  op: string,
  input: Shape,
  padding: readonly number[],
  mode: PadMode,
): Resampling {
  if (mode !== "reflect" && mode !== "replicate") {
    throw new ArgumentError(op, "mode", mode, '"constant", "reflect" or "replicate"');
  }
  const axes = Array.isArray(input) && input.length === 3 ? 1 : 2;
  checkPlanes(op, "x", input, axes);
  const { shape } = padded(op, input, padding);
  if (padding.length > 2 * axes) {
    throw new ArgumentError(op, "padding", padding, `at most ${axes} pairs with mode "${mode}"`);
  }
  const plane = input.slice(2), outs = shape.slice(2);
  plane.forEach((size, axis) => {
    checkResampled(op, "a padded size", outs[axis]);
    const [before, after] = sidesOf(padding, axes, axis);
    if (mode === "replicate" || before < size && after < size) return;
    const expected = `less than ${size} along an axis of that size, with mode "reflect"`;
    throw new ArgumentError(op, "padding", Math.max(before, after), expected);
  });
  const taps = () =>
    plane.map((size, axis) => {
      const [before] = sidesOf(padding, axes, axis);
      return tapsAt(size, outs[axis], (i) => inside(i - before, size, mode));
    });
  return { input, output: shape, taps };
}

/** The position on an axis that padding copies to a position, which can lie before or behind it. */
function inside(position: number, size: number, mode: PadMode): number {
  if (mode === "replicate") return Math.min(Math.max(position, 0), size - 1);
  const mirrored = Math.abs(position);
  return mirrored < size ? mirrored : 2 * (size - 1) - mirrored;
}

/** The padding before and after an axis. */
function sidesOf(padding: readonly number[], rank: number, axis: number): [number, number] {
  const at = 2 * (rank - 1 - axis);
  return [padding[at] ?? 0, padding[at + 1] ?? 0];
}

/** The shape of a padded tensor, and the copy of what remains of the input; none if nothing does. */
interface Padded {
  readonly shape: Shape;
  readonly g: CopyGeometry | undefined;
}

/** Checks the padding of a shape. */
export function padded(op: string, input: Shape, padding: readonly number[]): Padded {
  checkAnyShape(op, input);
  const rank = input.length;
  const valid = Array.isArray(padding) && padding.length % 2 === 0 && padding.length <= 2 * rank &&
    padding.findIndex((side) => !Number.isInteger(side) || Math.abs(side) > maxSize) < 0;
  if (!valid) {
    const expected = "integers: [before, after] of each padded axis, the last axis first";
    throw new ArgumentError(op, "padding", padding, expected);
  }
  const sides = input.map((_, axis) => sidesOf(padding, rank, axis));
  const shape = input.map((size, axis) => size + sides[axis][0] + sides[axis][1]);
  if (shape.some((size) => size < 1 || size > maxSize)) {
    throw new ArgumentError(op, "the padded shape", shape, `sizes from 1 to ${maxSize}`);
  }
  const toStrides = stridesOf(shape), fromStrides = stridesOf(input);
  let to = 0, from = 0, empty = false;
  const axes = input.map((size, axis) => {
    const [before, after] = sides[axis];
    const kept = size + Math.min(0, before) + Math.min(0, after);
    to += Math.max(0, before) * toStrides[axis];
    from += Math.max(0, -before) * fromStrides[axis];
    empty ||= kept < 1;
    return { size: kept, to: toStrides[axis], from: fromStrides[axis] };
  });
  if (empty) return { shape, g: undefined };
  const g = copyGeometry(axes, to, from);
  if (g) return { shape, g };
  throw new ArgumentError(op, "padding", padding, "of at most five axes");
}
