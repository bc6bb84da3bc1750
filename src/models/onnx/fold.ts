/**
 * Computes what does not depend on the pixels, such as sizes: ONNX operations on numbers.
 *
 * Source: https://onnx.ai/onnx/operators/
 *
 * @module
 */

import { elements, type Shape } from "../../tensor.ts";
import { formatShape } from "../../weights/io/quote.ts";
import {
  broadcast,
  checkShape,
  checkSize,
  combine,
  compare,
  each,
  type Fold,
  fromAll,
  integers,
  pairs,
  repeated,
  sizeWithoutZeros,
  spread,
} from "./fold_elements.ts";
import { concat, gather, permute, scatter as scattered, slice, split } from "./fold_shapes.ts";
import { batchNorm, cumSum, matMul, reduceWith, softmax } from "./fold_sums.ts";
import type { NodeReader } from "./node.ts";
import {
  permutation,
  sliceIndices,
  splitSizes,
  squeezedShape,
  targetShape,
  unsqueezedShape,
} from "./shape_rules.ts";
import { mapNumbers, type NumberArray, numbersFrom, stridesOf } from "./values.ts";

/** The operations, and the number of inputs that they need at least. */
const folds: ReadonlyMap<string, readonly [inputs: number, fold: Fold]> = new Map(
  Object.entries<readonly [number, Fold]>({
    Abs: [1, each(Math.abs)],
    Add: [2, pairs((a, b) => a + b)],
    And: [2, compare((a, b) => a !== 0 && b !== 0)],
    BatchNormalization: [5, batchNorm],
    Cast: [1, cast],
    CastLike: [2, (_, [x, like]) => convert(x, like.isFloat)],
    Ceil: [1, each(Math.ceil)],
    Clip: [1, clip],
    Concat: [1, join],
    ConstantOfShape: [1, constantOfShape],
    Cos: [1, each(Math.cos)],
    CumSum: [2, cumSum],
    Div: [2, divide],
    Equal: [2, compare((a, b) => a === b)],
    Exp: [1, each(Math.exp)],
    Expand: [2, (node, [x, shape]) => spread(node, x, broadcast(node, x.shape, shape.numbers))],
    Flatten: [1, flatten],
    Floor: [1, each(Math.floor)],
    Gather: [2, take],
    Greater: [2, compare((a, b) => a > b)],
    GreaterOrEqual: [2, compare((a, b) => a >= b)],
    Identity: [1, (_, [x]) => x],
    Less: [2, compare((a, b) => a < b)],
    LessOrEqual: [2, compare((a, b) => a <= b)],
    Log: [1, each(Math.log)],
    MatMul: [2, matMul],
    Max: [1, fromAll(Math.max)],
    Min: [1, fromAll(Math.min)],
    Mod: [2, modulo],
    Mul: [2, pairs((a, b) => a * b)],
    Neg: [1, each((a) => -a)],
    NonZero: [1, nonZero], // of arange() before opset 11
    Not: [1, each((a) => a === 0 ? 1 : 0)],
    Or: [2, compare((a, b) => a !== 0 || b !== 0)],
    Pow: [2, pairs((a, b) => a ** b)],
    Range: [3, range],
    Reciprocal: [1, each((a) => 1 / a)],
    ReduceL1: [1, reduceWith((a, b) => a + Math.abs(b), 0)],
    ReduceL2: [1, reduceWith((a, b) => a + b * b, 0, Math.sqrt)],
    ReduceMax: [1, reduceWith((a, b) => Math.max(a, b), -Infinity)],
    ReduceMean: [1, reduceWith((a, b) => a + b, 0, (sum, count) => sum / count)],
    ReduceMin: [1, reduceWith((a, b) => Math.min(a, b), Infinity)],
    ReduceProd: [1, reduceWith((a, b) => a * b, 1)],
    ReduceSum: [1, reduceWith((a, b) => a + b, 0)],
    ReduceSumSquare: [1, reduceWith((a, b) => a + b * b, 0)],
    Relu: [1, each((a) => Math.max(a, 0))],
    Reshape: [1, reshape],
    Round: [1, each(roundEven)],
    ScatterND: [3, scatter],
    Shape: [1, (node, [x]) => shapeNumbers(node, x.shape)],
    Sigmoid: [1, each((a) => 1 / (1 + Math.exp(-a)))],
    Sign: [1, each(Math.sign)],
    Sin: [1, each(Math.sin)],
    Size: [1, (_, [x]) => integers([], [elements(x.shape)])],
    Softmax: [1, softmax],
    Softplus: [1, each((a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))))],
    Slice: [1, (node, [x, ...bounds]) => slice(x, sliceIndices(node, x.shape, bounds))],
    Split: [1, splitAt],
    Sqrt: [1, each(Math.sqrt)],
    Squeeze: [1, (node, [x, axes]) => withShape(x, squeezedShape(node, x.shape, axes))],
    Sub: [2, pairs((a, b) => a - b)],
    Sum: [1, fromAll((a, b) => a + b)],
    Tanh: [1, each(Math.tanh)],
    Tile: [2, tile],
    Transpose: [1, (node, [x]) => permute(x, permutation(node, x.shape.length))],
    Unsqueeze: [1, (node, [x, axes]) => withShape(x, unsqueezedShape(node, x.shape, axes))],
    Where: [3, where],
  }),
);

