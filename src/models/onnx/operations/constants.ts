/**
 * Arithmetic with constants.
 *
 * @module
 */

import { Add, Mul } from "../../../layers/mod.ts";
import { elements, sameShape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import { Repeated } from "../constant_layers.ts";
import type { LayerBuilder } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import {
  type Absorb,
  type Activation,
  type Constant,
  fixedNumbers,
  type Operand,
  shapeOf,
  wholeNumbers,
} from "../values.ts";
import { merge } from "./broadcast.ts";
import { isAlong, mapOperand, mapWeight, scalar } from "./parameters.ts";

/** Adds a constant to an activation, or multiplies it by one. */
export function combineConstant(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  kind: "add" | "mul",
  operand: Operand,
): Activation {
  const { constant: { row }, factor = 1, isReciprocal } = operand;
  const { shape } = x, rank = shape.length;
  if (row) {
    if (shapeOf(row).length !== rank || node.lift) {
      throw node.bad("its input is repeated for each sample: not supported");
    }
    return combineConstant(node, build, x, kind, { ...operand, constant: row });
  }
  const { constant } = operand;
  const own = shapeOf(constant), [number] = scalar(constant);
  if (constant.isSized) node.scope.bindSize();
  if (number === undefined || shape[rank - 1] === 1) { // the bias of one feature is one number
    const absorbed = x.step?.absorb?.(kind, operand);
    if (absorbed) return absorbed;
  }
  if (number !== undefined && own.length <= rank) {
    const value = isReciprocal ? factor / number : factor * number;
    return kind === "mul" ? build.scale(node, x, value, 0) : build.scale(node, x, 1, value);
  }
  if (isAlong(1, own, shape)) return channels(node, build, x, kind, operand);
  if (rank > 1 && isAlong(rank - 1, own, shape)) { // such as the channels of [N, H, W, C]
    const axes = shape.map((_, axis) => axis), last = axes.pop()!;
    const ordered = build.permute(node, x, [axes[0], last, ...axes.slice(1)]);
    const y = channels(node, build, ordered, kind, operand);
    return build.permute(node, y, [0, ...axes.slice(1).map((axis) => axis + 1), 1]);
  }
  const missing = Array<number>(Math.max(0, rank - own.length)).fill(1);
  if (sameShape([...missing, ...own], shape.with(0, 1))) { // one for each element
    const flat = build.view(node, x, [shape[0], elements(own)]);
    return build.view(node, channels(node, build, flat, kind, operand), shape);
  }
  const other = filled(node, build, operand, x);
  if (other) return merge(node, build, kind === "mul" ? new Mul() : new Add(), [x, other]);
  throw node.bad(
    `a constant ${formatShape(own)} and an input ${formatShape(shape)} are not supported: ` +
      "only one number, or one for each channel",
  );
}

/** The operands of a batch normalisation, (x + first) · weight + bias. */
interface Operands {
  readonly first?: Operand;
  readonly weight?: Operand;
  readonly bias?: Operand;
}

/** Adds a constant to each channel, or multiplies by one. Others may follow. */
function channels(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  kind: "add" | "mul",
  operand: Operand,
): Activation {
  const y = affine(node, build, x, { [kind === "add" ? "bias" : "weight"]: operand });
  if (y) return y;
  throw node.bad("a constant in another order is not supported");
}

function affine(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  { first, weight, bias }: Operands,
): Activation | undefined {
  const shape = [x.shape[1]];
  const [mean, ...others] = [first && { ...first, factor: -(first.factor ?? 1) }, weight, bias]
    .map((operand) => operand && mapOperand(operand, shape));
  const isMapped = !first === !mean && !weight === !others[0] && !bias === !others[1];
  if (!isMapped) return undefined;
  const absorb: Absorb = (kind, next) => {
    if (!isAlong(1, shapeOf(next.constant), x.shape)) return undefined;
    if (kind === "add" && !bias) return affine(node, build, x, { first, weight, bias: next });
    if (kind === "mul" && !weight && !first) {
      return affine(node, build, x, { first: bias, weight: next });
    }
    return undefined;
  };
  const parameters = { mean, weight: others[0], bias: others[1] };
  return build.channelAffine(node, x, parameters, { absorb });
}

/**
 * A constant as a value for each sample. Undefined if it has more axes than `like`, differs in a batch, or is
 * large and computed in another way.
 *
 * @param like Another value, with the batch and the number of axes.
 */
export function filled(
  node: NodeReader,
  build: LayerBuilder,
  operand: Operand,
  like: Activation,
): Activation | undefined {
  const rank = like.shape.length, constant = rowOf(node, operand.constant, rank);
  const own = shapeOf(constant);
  if (own.length > rank || like.grid && like.grid !== wholeNumbers) return undefined;
  const shape = [...Array<number>(rank - own.length).fill(1), ...own];
  if (shape[0] !== 1 || node.lift && node.lift.axis >= 0 && shape[node.batchAxis] !== 1) {
    return undefined;
  }
  const { stored } = constant, isMoved = stored?.strides && !operand.isReciprocal;
  const weight = isMoved
    ? mapWeight(stored, undefined, operand.factor)
    : mapOperand({ ...operand, constant }, own);
  if (!weight) return undefined;
  if (constant.isSized) node.scope.bindSize();
  const layer = new Repeated(own, shape.slice(1));
  return build.apply(node, layer, [like], { parameters: { weight }, suffix: ".constant" });
}

/** A node with constants only, such as the first image of a generator, gets one as a value for each sample. */
export function withTensor(node: NodeReader, build: LayerBuilder): NodeReader {
  const values = node.node.inputs.map((name) => node.scope.value(name)), [first] = values;
  if (first?.kind !== "constant" || values.some((x) => x && x.kind !== "constant")) return node;
  const [batch] = node.scope.batches, rank = shapeOf(first).length;
  const shape = [batch, ...Array<number>(Math.max(0, rank - 1)).fill(1)];
  const like: Activation = { kind: "activation", shape, other: shape }; // the input of the graph
  const tensor = rank > 1 ? filled(node, build, { constant: first }, like) : undefined;
  if (tensor) return node.withValues((value) => value === first ? tensor : value);
  throw node.bad("this operation is not supported for constants");
}

/** The part of a constant for one sample, if its first axis is the batch, and all samples have the same. */
function rowOf(node: NodeReader, constant: Constant, rank: number): Constant {
  const { row, stored, numbers: [first, second] = [] } = constant, shape = shapeOf(constant);
  if (row) return row;
  const isFixed = shape[0] === 1 && (!first || fixedNumbers(constant));
  if (node.lift || shape.length !== rank || isFixed) return constant;
  const { batches, isBatchFixed } = node.scope, [batch] = batches;
  if (stored && stored.strides?.[0] === 0 && isBatchFixed && shape[0] === batch) {
    return {
      kind: "constant",
      stored: { ...stored, shape: shape.with(0, 1) },
      isSized: constant.isSized,
    };
  }
  const numbers = first?.numbers.slice(0, elements(shape.slice(1))) ?? [];
  const isSame = [first, second].every((array, i) =>
    (array?.shape[0] === batches[i] || isBatchFixed) &&
    array?.numbers.every((value, i) => value === numbers[i % numbers.length])
  );
  if (!first || !isSame || shape[0] !== batch) return constant;
  const array = { ...first, shape: shape.with(0, 1), numbers };
  return { ...constant, numbers: [array, array], stored: undefined };
}
