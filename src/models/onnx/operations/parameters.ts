/**
 * Finds the parameters of layers among the constants of an ONNX graph.
 *
 * @module
 */

import { elements, sameShape, type Shape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { ParameterMapping, StoredParameter } from "../../../weights/onnx/reader.ts";
import type { OnnxTensor } from "../../../weights/onnx/tensor.ts";
import { computedTensor } from "../large.ts";
import type { NodeReader } from "../node.ts";
import {
  fixedNumbers,
  mapNumbers,
  type Operand,
  shapeOf,
  type StoredConstant,
  stridesOf,
  type Value,
} from "../values.ts";

/** Returns an input that is a tensor of the file. */
export function weightOf(node: NodeReader, index: number, what = "weight"): StoredConstant {
  const constant = node.constant(index, what), { stored } = constant;
  if (stored) return stored;
  node.numbers(index, what); // checks that they do not depend on the batch
  const [array] = constant.numbers!, name = node.node.inputs[index];
  return { tensor: computedTensor(name, array), shape: array.shape };
}

/** Maps a parameter to a tensor of the file, with its axes in another order. */
export function mapWeight(
  { tensor, shape, strides = stridesOf(shape), factor: own = 1 }: StoredConstant,
  order: readonly number[] = shape.map((_, axis) => axis),
  factor = 1,
): ParameterMapping & { readonly shape: Shape } {
  const ordered = order.map((axis) => shape[axis]), steps = order.map((axis) => strides[axis]);
  // The stride of an axis of size 1 is never used.
  const isContiguous = stridesOf(ordered).every((step, i) => step === steps[i] || ordered[i] === 1);
  return {
    ...{ ...nameOf(tensor), shape: ordered, factor: factor * own },
    ...(!isContiguous && { strides: steps }),
  };
}

/** Refers to a tensor of the file by its name, and to others themselves. */
function nameOf(tensor: OnnxTensor): Pick<StoredParameter, "tensor" | "computed"> {
  return { tensor: tensor.name, ...(tensor.isComputed && { computed: tensor }) };
}

/** Maps a parameter of one axis. In the file, axes of size 1 may come before it. */
export function vectorOf(
  node: NodeReader,
  index: number,
  what: string,
  length: number,
  factor?: number,
): ParameterMapping {
  const constant = node.constant(index, what), shape = shapeOf(constant);
  const isVector = elements(shape) === length && shape.at(-1) === length;
  const mapping = isVector && mapOperand({ constant, factor }, [length]);
  if (mapping) return mapping;
  throw node.bad(`its ${what} is ${formatShape(shape)}, must be [${length}]`);
}

/**
 * Maps a parameter to a constant with as many elements, or with one for all. Returns undefined if
 * the constant is large and in another order.
 */
export function mapOperand(
  { constant, factor = 1, isReciprocal = false }: Operand,
  shape: Shape,
): ParameterMapping | undefined {
  const { stored } = constant, own = stored?.factor ?? 1, numbers = fixedNumbers(constant);
  const count = elements(shapeOf(constant)), hasAll = count === elements(shape);
  if (!hasAll && count !== 1) return undefined;
  if (numbers && !(stored && !stored.strides && hasAll && factor === 1 && !isReciprocal)) {
    if (factor === 1 && !isReciprocal) return { shape, numbers };
    const change = isReciprocal
      ? (value: number) => factor / value
      : (value: number) => factor * value;
    return { shape, numbers: mapNumbers(numbers, change) };
  }
  if (!stored || stored.strides || !hasAll) return undefined;
  return {
    ...{ ...nameOf(stored.tensor), shape },
    factor: isReciprocal ? factor / own : factor * own,
    ...(isReciprocal && { isReciprocal }),
  };
}

/** Whether a shape has the size of one axis, aligned at the last axes, and 1 elsewhere. */
export function isAlong(axis: number, shape: Shape, of: Shape): boolean {
  const missing = of.length - shape.length;
  return missing >= 0 && axis >= missing &&
    sameShape(shape, shape.map((_, i) => i + missing === axis ? of[axis] : 1));
}

/** Whether a number is another one, up to the rounding of float16. */
export function isNear(value: number, expected: number): boolean {
  return Math.abs(value - expected) <= 1e-3 * Math.abs(expected);
}

/** The number that a constant of one element holds. */
export function scalar(value: Value): readonly number[] {
  const numbers = value.kind === "constant" ? fixedNumbers(value) : undefined;
  return numbers?.length === 1 ? numbers : [];
}
