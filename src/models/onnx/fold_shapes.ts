/**
 * Moves numbers between arrays of any shape.
 *
 * @module
 */

import { elements, sameShape, type Shape } from "../../tensor.ts";
import { type NumberArray, numbersFrom, roomFor, stridesOf } from "./values.ts";

/** The part of an axis that Slice takes; a negative step goes backwards. */
export type Indices = readonly {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}[];

/** Reads the elements of a view: a shape, its strides, and the offset of the first element. */
function view(x: NumberArray, shape: Shape, strides: readonly number[], offset = 0): NumberArray {
  const count = elements(shape), numbers = roomFor(count), index = shape.map(() => 0);
  const last = shape.length - 1, row = shape[last] ?? 1, step = strides[last] ?? 0;
  for (let at = offset, filled = 0; filled < count;) {
    for (let i = 0; i < row; i++) numbers[filled++] = x.numbers[at + i * step];
    for (let axis = last - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return { ...x, shape, numbers };
}

/** Repeats an array along axes of size 1, to a shape that fits. */
export function expand(x: NumberArray, shape: Shape): NumberArray {
  if (sameShape(x.shape, shape)) return x;
  const extra = shape.length - x.shape.length, own = stridesOf(x.shape);
  const strides = shape.map((_, axis) => x.shape[axis - extra] === 1 ? 0 : own[axis - extra] ?? 0);
  return view(x, shape, strides);
}

/** Changes the order of axes. */
export function permute(x: NumberArray, order: readonly number[]): NumberArray {
  if (order.every((axis, i) => axis === i)) return x;
  const strides = stridesOf(x.shape);
  return view(x, order.map((axis) => x.shape[axis]), order.map((axis) => strides[axis]));
}

/** Takes a part of some axes. */
export function slice(x: NumberArray, indices: Indices): NumberArray {
  const shape = [...x.shape], strides = stridesOf(shape);
  let offset = 0;
  for (const { axis, start, end, step } of indices) {
    offset += start * strides[axis];
    strides[axis] *= step;
    shape[axis] = Math.max(0, Math.ceil((end - start) / step));
  }
  return view(x, shape, strides, offset);
}

/** Splits an array along an axis. */
export function split(x: NumberArray, axis: number, sizes: readonly number[]): NumberArray[] {
  let start = 0;
  return sizes.map((size) => slice(x, [{ axis, start, end: start += size, step: 1 }]));
}

/** Joins arrays along an axis. */
export function concat(arrays: readonly NumberArray[], axis: number): NumberArray {
  const [{ shape, isFloat }] = arrays;
  const numbers = roomFor(arrays.reduce((sum, array) => sum + array.numbers.length, 0));
  const rows = elements(shape.slice(0, axis));
  const filled = arrays.filter((array) => array.numbers.length > 0);
  let count = 0;
  for (let row = 0; row < rows && filled.length > 0; row++) {
    for (const array of filled) {
      const size = array.numbers.length / rows;
      for (let i = 0; i < size; i++) numbers[count++] = array.numbers[row * size + i];
    }
  }
  const size = arrays.reduce((sum, array) => sum + (array.shape[axis] ?? 1), 0);
  return { shape: shape.map((other, i) => i === axis ? size : other), numbers, isFloat };
}

/** Takes the positions that `at` lists along an axis. */
export function gather(x: NumberArray, at: NumberArray, axis: number): NumberArray {
  const size = x.shape[axis], inner = elements(x.shape.slice(axis + 1));
  const outer = elements(x.shape.slice(0, axis)), numbers: number[] = [];
  for (let row = 0; row < outer; row++) {
    for (const index of at.numbers) {
      const position = index < 0 ? index + size : index;
      const start = (row * size + position) * inner;
      if (position >= 0 && position < size) {
        for (let i = 0; i < inner; i++) numbers.push(x.numbers[start + i]);
      }
    }
  }
  const shape = [...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)];
  return { ...x, shape, numbers };
}

/** Replaces parts of an array, whose positions along its first axes `at` lists. */
export function scatter(x: NumberArray, at: NumberArray, updates: NumberArray): NumberArray {
  const depth = at.shape.at(-1)!, size = elements(x.shape.slice(depth)), numbers = [...x.numbers];
  const sizes = x.shape.slice(0, depth), strides = stridesOf(sizes);
  for (let part = 0; part * depth < at.numbers.length; part++) {
    let start = 0;
    for (const [axis, stride] of strides.entries()) {
      const index = at.numbers[part * depth + axis];
      start += (index < 0 ? index + sizes[axis] : index) * stride * size;
    }
    for (let i = 0; i < size; i++) numbers[start + i] = updates.numbers[part * size + i];
  }
  return { ...x, numbers };
}

/** Combines the elements along some axes. */
export function reduce(
  x: NumberArray,
  axes: ReadonlySet<number>,
  keep: boolean,
  combine: (a: number, b: number) => number,
  first: number,
): NumberArray {
  const kept = x.shape.map((size, axis) => axes.has(axis) ? 1 : size), count = elements(kept);
  const all = [...x.shape.keys()], isKept = (axis: number) => !axes.has(axis);
  const { numbers: ordered } = permute(x, [...all.filter(isKept), ...axes]);
  const length = count === 0 ? 0 : ordered.length / count;
  const numbers = numbersFrom(count, (i) => {
    let value = first;
    for (let j = i * length; j < (i + 1) * length; j++) value = combine(value, ordered[j]);
    return value;
  });
  return { ...x, shape: keep ? kept : kept.filter((_, axis) => isKept(axis)), numbers };
}
