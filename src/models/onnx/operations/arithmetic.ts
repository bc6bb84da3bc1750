/**
 * Arithmetic, and the patterns of it that layers compute.
 *
 * @module
 */

import { Add, GELU, Hardswish, LayerNorm, Mul, SiLU } from "../../../layers/mod.ts";
import { elements, sameShape, type Shape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { ParameterMapping } from "../../../weights/onnx/reader.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import { broadcast } from "../fold.ts";
import type { NodeReader } from "../node.ts";
import {
  type Absorb,
  type Activation,
  type Constant,
  isOpen,
  type Operand,
  scaledOf,
  shapeOf,
} from "../values.ts";
import { isNear, scalar } from "./activation.ts";
import { isAlong, mapOperand } from "./parameters.ts";

export const add: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (a.kind === "constant") return withConstant(node, build, 1, "add", { constant: a });
  if (b.kind === "constant") return withConstant(node, build, 0, "add", { constant: b });
  return merge(node, build, new Add(), [a, b]);
};

export const sub: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (b.kind === "constant") {
    return withConstant(node, build, 0, "add", { constant: b, factor: -1 });
  }
  const minus = build.scale(node, b, -1, 0);
  if (a.kind === "constant") return combineConstant(node, build, minus, "add", { constant: a });
  return { ...merge(node, build, new Add(), [a, minus]), origin: { op: "Sub", inputs: [a, b] } };
};

export const mul: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (a.kind === "constant") return withConstant(node, build, 1, "mul", { constant: a });
  if (b.kind === "constant") return withConstant(node, build, 0, "mul", { constant: b });
  return gated(node, build, a, b) ?? gated(node, build, b, a) ??
    merge(node, build, new Mul(), [a, b]);
};

export const div: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (b.kind === "constant") {
    return withConstant(node, build, 0, "mul", { constant: b, isReciprocal: true });
  }
  const normalised = a.kind === "activation" && layerNorm(node, build, a, b);
  if (normalised) return normalised;
  throw node.bad("a division by what is not a constant is only supported in layer normalisation");
};

export const neg: Operation = (node, build) => build.scale(node, node.activation(0), -1, 0);

export const sum: Operation = (node, build) => {
  const inputs: Activation[] = [], constants: Constant[] = [];
  for (let i = 0; i < node.inputCount; i++) {
    const value = node.value(i);
    if (value.kind === "constant") constants.push(value);
    else inputs.push(value);
  }
  if (inputs.length === 0) throw node.bad("it has no input: damaged");
  const x = inputs.length === 1 ? inputs[0] : merge(node, build, new Add(), inputs);
  return constants.reduce(
    (y, constant) => combineConstant(node, build, y, "add", { constant }),
    x,
  );
};

/** Squares; other powers are parts of patterns. */
export const pow: Operation = (node, build) => {
  const x = node.activation(0), [exponent] = scalar(node.constant(1, "exponent"));
  if (exponent === 1) return x;
  if (exponent !== 2) throw node.bad("only squares are supported");
  return { ...merge(node, build, new Mul(), [x, x]), origin: { op: "Mul", inputs: [x, x] } };
};

/** An operation that no layer computes but as a part of a pattern. */
export const pattern: Operation = (node, build) => build.pattern(node, node.activation(0));

/** Repeats a value along axes of size 1. No layer does it: Add and Mul repeat their inputs themselves. */
export const expand: Operation = (node, build) => {
  const x = node.activation(0), constant = node.computed(1, "shape");
  const [first] = constant.numbers ?? [], target = first?.numbers ?? node.numbers(1, "shape");
  const shape = broadcast(node, x.shape, target);
  if (sameShape(shape, x.shape)) return x;
  const error = node.bad("it is only supported before an Add or Mul with a value of its shape");
  const other = shape.map((size, axis) =>
    size === x.shape[axis] ? x.other[axis] : constant.isSized ? 2 * size : size
  );
  return { ...build.pattern(node, x), shape, other, error };
};

/** Adds or multiplies activations. Smaller ones are repeated, but not along the batch. */
function merge(
  node: NodeReader,
  build: LayerBuilder,
  layer: Add | Mul,
  values: readonly Activation[],
): Activation {
  const isExpanded = (x: Activation) => x.origin?.op === "Expand";
  const others = values.filter((x) => !isExpanded(x));
  const inputs = values.map((x) =>
    isExpanded(x) && others.some((other) => sameShape(other.shape, x.shape))
      ? x.origin!.inputs[0]
      : x
  );
  const [{ shape }] = inputs, other = inputs.find((input) => input.shape.length !== shape.length);
  if (!other) return build.apply(node, layer, inputs);
  const shapes = `${formatShape(shape)} and ${formatShape(other.shape)}`;
  throw node.bad(`${shapes} have different numbers of axes: not supported`);
}

function withConstant(
  node: NodeReader,
  build: LayerBuilder,
  index: number,
  kind: "add" | "mul",
  operand: Operand,
): Activation {
  return combineConstant(node, build, node.activation(index), kind, operand);
}

