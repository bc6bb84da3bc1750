/**
 * Rules of ONNX operations that change shapes.
 *
 * Source: https://onnx.ai/onnx/operators/
 *
 * @module
 */

import type { FileError } from "../../errors.ts";
import { imagenetPreprocessing } from "../../image/preprocess.ts";
import { elements, sameShape, type Shape } from "../../tensor.ts";
import { formatShape } from "../../weights/io/quote.ts";
import type { Indices } from "./fold_shapes.ts";
import { maxSide } from "./input.ts";
import type { NodeReader } from "./node.ts";
import { type GraphValue, type NumberArray, shapeOf } from "./values.ts";

/**
 * Returns the shape that Reshape gives: 0 copies a size, and −1 is what is left.
 *
 * @throws {FileError} When the number of elements would change.
 */
export function targetShape(node: NodeReader, from: Shape, target: readonly number[]): Shape {
  const copies = node.number("allowzero", 0) === 0;
  const sizes = target.map((size, axis) => size === 0 && copies ? from[axis] ?? 0 : size);
  const known = elements(sizes.filter((size) => size !== -1)), all = elements(from);
  const shape = sizes.map((size) => size === -1 ? all / known : size);
  const isValid = shape.every((size) => Number.isInteger(size) && size >= 0) &&
    sizes.filter((size) => size === -1).length <= 1 && elements(shape) === all;
  if (isValid) return shape;
  throw node.bad(`${formatShape(from)} does not fit ${formatShape(target)}: damaged`);
}

/** Reads the bounds of Slice, which are attributes before opset 10. */
export function sliceIndices(
  node: NodeReader,
  shape: Shape,
  bounds: readonly (NumberArray | undefined)[],
): Indices {
  const [starts, ends, axes, steps] = ["starts", "ends", "axes", "steps"].map((name, i) =>
    node.list(name) ?? bounds[i]?.numbers
  );
  if (!starts || ends?.length !== starts.length) throw node.bad("its bounds are missing: damaged");
  const counts = [axes?.length, steps?.length].filter((length) => length !== undefined);
  if (counts.some((count) => count !== starts.length) || steps?.includes(0)) {
    throw node.bad("its starts, ends, axes and steps do not fit together: damaged");
  }
  return starts.map((start, i) => {
    const axis = node.resolveAxis(axes?.[i] ?? i, shape.length), step = steps?.[i] ?? 1;
    const size = shape[axis], low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
    const clamp = (index: number) =>
      Math.min(Math.max(index < 0 ? index + size : index, low), high);
    return { axis, start: clamp(start), end: ends[i] < -size ? low : clamp(ends[i]), step };
  });
}

/** The most parts of a tensor. */
const maxParts = 1 << 16;

/** Returns the sizes of the parts of Split: as given, or as equal as possible. */
export function splitSizes(
  node: NodeReader,
  size: number,
  input: readonly number[] | undefined,
): readonly number[] {
  const given = node.list("split") ?? input, count = node.number("num_outputs", node.outputCount);
  const part = Math.ceil(size / count), most = Math.min(count, size, maxParts);
  const sizes = given ??
    Array.from({ length: most }, (_, i) => Math.min(part, size - i * part));
  const sum = sizes.reduce((a, b) => a + b, 0);
  const isValid = sum === size && sizes.every((part) => Number.isInteger(part) && part >= 0);
  if (isValid && sizes.length >= node.outputCount) return sizes;
  throw node.bad(`its parts ${formatShape(sizes)} do not fit the size ${size}: damaged`);
}

/** Returns the shape without axes of size 1: the given ones, or all. */
export function squeezedShape(node: NodeReader, shape: Shape, input?: NumberArray): Shape {
  const given = node.list("axes") ?? input?.numbers;
  const axes = given?.map((axis) => node.resolveAxis(axis, shape.length));
  const isGone = (axis: number) => axes ? axes.includes(axis) : shape[axis] === 1;
  const gone = shape.filter((_, axis) => isGone(axis));
  if (gone.every((size) => size === 1)) return shape.filter((_, axis) => !isGone(axis));
  throw node.bad(`${formatShape(shape)} has axes larger than 1: damaged`);
}

/** Returns the shape with new axes of size 1. */
export function unsqueezedShape(node: NodeReader, shape: Shape, input?: NumberArray): Shape {
  const given = node.list("axes") ?? input?.numbers ?? [];
  const rank = shape.length + given.length;
  const axes = new Set(given.map((axis) => node.resolveAxis(axis, rank)));
  if (axes.size < given.length) throw node.bad("it has an axis twice: damaged");
  const sizes = [...shape];
  return Array.from({ length: rank }, (_, axis) => axes.has(axis) ? 1 : sizes.shift()!);
}

/** Reads the order of axes of Transpose. Default: reversed. */
export function permutation(node: NodeReader, rank: number): readonly number[] {
  const order = node.list("perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const isValid = order.length === rank && new Set(order).size === rank &&
    order.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < rank);
  if (isValid) return order;
  throw node.bad(`its perm ${formatShape(order)} does not fit ${rank} axes: damaged`);
}

/** The most axes that a layer moves at once. */
const maxMoved = 5;

/** The orders that give an order together, one after the other, none of which moves too many axes at once. */
export function ordersOf(shape: Shape, order: readonly number[]): (readonly number[])[] {
  const moved = order.filter((axis) => axis === 0 || shape[axis] > 1),
    sorted = moved.toSorted((a, b) => a - b);
  const runs = moved.filter((axis, i) =>
    i === 0 || sorted.indexOf(axis) !== sorted.indexOf(moved[i - 1]) + 1
  );
  if (runs.length <= maxMoved) return [order];
  const at = order.findIndex((axis, i) => axis !== i), front = order[at];
  const first = [...order.keys()].filter((axis) => axis !== front).toSpliced(at, 0, front);
  const rest = ordersOf(first.map((axis) => shape[axis]), order.map((axis) => first.indexOf(axis)));
  return [first, ...rest];
}

/** The error of a change that moves the batch. */
export function movesBatch(node: NodeReader, from: Shape, to: Shape): FileError {
  return node.bad(
    `${formatShape(from)} to ${formatShape(to)} is not supported: ` +
      "the first axis must stay the batch",
  );
}

/** Formats the shape of a node's input as in the file, with N for a batch size that it leaves open. */
export function formatValue(node: NodeReader, x: GraphValue): string {
  if (x.kind === "constant") return formatShape(shapeOf(x));
  const { lift, scope: { isBatchFixed, batches: [batch] } } = node;
  const [sizes, batchAxis] = x.kind === "moved"
    ? [x.of.shape.slice(1), x.axis]
    : lift
    ? [x.shape.slice(1), lift.axis]
    : [x.shape.with(0, 1), 0];
  return formatShape(sizes.map((size, axis) => {
    if (axis !== batchAxis) return size;
    return isBatchFixed ? size * batch : size === 1 ? "N" : `${size}·N`;
  }));
}

/**
 * Creates the error of a layer with a large output.
 *
 * @param other The shape of the output for larger images.
 */
export function tooLarge(node: NodeReader, shape: Shape, other: Shape): FileError {
  const size = formatShape(node.scope.isBatchFixed ? shape : ["N", ...shape.slice(1)]);
  const remedy = sameShape(shape, other)
    ? ""
    : " for inputs of this size: load it with a smaller preprocessing.crop " +
      `(default ${imagenetPreprocessing.crop}, for signals ${maxSide})`;
  return node.bad(`its output ${size} is too large${remedy}`);
}
