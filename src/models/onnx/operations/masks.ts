/**
 * Comparisons, whose results are 1 or 0, and what chooses by them.
 *
 * @module
 */

import { Add, Hardtanh, Mul } from "../../../layers/mod.ts";
import { Affine, Step } from "../constant_layers.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import {
  type Activation,
  constantOf,
  fixedNumbers,
  isOpen,
  mapNumbers,
  numbersFrom,
  type Operand,
  scaledOf,
  shapeOf,
  type Twice,
  type Value,
  wholeNumbers,
} from "../values.ts";
import { subtract } from "./arithmetic.ts";
import { merge } from "./broadcast.ts";
import { combineConstant } from "./constants.ts";
import { scalar } from "./parameters.ts";

/** Its square times any positive float32 number is at least 1. */
const steepness = 2 ** 75;

/** Infinite numbers become these, because 0 · ∞ is no number. */
const largest = 3e38;

/** The largest float32 number. Infinite ones become it, because ∞ − ∞ is no number. */
const greatest = (2 - 2 ** -23) * 2 ** 127;

/** The same numbers, but finite. */
function finiteOf(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  return build.apply(node, new Hardtanh(-greatest, greatest), [x]);
}

/** The same for a value. */
function finiteValue(node: NodeReader, build: LayerBuilder, value: Value): Value {
  if (value.kind === "activation") return finiteOf(node, build, value);
  const numbers = value.row ? undefined : fixedNumbers(value);
  if (!numbers) return value;
  const finite = mapNumbers(numbers, (number) => Math.min(Math.max(number, -greatest), greatest));
  return { ...constantOf(shapeOf(value), finite), isSized: value.isSized };
}

/** A number with the sign of a − b. */
function difference(node: NodeReader, build: LayerBuilder): Activation {
  const values = both(node);
  const isFinite = values.some((value) => {
    return value.kind === "constant" && fixedNumbers(value)?.every(Number.isFinite);
  });
  const [a, b] = isFinite ? values : values.map((value) => finiteValue(node, build, value));
  return subtract(node, build, a, b);
}

/** The sign of x: −1, 0 or 1. Or, from `low` 0 on, whether x is positive. */
function signOf(node: NodeReader, build: LayerBuilder, x: Activation, low: -1 | 0): Activation {
  const { of, scale, shift } = scaledOf(x);
  const room = Math.log2(largest / Math.max(Math.abs(scale), Math.abs(shift)));
  // A power of 2, which rounds nothing. The layer before has no part of it: its results would be infinite.
  const factor = Math.min(steepness, 2 ** Math.floor(room));
  const steps = [new Step(factor * scale, factor * shift), new Step(steepness, 0)];
  return steps.reduce((y, step) => {
    return build.apply(node, new Hardtanh(low, 1), [build.apply(node, step, [y])]);
  }, of);
}

export const sign: Operation = (node, build) => signOf(node, build, node.activation(0), -1);

/** 1 − x */
function opposite(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  return build.scale(node, x, -1, 1);
}

/** Whether factor · (a − b) is positive, or the opposite of it. */
function compare(factor: 1 | -1, isOpposite: boolean): Operation {
  return (node, build) => {
    const y = signOf(node, build, build.scale(node, difference(node, build), factor, 0), 0);
    return isOpposite ? opposite(node, build, y) : y;
  };
}

export const greater = compare(1, false);
export const greaterOrEqual = compare(-1, true);
export const less = compare(-1, false);
export const lessOrEqual = compare(1, true);

/** Whether x is not 0. */
export function isNonZero(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  const y = signOf(node, build, x, -1);
  return merge(node, build, new Mul(), [y, y]);
}

export const equal: Operation = (node, build) =>
  opposite(node, build, isNonZero(node, build, difference(node, build)));

export const not: Operation = (node, build) => opposite(node, build, node.activation(0));

/** Both inputs, as activations or constants. */
const both = (node: NodeReader): [Value, Value] => [node.value(0), node.value(1)];

export const and: Operation = (node, build) => times(node, build, ...both(node));

/** 1 − (1 − a) · (1 − b) */
export const or: Operation = (node, build) => {
  const [a, b] = [node.activation(0), node.activation(1)];
  const neither = [a, b].map((x) => opposite(node, build, x));
  return opposite(node, build, merge(node, build, new Mul(), neither));
};

/** The product of an activation and another value. */
function times(node: NodeReader, build: LayerBuilder, a: Value, b: Value): Activation {
  if (a.kind === "constant") return times(node, build, b, a);
  return b.kind === "constant"
    ? combineConstant(node, build, a, "mul", { constant: b })
    : merge(node, build, new Mul(), [a, b]);
}

/** condition · a + (1 − condition) · b */
export const where: Operation = (node, build) => {
  if (node.value(0, "condition").kind === "constant") return chosen(node, build);
  const condition = node.activation(0, "condition");
  const parts = [condition, opposite(node, build, condition)].flatMap((mask, i) => {
    const value = node.value(1 + i), [number] = scalar(value);
    if (value.kind === "constant" && value.isSized) node.scope.bindSize();
    if (number === 0) return [];
    if (number !== undefined) {
      const finite = Math.min(Math.max(number, -largest), largest);
      return [build.scale(node, mask, finite, 0)];
    }
    const numbers = value.kind === "constant" ? fixedNumbers(value) : undefined;
    if (numbers?.every(Number.isFinite) === false) {
      throw node.bad("infinite constants are not supported");
    }
    const finite = value.kind === "activation"
      ? build.apply(node, new Hardtanh(-largest, largest), [value])
      : value;
    return [times(node, build, mask, finite)];
  });
  if (parts.length === 0) return build.scale(node, condition, 0, 0);
  return parts.length === 1 ? parts[0] : merge(node, build, new Add(), parts);
};