/** Adds a constant to an activation, or multiplies it by one. */
function combineConstant(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  kind: "add" | "mul",
  operand: Operand,
): Activation {
  const { constant, factor = 1, isReciprocal } = operand, { shape } = x, rank = shape.length;
  const own = shapeOf(constant), [number] = scalar(constant);
  if (constant.isSized) node.scope.bindSize();
  if (number !== undefined && own.length <= rank) {
    const value = isReciprocal ? factor / number : factor * number;
    return kind === "mul" ? build.scale(node, x, value, 0) : build.scale(node, x, 1, value);
  }
  const absorbed = x.step?.absorb?.(kind, operand);
  if (absorbed) return absorbed;
  if (isAlong(1, own, shape)) return channels(node, build, x, kind, operand);
  if (isAlong(rank - 1, own, shape)) { // such as the channels of [N, H, W, C]
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
 * Finds x · g(x) for a gate g: SiLU, hardswish, and GELU, `x · (1 + erf(x / √2)) / 2`. Factors may be
 * anywhere.
 */
function gated(
  node: NodeReader,
  build: LayerBuilder,
  a: Activation,
  b: Activation,
): Activation | undefined {
  const left = scaledOf(a), right = scaledOf(b), { op, inputs = [] } = right.of.origin ?? {};
  if (left.shift !== 0 || inputs.length !== 1) return undefined;
  const inner = scaledOf(inputs[0]), factor = left.scale * right.scale;
  if (inner.of !== left.of || inner.shift !== 0) return undefined;
  if (op === "Erf" && right.shift === right.scale && isNear(inner.scale, Math.SQRT1_2)) {
    return build.scale(node, build.apply(node, new GELU(), [left.of]), 2 * factor, 0);
  }
  const layer = op === "Sigmoid" ? new SiLU() : op === "Hardsigmoid" ? new Hardswish() : undefined;
  if (!layer || right.shift !== 0 || inner.scale !== 1) return undefined;
  return build.scale(node, build.apply(node, layer, [left.of]), factor, 0);
}

/** Finds layer normalisation: d / √(mean(d²) + eps), where d is x − mean(x). */
function layerNorm(
  node: NodeReader,
  build: LayerBuilder,
  difference: Activation,
  root: Activation,
): Activation | undefined {
  const [sum] = inputsOf(root, "Sqrt"), { of: variance, scale, shift: eps } = scaledOf(sum ?? root);
  const [square] = inputsOf(variance, "ReduceMean"), [d1, d2] = inputsOf(square, "Mul");
  const [x, mean] = inputsOf(difference, "Sub"), [source] = inputsOf(mean, "ReduceMean");
  const axes = variance.origin?.numbers ?? [], others = mean?.origin?.numbers ?? [];
  const matches = sum && scale === 1 && eps > 0 && d1 === difference && d2 === difference && x &&
    source === x && axes.join() === others.join();
  const first = x ? x.shape.length - axes.length : 0;
  if (!matches || axes.length === 0 || axes.some((axis, i) => axis !== first + i)) return undefined;
  return normalise(node, build, x, { shape: x.shape.slice(first), eps });
}

function inputsOf(x: Activation | undefined, op: string): readonly Activation[] {
  return x?.origin?.op === op ? x.origin.inputs : [];
}

/** The parameters of a layer normalisation. */
interface LayerNormParameters {
  readonly shape: Shape;
  readonly eps: number;
  readonly weight?: ParameterMapping;
  readonly bias?: ParameterMapping;
}

/** Adds a layer normalisation, which takes a multiplication and an addition after it. */
export function normalise(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  all: LayerNormParameters,
): Activation {
  const { shape, eps, weight, bias } = all;
  const absorb: Absorb = (kind, operand) => {
    const parameter = sameShape(shapeOf(operand.constant), shape) && mapOperand(operand, shape);
    if (!parameter || bias || kind === "mul" && weight) return undefined;
    return normalise(node, build, x, { ...all, [kind === "mul" ? "weight" : "bias"]: parameter });
  };
  const parameters = {
    weight: weight ?? { shape, numbers: [1] },
    bias: bias ?? { shape, numbers: [0] },
  };
  return build.apply(node, new LayerNorm(shape, { eps }), [x], { parameters, absorb });
}

/** Means, sums and maxima along some axes. The axes are an input since opset 13 or 18. */
export function reduction(kind: "mean" | "sum" | "max"): Operation {
  return (node, build) => {
    const x = node.activation(0), { shape } = x, rank = shape.length;
    const keep = node.number("keepdims", 1) !== 0, given = node.listOrInput("axes", 1) ?? [];
    const ignoresNone = node.number("noop_with_empty_axes", 0) !== 0;
    if (given.length === 0 && ignoresNone) return x;
    const axes = given.length === 0
      ? shape.map((_, axis) => axis)
      : given.map((axis) => node.resolveAxis(axis, rank)).toSorted((a, b) => a - b);
    if (axes.includes(0)) throw node.bad("reducing the batch axis is not supported");
    const count = elements(axes.map((axis) => shape[axis]));
    const pooled = build.reduce(node, x, kind === "max" ? "max" : "mean", axes);
    if (kind === "sum" && axes.some((axis) => isOpen(x, axis))) node.scope.bindSize();
    const reduced = kind === "sum" ? build.scale(node, pooled, count, 0) : pooled;
    const y = { ...reduced, origin: { op: node.op, inputs: [x], numbers: axes } };
    return keep ? y : build.view(node, reduced, shape.filter((_, axis) => !axes.includes(axis)));
  };
}