/** The most elements of an input. Of an empty one, the product of the other sizes. */
const maxInput = 1 << 24;

/** Whether an operation can be computed here. */
export function isFolded(op: string): boolean {
  return folds.has(op);
}

/**
 * Computes the outputs of a node.
 *
 * @throws {FileError} When the inputs are invalid, or an output is too large.
 */
export function fold(node: NodeReader, inputs: readonly NumberArray[]): readonly NumberArray[] {
  const [count, compute] = folds.get(node.op)!;
  for (let i = 0; i < count; i++) if (!inputs[i]) throw node.bad("it lacks an input: damaged");
  for (const input of inputs) {
    if (input && sizeWithoutZeros(input.shape) > maxInput) {
      throw node.bad(`its input ${formatShape(input.shape)} is too large: damaged`);
    }
  }
  const before = node.numbersLeft, result = compute(node, inputs);
  const outputs = ("shape" in result ? [result] : result).map(rounding(node, inputs));
  let size = 0;
  for (const { shape, numbers } of outputs) {
    size += checkShape(node, shape);
    if (numbers.length === elements(shape)) continue;
    throw node.bad(`its output ${formatShape(shape)} does not hold ${numbers.length} values`);
  }
  node.spend(Math.max(0, size - (before - node.numbersLeft))); // most operations count their own
  return outputs;
}

/** Rounds floats to float32, unless they are float64. */
function rounding(
  node: NodeReader,
  inputs: readonly (NumberArray | undefined)[],
): (output: NumberArray) => NumberArray {
  const isDouble = node.op === "Cast"
    ? node.number("to", 1) === doubleType
    : inputs.some((input) => input?.isDouble);
  return (output) => {
    if (!output.isFloat) return output;
    if (isDouble) return { ...output, isDouble };
    const numbers = output.numbers as number[];
    const input = inputs.find((input) => input?.numbers === numbers);
    if (input?.isFloat && !input.isDouble) return output;
    if (input) return { ...output, isDouble, numbers: mapNumbers(numbers, Math.fround) };
    for (let i = 0; i < numbers.length; i++) numbers[i] = Math.fround(numbers[i]); // no copy
    return { ...output, isDouble };
  };
}

/** The shape of a tensor as a list of numbers. Since opset 15, a part of it. */
export function shapeNumbers(node: NodeReader, shape: Shape): NumberArray {
  const start = node.number("start", 0), end = node.number("end", shape.length);
  const sizes = shape.slice(start, end);
  return integers([sizes.length], sizes);
}

function withShape(x: NumberArray, shape: Shape): NumberArray {
  return { ...x, shape };
}

function convert({ shape, numbers }: NumberArray, isFloat: boolean): NumberArray {
  return { shape, numbers: isFloat ? numbers : mapNumbers(numbers, Math.trunc), isFloat };
}

function join(node: NodeReader, inputs: readonly NumberArray[]): NumberArray {
  const [first] = inputs, rank = first.shape.length, axis = node.axis("axis", rank, 1);
  const fits = inputs.every(({ shape }) =>
    shape.length === rank && shape.every((size, i) => i === axis || size === first.shape[i])
  );
  if (!fits) throw node.bad("its inputs do not fit together: damaged");
  const size = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
  checkSize(node, first.shape.with(axis, size));
  return concat(inputs, axis);
}

function take(node: NodeReader, [x, at]: readonly NumberArray[]): NumberArray {
  const axis = node.axis("axis", x.shape.length, 0);
  checkSize(node, [...x.shape.with(axis, 1), ...at.shape]);
  return gather(x, at, axis);
}

/** The bounds are attributes before opset 11. */
function clip(node: NodeReader, inputs: readonly NumberArray[]): NumberArray {
  const [x] = inputs;
  const low = inputs.at(1)?.numbers[0] ?? node.number("min", -Infinity);
  const high = inputs.at(2)?.numbers[0] ?? node.number("max", Infinity);
  return { ...x, numbers: mapNumbers(x.numbers, (value) => Math.min(Math.max(value, low), high)) };
}

/** Integers are divided towards 0. */
function divide(node: NodeReader, [a, b]: readonly NumberArray[]): NumberArray {
  if (!a.isFloat && b.numbers.includes(0)) throw node.bad("it divides by 0: damaged");
  return combine(node, a, b, a.isFloat ? (x, y) => x / y : (x, y) => Math.trunc(x / y));
}

