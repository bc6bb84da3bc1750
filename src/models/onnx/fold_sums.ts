/**
 * ONNX operations that sum numbers.
 *
 * @module
 */

import { elements } from "../../tensor.ts";
import { formatShape } from "../../weights/io/quote.ts";
import { checkSize, combine, type Fold } from "./fold_elements.ts";
import { reduce } from "./fold_shapes.ts";
import type { NodeReader } from "./node.ts";
import { mapNumbers, type NumberArray, numbersFrom, roomFor } from "./values.ts";

/**
 * Combines the elements along the axes that an attribute or input lists.
 *
 * @param finish Changes the result; `count` elements were combined.
 */
export function reduceWith(
  combine: (a: number, b: number) => number,
  first: number,
  finish: (value: number, count: number) => number = (value) => value,
): Fold {
  return (node, inputs) => {
    const [x, axes] = inputs, rank = x.shape.length;
    const keep = node.number("keepdims", 1) !== 0;
    const ignoresNone = node.number("noop_with_empty_axes", 0) !== 0;
    const list = node.list("axes") ?? axes?.numbers ?? [];
    if (list.length === 0 && ignoresNone) return x;
    const reduced = list.length === 0
      ? x.shape.map((_, axis) => axis)
      : list.map((axis) => node.resolveAxis(axis, rank));
    const y = reduce(x, new Set(reduced), keep, combine, first);
    const count = elements(x.shape) / elements(y.shape);
    return { ...y, numbers: mapNumbers(y.numbers, (value) => finish(value, count)) };
  };
}

/** Softmax along an axis. Before opset 13, along all axes from that one on. */
export function softmax(node: NodeReader, [x]: readonly NumberArray[]): NumberArray {
  const { shape: { length } } = x, isOld = node.opset < 13;
  const axis = node.axis("axis", length, isOld ? 1 : -1);
  const axes = new Set([...x.shape.keys()].filter((i) => isOld ? i >= axis : i === axis));
  const largest = reduce(x, axes, true, Math.max, -Infinity);
  const powers = combine(node, x, largest, (a, b) => Math.exp(a - b));
  return combine(node, powers, reduce(powers, axes, true, (a, b) => a + b, 0), (a, b) => a / b);
}

/**
 * (x − mean) / √(variance + epsilon) · scale + bias for each index of the second axis. In training mode,
 * with the statistics of x, as in weight standardisation.
 */
export function batchNorm(node: NodeReader, inputs: readonly NumberArray[]): NumberArray {
  const [x, ...parameters] = inputs, epsilon = node.number("epsilon", 1e-5);
  const ones = x.shape.slice(2).map(() => 1);
  const [scale, bias, ...statistics] = parameters.map((array): NumberArray => ({
    ...array,
    shape: [...array.shape, ...ones],
  }));
  const axes = new Set([...x.shape.keys()].filter((axis) => axis !== 1));
  const meanOf = (all: NumberArray) => {
    const count = elements(all.shape) / all.shape[1];
    const sum = reduce(all, axes, true, (a, b) => a + b, 0);
    return { ...sum, numbers: sum.numbers.map((value) => value / count) };
  };
  const isTraining = node.number("training_mode", 0) !== 0;
  const mean = isTraining ? meanOf(x) : statistics[0];
  const centred = combine(node, x, mean, (a, b) => a - b);
  const variance = isTraining
    ? meanOf(combine(node, centred, centred, (a, b) => a * b))
    : statistics[1];
  const factor = combine(node, scale, variance, (a, b) => a / Math.sqrt(b + epsilon));
  const scaled = combine(node, centred, factor, (a, b) => a * b);
  return combine(node, scaled, bias, (a, b) => a + b);
}

/**
 * The product of matrices. A list is a row on the left side, and a column on the right side. More axes on the
 * left side are rows.
 */
export function matMul(node: NodeReader, [a, b]: readonly NumberArray[]): NumberArray {
  const { shape: left } = a, { shape: right } = b, [size, columns = 1] = right;
  if (right.length > 2 || left.at(-1) !== size) {
    throw node.bad(
      `it multiplies ${formatShape(left)} by ${formatShape(right)}: only by a matrix is supported`,
    );
  }
  const shape = [...left.slice(0, -1), ...right.slice(1)], count = checkSize(node, shape);
  node.spend(count * size / 8); // a product takes less time than a number of other operations
  const numbers = numbersFrom(count, (i) => {
    const row = Math.floor(i / columns) * size, column = i % columns;
    let sum = 0;
    for (let j = 0; j < size; j++) sum += a.numbers[row + j] * b.numbers[j * columns + column];
    return sum;
  });
  return { shape, numbers, isFloat: a.isFloat };
}

/** Sums of all elements up to each position of an axis, which may be left out. */
export function cumSum(node: NodeReader, [x, at]: readonly NumberArray[]): NumberArray {
  const { shape } = x, axis = node.resolveIndex(at.numbers[0], shape.length);
  const count = checkSize(node, shape),
    step = elements(shape.slice(axis + 1)),
    sums = roomFor(count);
  const isReversed = node.number("reverse", 0) !== 0,
    isExclusive = node.number("exclusive", 0) !== 0;
  for (let i = 0; i < count; i++) {
    const own = isReversed ? count - 1 - i : i, before = isReversed ? own + step : own - step;
    const isFirst = Math.floor(i / step) % shape[axis] === 0;
    const next = isExclusive ? isFirst ? 0 : x.numbers[before] : x.numbers[own];
    sums[own] = next + (isFirst ? 0 : sums[before]);
  }
  return { ...x, numbers: sums };
}
