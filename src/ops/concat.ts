/**
 * Concatenation and slices.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { elements, isShape, type Shape, type Tensor } from "../tensor.ts";
import {
  checkAnyShape,
  checkAxis,
  checkInteger,
  checkOptions,
  checkTensor,
  formatShape,
  maxSize,
  type OutOptions,
  produce,
} from "./checks.ts";
import { copyGeometry } from "./copy.ts";

/**
 * Joins tensors along an axis, `torch.cat`. The gradient of each tensor is the slice of dy in its
 * place.
 *
 * @param tensors At least one tensor. Their shapes are equal but for the size of the axis.
 * @param dim The axis. Negative values count from the last axis. Default: 0.
 * @returns A tensor with the sum of the sizes on that axis.
 * @throws {ArgumentError} When the shapes do not fit together, or `dim` is not an axis.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { cat } from "./concat.ts";
 *
 * using backend = await createBackend();
 * using a = backend.upload([1, 2, 3, 4], [2, 2]);
 * using b = backend.upload([5, 6], [2, 1]);
 * using y = cat([a, b], 1);
 * console.log(await y.read()); // 1, 2, 5, 3, 4, 6
 * ```
 */
export function cat(tensors: readonly Tensor[], dim = 0, options: OutOptions = {}): Tensor {
  const op = "cat";
  checkList(op, "tensors", tensors);
  const [first] = tensors;
  tensors.forEach((tensor, i) =>
    checkTensor(op, `tensors[${i}]`, tensor, i === 0 ? tensor : first)
  );
  checkOptions(op, options);
  const { shape, axis } = catShape(op, tensors.map((tensor) => tensor.shape), dim);
  const target = { shape, out: options.out, reads: tensors };
  return produce(op, first, target, (y) => {
    const inner = elements(shape.slice(axis + 1));
    for (let i = 0, at = 0; i < tensors.length; at += tensors[i++].shape[axis]) {
      const block = tensors[i].shape[axis] * inner, outer = tensors[i].size / block;
      const axes = [
        { size: outer, to: shape[axis] * inner, from: block },
        { size: block, to: 1, from: 1 },
      ];
      kernelsOf(y).stridedCopy(y, tensors[i], copyGeometry(axes, at * inner)!);
    }
  });
}

/**
 * Checks the shapes of tensors to concatenate.
 *
 * @returns The shape of the result, and the axis.
 */
export function catShape(
  op: string,
  shapes: readonly Shape[],
  dim: number,
): { readonly shape: Shape; readonly axis: number } {
  checkList(op, "shapes", shapes);
  const [first] = shapes;
  checkAnyShape(op, first, 1);
  const axis = checkAxis(op, dim, first);
  let size = 0;
  for (const [i, shape] of shapes.entries()) {
    const fits = isShape(shape) && shape.length === first.length &&
      shape.every((length, k) => k === axis || length === first[k]);
    if (!fits) {
      const expected = `${formatShape(first)} but for axis ${axis}`;
      throw new ArgumentError(op, `the shape of input ${i}`, shape, expected);
    }
    size += shape[axis];
  }
  if (size > maxSize) {
    throw new ArgumentError(op, "the size of the result", size, `at most ${maxSize}`);
  }
  return { shape: first.with(axis, size), axis };
}

function checkList(op: string, parameter: string, list: readonly unknown[]): void {
  if (Array.isArray(list) && list.length > 0) return;
  throw new ArgumentError(op, parameter, list, "a list of at least one");
}

/**
 * Options of a slice.
 */
export interface SliceOptions {
  /** The distance between the elements to take. Default: 1. */
  readonly step?: number;
}

/** A checked slice. */
interface SlicedAxis {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  /** The shape of the slice. */
  readonly shape: Shape;
}

/**
 * Checks the arguments of a slice. Negative positions count from the end of the axis.
 *
 * @param input The shape that is sliced.
 */
