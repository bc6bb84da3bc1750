/**
 * Arithmetic with constants.
 *
 * @module
 */

import { Add, Mul, Slice } from "../../../layers/mod.ts";
import { elements, sameShape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { LayerBuilder } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import { type Absorb, type Activation, type Operand, shapeOf } from "../values.ts";
import { merge, repeat } from "./broadcast.ts";
import { isAlong, mapOperand, scalar } from "./parameters.ts";

/** Adds a constant to an activation, or multiplies it by one. */
export function combineConstant(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  kind: "add" | "mul",
  operand: Operand,
): Activation {
  const { constant, factor = 1, isReciprocal } = operand, { shape } = x, rank = shape.length;
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
 * A constant as a value that depends on the pixels: a part of another one, times 0, plus the constant.
 * Undefined if it has other numbers of axes, or differs in a batch.
 */
export function filled(
  node: NodeReader,
  build: LayerBuilder,
  operand: Operand,
  like: Activation,
): Activation | undefined {
  const { constant } = operand, own = shapeOf(constant), [first, second] = constant.numbers ?? [];
  const missing = like.shape.length - own.length;
  if (missing < 0 || like.grid) return undefined;
  const shape = [...Array<number>(missing).fill(1), ...own], isRow = shape[0] === 1;
  let row = constant;
  if (!isRow) { // one row for each sample
    const numbers = first?.numbers.slice(0, elements(shape.slice(1))) ?? [];
    const isSame = [first, second].every((array, i) =>
      (array?.shape[0] === node.scope.batches[i] || node.scope.isBatchFixed) &&
      array?.numbers.every((value, i) => value === numbers[i % numbers.length])
    );
    if (!first || !isSame || shape[0] !== like.shape[0]) return undefined;
    const array = { ...first, shape: [1, ...shape.slice(1)], numbers };
    row = { ...constant, numbers: [array, array], stored: undefined };
  }
  const part = shape.reduce((part, size, axis) => {
    if (axis === 0 || size === part.shape[axis]) return part;
    const one = build.apply(node, new Slice(axis, 0, 1), [part], { suffix: ".part" });
    return repeat(node, build, one, axis, size);
  }, like);
  const zeros = build.scale(node, part, 0, 0);
  return combineConstant(node, build, zeros, "add", { ...operand, constant: row });
}
