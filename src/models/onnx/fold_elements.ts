/**
 * ONNX operations on numbers, element by element.
 *
 * @module
 */

import { elements, sameShape, type Shape } from "../../tensor.ts";
import { formatShape } from "../../weights/io/quote.ts";
import { expand } from "./fold_shapes.ts";
import type { NodeReader } from "./node.ts";
import { mapNumbers, type NumberArray, numbersFrom } from "./values.ts";

/** The most axes of a computed value. */
const maxRank = 16;

/** Computes the outputs of a node from its inputs. */
export type Fold = (
  node: NodeReader,
  inputs: readonly NumberArray[],
) => NumberArray | readonly NumberArray[];

/** Creates an array of integers. */
export function integers(shape: Shape, numbers: readonly number[]): NumberArray {
  return { shape, numbers, isFloat: false };
}

export function each(compute: (value: number) => number): Fold {
  return (_, [x]) => ({ ...x, numbers: mapNumbers(x.numbers, compute) });
}

export function pairs(compute: (a: number, b: number) => number): Fold {
  return (node, [a, b]) => combine(node, a, b, compute);
}

export function compare(holds: (a: number, b: number) => boolean): Fold {
  return (node, [a, b]) => ({
    ...combine(node, a, b, (x, y) => holds(x, y) ? 1 : 0),
    isFloat: false,
  });
}

export function fromAll(compute: (a: number, b: number) => number): Fold {
  return (node, [first, ...rest]) => rest.reduce((a, b) => combine(node, a, b, compute), first);
}

/** Combines two arrays element by element. */
export function combine(
  node: NodeReader,
  a: NumberArray,
  b: NumberArray,
  compute: (a: number, b: number) => number,
): NumberArray {
  const shape = broadcast(node, a.shape, b.shape), isFloat = a.isFloat || b.isFloat;
  const { numbers: left, step: ahead } = repeated(node, a, shape);
  const { numbers: right, step } = repeated(node, b, shape);
  const all = numbersFrom(checkSize(node, shape), (i) => compute(left[i * ahead], right[i * step]));
  return { shape, numbers: all, isFloat };
}

/** Returns the shape of two arrays together, aligned at their last axes. */
export function broadcast(node: NodeReader, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis + a.length - rank] ?? 1, right = b[axis + b.length - rank] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw node.bad(`${formatShape(a)} and ${formatShape(b)} do not fit together: damaged`);
  });
}

/** Repeats an array along axes of size 1. */
export function spread(node: NodeReader, x: NumberArray, shape: Shape): NumberArray {
  if (sameShape(x.shape, shape)) return x;
  checkSize(node, shape);
  return expand(x, shape);
}

/** The elements of an array that is repeated. A single one is not copied: then the step is 0. */
export function repeated(node: NodeReader, x: NumberArray, shape: Shape) {
  if (x.numbers.length === 1) return { numbers: x.numbers, step: 0 };
  return { numbers: spread(node, x, shape).numbers, step: 1 };
}

/** The product of the sizes that are not 0. Loops may run over the other axes of an empty array. */
export function sizeWithoutZeros(shape: Shape): number {
  return shape.reduce((product, size) => product * (size || 1), 1);
}

/** Checks the size of an output before it is made, counts it, and returns it. */
export function checkSize(node: NodeReader, shape: Shape): number {
  node.spend(checkShape(node, shape));
  return elements(shape);
}

/** Checks the size of an output, and returns it. That of an empty one is not 0. */
export function checkShape(node: NodeReader, shape: Shape): number {
  const size = sizeWithoutZeros(shape), text = formatShape(shape);
  const isShape = shape.every((n) => Number.isInteger(n) && n >= 0) && shape.length <= maxRank;
  if (!isShape) throw node.bad(`its output ${text} is not a shape of up to ${maxRank} axes`);
  const { maxElements } = node;
  if (size > maxElements) {
    throw node.bad(
      `its output ${text} has more than ${maxElements} numbers: fold it with onnxsim first`,
    );
  }
  return size;
}