function modulo(node: NodeReader, [a, b]: readonly NumberArray[]): NumberArray {
  if (!a.isFloat && b.numbers.includes(0)) throw node.bad("it divides by 0: damaged");
  const isC = node.number("fmod", 0) !== 0;
  return combine(node, a, b, isC ? (x, y) => x % y : (x, y) => x - y * Math.floor(x / y));
}

function roundEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** TensorProto.DataType of float64. */
const doubleType = 11;

/** TensorProto.DataType of float32, float16, double and bfloat16. */
export const floatTypes: readonly number[] = [1, 10, 11, 16];

function cast(node: NodeReader, [x]: readonly NumberArray[]): NumberArray {
  const type = node.number("to", 1);
  if (type === 9) {
    return {
      ...x,
      numbers: mapNumbers(x.numbers, (v) => v === 0 ? 0 : 1),
      isFloat: false,
    };
  }
  return convert(x, floatTypes.includes(type));
}

function constantOfShape(node: NodeReader, [{ numbers: shape }]: readonly NumberArray[]) {
  checkSize(node, shape);
  const value = node.tensorAttribute("value");
  const [number = 0] = value?.numbers ?? [], isFloat = value?.isFloat ?? true;
  return { shape, numbers: Array<number>(elements(shape)).fill(number), isFloat };
}

function nonZero(node: NodeReader, [{ shape, numbers }]: readonly NumberArray[]): NumberArray {
  const at: number[] = [], strides = stridesOf(shape);
  numbers.forEach((value, i) => value && at.push(i));
  const { length } = at, all = checkSize(node, [shape.length, length]);
  const indices = numbersFrom(all, (i) => {
    const axis = Math.floor(i / length);
    return Math.floor(at[i % length] / strides[axis]) % shape[axis];
  });
  return integers([shape.length, length], indices);
}

function range(node: NodeReader, [start, limit, delta]: readonly NumberArray[]): NumberArray {
  const [first] = start.numbers, [end] = limit.numbers, [step] = delta.numbers;
  const length = Math.max(0, Math.ceil((end - first) / step));
  checkSize(node, [length]);
  const numbers = numbersFrom(length, (i) => first + i * step);
  return { shape: [length], numbers, isFloat: start.isFloat };
}

function reshape(node: NodeReader, [x, target]: readonly NumberArray[]): NumberArray {
  const sizes = node.list("shape") ?? target.numbers;
  return withShape(x, targetShape(node, x.shape, sizes));
}

function flatten(node: NodeReader, [x]: readonly NumberArray[]): NumberArray {
  const axis = node.number("axis", 1), { shape } = x, at = axis < 0 ? axis + shape.length : axis;
  return withShape(x, [elements(shape.slice(0, at)), elements(shape.slice(at))]);
}

function scatter(node: NodeReader, [x, at, updates]: readonly NumberArray[]): NumberArray {
  const depth = at.shape.at(-1) ?? 0, parts = elements(at.shape.slice(0, -1));
  const size = elements(x.shape.slice(depth)), isDepth = depth > 0 && depth <= x.shape.length;
  const isInside = at.numbers.every((index, i) => {
    const count = x.shape[i % depth];
    return Number.isInteger(index) && index >= -count && index < count;
  });
  if (!isDepth || !isInside || updates.numbers.length !== parts * size) {
    throw node.bad("its indices and updates do not fit its input: damaged");
  }
  node.expect("reduction", "none");
  checkSize(node, x.shape);
  return scattered(x, at, updates);
}

function splitAt(node: NodeReader, [x, sizes]: readonly NumberArray[]): readonly NumberArray[] {
  const axis = node.axis("axis", x.shape.length, 0);
  const all = splitSizes(node, x.shape[axis], sizes?.numbers);
  return split(x, axis, all.slice(0, node.outputCount)); // num_outputs may be any number
}

function tile(node: NodeReader, [x, { numbers: repeats }]: readonly NumberArray[]): NumberArray {
  checkSize(node, repeats);
  checkSize(node, x.shape.map((size, axis) => size * (repeats[axis] ?? NaN)));
  return x.shape.reduce<NumberArray>(
    (tiled, _, axis) => repeats[axis] ? concat(Array(repeats[axis]).fill(tiled), axis) : tiled,
    x,
  );
}

function where(node: NodeReader, [condition, a, b]: readonly NumberArray[]): NumberArray {
  const shape = broadcast(node, condition.shape, broadcast(node, a.shape, b.shape));
  const [test, yes, no] = [condition, a, b].map((array) => repeated(node, array, shape));
  const numbers = numbersFrom(checkSize(node, shape), (i) => {
    const { numbers, step } = test.numbers[i * test.step] ? yes : no;
    return numbers[i * step];
  });
  return { shape, numbers, isFloat: a.isFloat };
}
