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
  checkTensor,
  LIMIT,
  type OutOptions,
  produce,
} from "./checks.ts";
import { copyGeometry, stridesOf } from "./copy.ts";

/**
 * Options of {@linkcode pad}.
 *
 * @internal
 */
export interface PadOptions {
  /** The value of the padding. Default 0. */
  readonly value?: number;
}

/**
 * Adds elements of one value before and after some axes, `torch.nn.functional.pad`. Negative numbers
 * remove elements. The gradient is `pad(dy, padding.map((side) => -side))`.
 *
 * @param x Any shape.
 * @param padding A pair for each axis, before and after, the last axis first: `[left, right, top,
 * bottom]` pads the planes of [N, C, H, W].
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
  checkOptions(op, options);
  const { value = 0, out } = options;
  if (typeof value !== "number") throw new ArgumentError(op, "value", value, "a number");
  const { shape, g } = padded(op, x.shape, padding);
  return produce(op, x, { shape, out }, (y) => {
    if (Math.max(...padding, 0) > 0) x.backend.fill(y, value);
    if (g) kernelsOf(x).stridedCopy(y, x, g);
  });
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
    padding.findIndex((side) => !Number.isInteger(side) || Math.abs(side) > LIMIT) < 0;
  if (!valid) {
    const expected = "integers: [before, after] of each padded axis, the last axis first";
    throw new ArgumentError(op, "padding", padding, expected);
  }
  const sides = input.map((_, axis) => {
    const at = 2 * (rank - 1 - axis);
    return [padding[at] ?? 0, padding[at + 1] ?? 0];
  });
  const shape = input.map((size, axis) => size + sides[axis][0] + sides[axis][1]);
  if (shape.some((size) => size < 1 || size > LIMIT)) {
    throw new ArgumentError(op, "the padded shape", shape, `sizes from 1 to ${LIMIT}`);
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