export function sliceShape(
  op: string,
  input: Shape,
  dim: number,
  start: number,
  end: number | undefined,
  { step = 1 }: SliceOptions,
): SlicedAxis {
  checkAnyShape(op, input, 1);
  const axis = checkAxis(op, dim, input), size = input[axis];
  const from = position(start, size), to = end === undefined ? size : position(end, size);
  if (!(from >= 0 && from < size)) {
    throw new ArgumentError(op, "start", start, `a position on the axis of size ${size}`);
  }
  if (!(to > from && to <= size)) {
    throw new ArgumentError(op, "end", end, `behind ${from}, and at most ${size}`);
  }
  checkInteger(op, "step", step, 1);
  return { axis, start: from, step, shape: input.with(axis, Math.ceil((to - from) / step)) };
}

/** A position counted from the beginning; NaN if it is no integer. */
function position(value: unknown, size: number): number {
  if (!Number.isInteger(value)) return NaN;
  return (value as number) < 0 ? (value as number) + size : value as number;
}

/**
 * Copies the positions `start` … `end` − 1 of an axis, as `x[start:end]` does in PyTorch. Unlike
 * there, positions outside the axis are refused.
 *
 * @param x At least one axis.
 * @param dim The axis. Negative values count from the last axis.
 * @param start The first position. Negative values count from the end.
 * @param end The position behind the last one. Negative values count from the end. Default: the end.
 * @param options `step` is the distance between the positions. Default: 1.
 * @returns The shape of x, with fewer positions on the axis.
 * @throws {ArgumentError} When `dim` is not an axis, or the slice is empty or outside of it.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { slice } from "./concat.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4, 5, 6], [2, 3]);
 * using y = slice(x, 1, 1); // without the first column
 * console.log(await y.read()); // 2, 3, 5, 6
 * ```
 */
export function slice(
  x: Tensor,
  dim: number,
  start: number,
  end?: number,
  options: SliceOptions & OutOptions = {},
): Tensor {
  const op = "slice";
  checkTensor(op, "x", x, x);
  checkOptions(op, options, ["step", "out"]);
  const sliced = sliceShape(op, x.shape, dim, start, end, options);
  const { from, axes } = copyOfSlice(x.shape, sliced);
  const target = { shape: sliced.shape, out: options.out };
  return produce(op, x, target, (y) => {
    kernelsOf(x).stridedCopy(y, x, copyGeometry(axes, 0, from)!);
  });
}

/**
 * Computes the gradient of {@linkcode slice}: dy in the place of the slice, and 0 elsewhere.
 *
 * @param dy The gradient of the slice.
 * @param inputShape The shape of the forward pass's input.
 * @param dim The axis of the forward pass.
 * @param start That of the forward pass.
 * @param end That of the forward pass.
 * @param options Those of the forward pass.
 * @returns dx, in the shape of the input.
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function sliceBackward(
  dy: Tensor,
  inputShape: Shape,
  dim: number,
  start: number,
  end?: number,
  options: SliceOptions & OutOptions = {},
): Tensor {
  const op = "sliceBackward";
  checkTensor(op, "dy", dy, dy);
  checkOptions(op, options, ["step", "out"]);
  const sliced = sliceShape(op, inputShape, dim, start, end, options);
  checkTensor(op, "dy", dy, dy, sliced.shape);
  const { from, axes } = copyOfSlice(inputShape, sliced);
  return produce(op, dy, { shape: inputShape, out: options.out }, (dx) => {
    dy.backend.fill(dx, 0);
    const swapped = axes.map(({ size, to, from }) => ({ size, to: from, from: to }));
    kernelsOf(dy).stridedCopy(dx, dy, copyGeometry(swapped, from)!);
  });
}

/** The axes of the copy that a slice is, and the first element that it reads. */
function copyOfSlice(input: Shape, { axis, start, step, shape }: SlicedAxis) {
  const inner = elements(input.slice(axis + 1)), count = shape[axis];
  const axes = [
    { size: elements(input.slice(0, axis)), to: count * inner, from: input[axis] * inner },
    { size: count, to: inner, from: step * inner },
    { size: inner, to: 1, from: 1 },
  ];
  return { axes, from: start * inner };
}