/** The masks of conditions, which many nodes may share. */
const masks = new WeakMap<readonly number[], Twice<readonly number[]>>();

/** 1 where a condition holds and 0 elsewhere, and the opposite. */
function masksOf(condition: readonly number[]): Twice<readonly number[]> {
  let both = masks.get(condition);
  if (!both) {
    const first = mapNumbers(condition, (value) => value === 0 ? 0 : 1);
    both = [first, mapNumbers(first, (value) => 1 - value)];
    masks.set(condition, both);
  }
  return both;
}

/** The same for a condition that is a constant, such as a mask of attention. */
function chosen(node: NodeReader, build: LayerBuilder): Activation {
  const condition = node.constant(0, "condition"), numbers = node.numbers(0, "condition");
  const [array] = condition.numbers!;
  let sum: Activation | undefined, offset: Operand | undefined;
  for (const [i, mask] of masksOf(numbers).entries()) {
    const value = node.value(1 + i), [number] = scalar(value);
    if (value.kind === "constant" && value.isSized) node.scope.bindSize();
    const constant = constantOf(array.shape, mask, array.isFloat);
    if (value.kind === "activation") {
      const finite = build.apply(node, new Hardtanh(-largest, largest), [value]);
      const part = combineConstant(node, build, finite, "mul", { constant });
      sum = sum ? merge(node, build, new Add(), [sum, part]) : part;
    } else if (number !== undefined) {
      const factor = Math.min(Math.max(number, -largest), largest);
      if (factor !== 0) offset = { constant, factor };
    } else throw node.bad("it chooses between a constant of several numbers: not supported");
  }
  if (!sum) throw node.bad("it has no input: damaged");
  return offset ? combineConstant(node, build, sum, "add", offset) : sum;
}

/** From here on, float32 numbers have no fractions. */
const whole = 2 ** 23;

/** The nearest integer, of two the even one. */
function rounded(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  offset = 1.5 * whole,
): Activation {
  const shifted = build.apply(node, new Affine(1, offset), [x]); // no bits are left for a fraction
  return build.apply(node, new Step(1, -offset), [shifted]);
}

export const round: Operation = (node, build) => rounded(node, build, node.activation(0));

/**
 * The first index of the largest or smallest value. Each position with this value gets a number, of which
 * that of the first is the largest. A classifier has the scores instead.
 */
export function indexOf(sign: 1 | -1): Operation {
  return (node, build) => {
    const of = node.activation(0), axis = node.axis("axis", of.shape.length, 0);
    if (axis === 0) throw node.bad("an index in the batch is not supported");
    if (isOpen(of, axis)) node.scope.bindSize();
    const x = finiteOf(node, build, build.scale(node, of, sign, 0)), size = of.shape[axis];
    node.expect("select_last_index", 0);
    build.countNumbers(node, size);
    const peak = build.scale(node, build.reduce(node, x, "max", [axis]), -1, 0);
    const below = signOf(node, build, merge(node, build, new Add(), [x, peak]), -1); // or 0
    const shape = [size, ...Array<number>(of.shape.length - 1 - axis).fill(1)];
    const constant = constantOf(shape, numbersFrom(size, (i) => size - i));
    const numbered = combineConstant(node, build, build.scale(node, below, 1, 1), "mul", {
      constant,
    });
    const first = build.reduce(node, numbered, "max", [axis]);
    const index = build.scale(node, first, -1, size);
    const keep = node.number("keepdims", 1) !== 0;
    const y = keep ? index : build.view(node, index, of.shape.toSpliced(axis, 1));
    const origin = { op: node.op, inputs: [of], numbers: [axis] };
    return { ...build.computed(y), grid: wholeNumbers, isInteger: true, isPositive: true, origin };
  };
}

/** The next integer below x, or above it. */
function nextInteger(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  direction: 1 | -1,
  offset?: number,
): Activation {
  const y = rounded(node, build, x, offset);
  const ahead = merge(node, build, new Add(), [
    build.scale(node, x, direction, 0),
    build.scale(node, y, -direction, 0),
  ]);
  const step = signOf(node, build, ahead, 0);
  return merge(node, build, new Add(), [y, build.scale(node, step, direction, 0)]);
}

export const floor: Operation = (node, build) => nextInteger(node, build, node.activation(0), -1);
export const ceil: Operation = (node, build) => nextInteger(node, build, node.activation(0), 1);

/** A number without its fraction, as an integer. */
export function truncated(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  const fractions = (x.isPositive ? [1] : [1, -1]).map((sign) => {
    const part = build.apply(node, new Hardtanh(0, whole), [build.scale(node, x, sign, 0)]);
    const integer = nextInteger(node, build, part, -1, whole);
    return merge(node, build, new Add(), [
      build.scale(node, integer, sign, 0),
      build.scale(node, part, -sign, 0),
    ]);
  });
  const sum = merge(node, build, new Add(), [x, ...fractions]);
  const y = build.apply(node, new Step(1, 0), [sum]);
  return { ...y, grid: wholeNumbers, isInteger: true };
}
