/**
 * Constants that are not computed from numbers: tensors of the file, of any size, after operations that
 * move their elements or scale them; and shapes.
 *
 * @module
 */

import { elements, sameShape, type Shape } from "../../tensor.ts";
import { floatTypes, shapeNumbers } from "./fold.ts";
import { shapeInFile } from "./moved.ts";
import type { NodeReader } from "./node.ts";
import { permutation, squeezedShape, targetShape, unsqueezedShape } from "./shape_rules.ts";
import {
  type Constant,
  fixedNumbers,
  type GraphValue,
  isFloatTensor,
  type NumberArray,
  probed,
  sameNumbers,
  shapeOf,
  type StoredConstant,
  stridesOf,
} from "./values.ts";

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
  if (op === "Expand" || op === "Tile") return repeat(node, stored, second);
  return move(node, stored);
}

function isFloat({ tensor }: StoredConstant): boolean {
  return isFloatTensor(tensor);
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

/** Repeats axes of size 1, which then have the stride 0, as in a kernel for every channel. */
function repeat(
  { op }: NodeReader,
  stored: StoredConstant,
  by: Constant | undefined,
): StoredConstant | undefined {
  const numbers = by && !by.isSized ? fixedNumbers(by) : undefined, isTile = op === "Tile";
  if (!numbers || !isFloat(stored) || isTile && numbers.length !== stored.shape.length) {
    return undefined;
  }
  const rank = Math.max(numbers.length, stored.shape.length);
  const aligned = (list: readonly number[], missing: number) => [
    ...Array<number>(rank - list.length).fill(missing),
    ...list,
  ];
  const from = aligned(stored.shape, 1), counts = aligned(numbers, 1);
  const strides = aligned(stored.strides ?? stridesOf(stored.shape), 0);
  const shape = from.map((size, i) => isTile || size === 1 ? size * counts[i] : size);
  const isRepeated = shape.every((size, i) =>
    Number.isSafeInteger(size) && size > 0 &&
    (from[i] === 1 || counts[i] === 1 || !isTile && counts[i] === size)
  );
  if (!isRepeated) return undefined;
  return { ...stored, shape, strides: from.map((size, i) => size === 1 ? 0 : strides[i]) };
}

/** Repeats a constant for each sample, as a class token. Its shape is that for the first batch size. */
export function repeatForBatch(
  { op, scope: { batches } }: NodeReader,
  [row, by]: readonly (Constant | undefined)[],
): Constant | undefined {
  const [first, second] = by?.numbers ?? [];
  if (op !== "Expand" || !row || row.row || row.isSized || by!.isSized || !first || !second) {
    return undefined;
  }
  const own = shapeOf(row), shape = first.numbers;
  const isRow = own.length === shape.length && own[0] === 1 &&
    shape.every((size, axis) => axis === 0 || size === own[axis] || size === 1);
  const isBatch = [first, second].every(({ numbers }, i) => numbers[0] === batches[i]);
  if (!isRow || !isBatch || !sameNumbers(shape.slice(1), second.numbers.slice(1))) return undefined;
  return { kind: "constant", isSized: false, row };
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

/** The shape of a value, for both batch sizes, and for other sizes of images. */
export function shapeConstant(node: NodeReader, x: GraphValue): Constant {
  const { batches } = node.scope, [, batch] = batches;
  const numbersOf = (sizes: Shape): NumberArray =>
    node.op === "Shape"
      ? shapeNumbers(node, sizes)
      : { shape: [], numbers: [elements(sizes)], isFloat: false };
  if (x.kind === "constant") {
    const own = shapeOf(x), shapes = x.row ? batches.map((size) => own.with(0, size)) : [own];
    const [first, second = first] = shapes.map(numbersOf);
    return { kind: "constant", numbers: [first, second], isSized: false };
  }
  const isMoved = x.kind === "moved", own = isMoved ? x.of : x;
  const second = isMoved ? shapeInFile(x, batch) : x.shape.with(0, batch);
  const isSized = !sameShape(own.shape, own.other);
  return {
    ...{ kind: "constant", numbers: [numbersOf(x.shape), numbersOf(second)], isSized },
    ...(isSized && !isMoved && { others: numbersOf(probed(x)), source: x }),
  };
}
