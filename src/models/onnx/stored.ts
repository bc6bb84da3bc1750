/**
 * Tensors of the file, of any size, after operations that move their elements or scale them.
 *
 * @module
 */

import { floatTypes } from "./fold.ts";
import type { NodeReader } from "./node.ts";
import { permutation, squeezedShape, targetShape, unsqueezedShape } from "./shape_rules.ts";
import { type Constant, fixedNumbers, type StoredConstant, stridesOf } from "./values.ts";

/** Returns the output of a node; undefined if it is not a tensor of the file in another form. */
export function changeStored(
  node: NodeReader,
  inputs: readonly (Constant | undefined)[],
): StoredConstant | undefined {
  const [first, second] = inputs, { op } = node, stored = first?.stored;
  if (op === "Mul" && !stored && second?.stored) return scale(second.stored, first);
  if (!stored) return undefined;
  if (op === "Identity") return stored;
  if (op === "Cast") {
    return isFloat(stored) && floatTypes.includes(node.number("to", 1)) ? stored : undefined;
  }
  if (op === "Mul") return scale(stored, second) ?? (second?.stored && scale(second.stored, first));
  if (op === "Div") return scale(stored, second, true);
  return move(node, stored);
}

function isFloat({ tensor: { dtype } }: StoredConstant): boolean {
  return /^B?F/.test(dtype);
}

/** Multiplies by a constant of one element, or divides by it. */
function scale(
  stored: StoredConstant,
  by: Constant | undefined,
  divides = false,
): StoredConstant | undefined {
  const [number, ...more] = by && fixedNumbers(by) || [], { factor = 1 } = stored;
  const rank = by?.numbers?.[0].shape.length ?? 0;
  if (number === undefined || more.length > 0 || rank > stored.shape.length) return undefined;
  return isFloat(stored)
    ? { ...stored, factor: divides ? factor / number : factor * number }
    : undefined;
}

/** Changes the shape, or the order of axes. */
function move(node: NodeReader, stored: StoredConstant): StoredConstant | undefined {
  const { shape, strides } = stored, { op } = node;
  if (op === "Transpose") {
    const order = permutation(node, shape.length), from = strides ?? stridesOf(shape);
    return {
      ...stored,
      shape: order.map((axis) => shape[axis]),
      strides: order.map((axis) => from[axis]),
    };
  }
  if (strides || !["Reshape", "Squeeze", "Unsqueeze"].includes(op)) return undefined;
  const numbers = node.has(1) ? node.numbers(1, "shape") : undefined;
  const input = numbers && { shape: [numbers.length], numbers, isFloat: false };
  if (op === "Squeeze") return { ...stored, shape: squeezedShape(node, shape, input) };
  if (op === "Unsqueeze") return { ...stored, shape: unsqueezedShape(node, shape, input) };
  const target = node.list("shape") ?? numbers ?? [];
  return { ...stored, shape: targetShape(node, shape, target) };
}
