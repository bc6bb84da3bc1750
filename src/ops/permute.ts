/**
 * Other orders of axes and channels.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { CopyGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import {
  checkAnyShape,
  checkInteger,
  checkOptions,
  checkTensor,
  formatShape,
  type OutOptions,
  produce,
} from "./checks.ts";
import { copyGeometry, stridesOf } from "./copy.ts";

/**
 * Copies a tensor with its axes in another order, `torch.permute`. The gradient is a permutation of
 * dy that puts the axes back.
 *
 * @param x Any shape.
 * @param dims For each axis of the result, the axis of x. At most five axes can change their order.
 * Axes that stay together count as one, and axes of size 1 do not count.
 * @returns The sizes of x in that order.
 * @throws {ArgumentError} When `dims` is no permutation of the axes, or moves too many of them.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { permute } from "./permute.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4, 5, 6], [1, 1, 2, 3]); // [N, H, W, C]
 * using y = permute(x, [0, 3, 1, 2]);
 * console.log(y.shape, await y.read()); // [1, 3, 1, 2], 1, 4, 2, 5, 3, 6
 * ```
 */
export function permute(x: Tensor, dims: readonly number[], options: OutOptions = {}): Tensor {
  const op = "permute";
  checkTensor(op, "x", x, x);
  checkOptions(op, options);
  return reorder(op, x, permutation(op, x.shape, dims), options.out);
}

/** The shape of a reordered tensor, and how to copy it. */
export interface Reordering {
  /** The shape of the result. */
  readonly shape: Shape;
  /** The copy. */
  readonly g: CopyGeometry;
}

/** Copies a tensor in another order. */
export function reorder(op: string, x: Tensor, { shape, g }: Reordering, out?: Tensor): Tensor {
  return produce(op, x, { shape, out }, (y) => kernelsOf(x).stridedCopy(y, x, g));
}

/** Checks the arguments of a permutation, and returns the shape of its result and the copy. */
export function permutation(op: string, input: Shape, dims: readonly number[]): Reordering {
  checkAnyShape(op, input);
  const order = checkPermutation(op, dims);
  if (order.length !== input.length) {
    const expected = `the ${input.length} axes of ${formatShape(input)} in any order`;
    throw new ArgumentError(op, "dims", dims, expected);
  }
  const from = stridesOf(input), shape = order.map((axis) => input[axis]), to = stridesOf(shape);
  const axes = order.map((axis, i) => ({ size: input[axis], to: to[i], from: from[axis] }));
  const g = copyGeometry(axes);
  if (g) return { shape, g };
  throw new ArgumentError(op, "dims", dims, "at most five axes that do not stay together");
}

/** Checks that a list has each axis once, and returns them without negative values. */
export function checkPermutation(op: string, dims: readonly number[]): readonly number[] {
  const rank = Array.isArray(dims) ? dims.length : 0;
  const order = Array.from({ length: rank }, (_, i) => dims[i] < 0 ? dims[i] + rank : dims[i]);
  const complete = order.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < rank) &&
    new Set(order).size === rank;
  if (complete && Array.isArray(dims)) return order;
  throw new ArgumentError(op, "dims", dims, "each axis once");
}

/**
 * Returns the permutation that undoes another one.
 *
 * @param dims The permutation of axes.
 * @throws {ArgumentError} When `dims` is no permutation.
 */
export function inversePermutation(dims: readonly number[]): number[] {
  const order = checkPermutation("inversePermutation", dims);
  const inverse = Array<number>(order.length);
  order.forEach((axis, i) => inverse[axis] = i);
  return inverse;
}

/**
 * Interleaves groups of channels, as `torch.nn.ChannelShuffle` does: channel c of group g becomes
 * channel g of group c. The gradient is `channelShuffle(dy, C / groups)`.
 *
 * @param x [N, C, …].
 * @param groups A divisor of C.
 * @returns The shape of x.
 * @throws {ArgumentError} When x has fewer than two axes, or `groups` does not divide its channels.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { channelShuffle } from "./permute.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4, 5, 6], [1, 6, 1, 1]);
 * using y = channelShuffle(x, 2);
 * console.log(await y.read()); // 1, 4, 2, 5, 3, 6
 * ```
 */
export function channelShuffle(x: Tensor, groups: number, options: OutOptions = {}): Tensor {
  const op = "channelShuffle";
  checkTensor(op, "x", x, x);
  checkOptions(op, options);
  return reorder(op, x, shuffle(op, x.shape, groups), options.out);
}

/** Checks the arguments of {@linkcode channelShuffle}, and returns the copy. */
export function shuffle(op: string, shape: Shape, groups: number): Reordering {
  checkGroups(op, shape, groups);
  const [n, c, ...axes] = shape;
  const { g } = permutation(op, [n, groups, c / groups, elements(axes)], [0, 2, 1, 3]);
  return { shape, g };
}

/** Checks that a number of groups divides the channels of a shape. */
export function checkGroups(
  op: string,
  shape: Shape,
  groups: number,
  parameter = "groups",
): void {
  checkAnyShape(op, shape, 2);
  checkInteger(op, parameter, groups, 1);
  if (shape[1] % groups === 0) return;
  throw new ArgumentError(op, parameter, groups, `a divisor of the ${shape[1]} channels`);
}
