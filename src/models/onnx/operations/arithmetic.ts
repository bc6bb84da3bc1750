/**
 * Arithmetic, and the patterns of it that layers compute.
 *
 * @module
 */

import { Add, GELU, Hardswish, LayerNorm, Mul, SiLU } from "../../../layers/mod.ts";
import { sameShape, type Shape } from "../../../tensor.ts";
import type { ParameterMapping } from "../../../weights/onnx/reader.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import {
  type Absorb,
  type Activation,
  type Constant,
  isOpen,
  type Operand,
  scaledOf,
  shapeOf,
  type Value,
} from "../values.ts";
import { merge } from "./broadcast.ts";
import { combineConstant } from "./constants.ts";
import { isNear, mapOperand } from "./parameters.ts";

export const add: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (a.kind === "constant") return withConstant(node, build, 1, "add", { constant: a });
  if (b.kind === "constant") return withConstant(node, build, 0, "add", { constant: b });
  return merge(node, build, new Add(), [a, b]);
};

export const sub: Operation = (node, build) => subtract(node, build, node.value(0), node.value(1));

/** a − b, of which one at least is no constant. */
export function subtract(node: NodeReader, build: LayerBuilder, a: Value, b: Value): Activation {
  if (b.kind === "constant") {
    const x = a.kind === "activation" ? a : node.activation(0);
    return combineConstant(node, build, x, "add", { constant: b, factor: -1 });
  }
  const minus = build.scale(node, b, -1, 0);
  if (a.kind === "constant") return combineConstant(node, build, minus, "add", { constant: a });
  return { ...merge(node, build, new Add(), [a, minus]), origin: { op: "Sub", inputs: [a, b] } };
}

export const mul: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (a.kind === "constant") return withConstant(node, build, 1, "mul", { constant: a });
  if (b.kind === "constant") return withConstant(node, build, 0, "mul", { constant: b });
  return gated(node, build, a, b) ?? gated(node, build, b, a) ??
    layerNorm(node, build, a, inputsOf(b, "Reciprocal")[0]) ??
    merge(node, build, new Mul(), [a, b]);
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

/** An operation that no layer computes but as a part of a pattern. */
export const pattern: Operation = (node, build) =>
  build.pattern(node, node.activation(0), "in GELU");

function withConstant(
  node: NodeReader,
  build: LayerBuilder,
  index: number,
  kind: "add" | "mul",
  operand: Operand,
): Activation {
  return combineConstant(node, build, node.activation(index), kind, operand);
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
  if (inputs.length !== 1) return undefined;
  const inner = scaledOf(inputs[0]), factor = left.scale * right.scale;
  if (inner.of !== left.of) return undefined;
  if (op === "Erf" && right.shift === right.scale) {
    // GELU takes what has the factor of erf's input
    const scale = inner.scale * Math.SQRT2, shift = inner.shift * Math.SQRT2;
    if (scale === 0 || !isNear(left.shift * scale, left.scale * shift)) return undefined;
    const isPlain = isNear(scale, 1) && shift === 0;
    const x = isPlain ? left.of : build.scale(node, left.of, scale, shift);
    const gelu = build.apply(node, new GELU(), [x]);
    return build.scale(node, gelu, 2 * (isPlain ? factor : factor / scale), 0);
  }
  const layer = op === "Sigmoid" ? new SiLU() : op === "Hardsigmoid" ? new Hardswish() : undefined;
  const isPlain = inner.scale === 1 && inner.shift === 0 && left.shift === 0 && right.shift === 0;
  if (!layer || !isPlain) return undefined;
  return build.scale(node, build.apply(node, layer, [left.of]), factor, 0);
}

/** Finds layer normalisation: d / √(mean(d²) + eps), where d is x − mean(x). */
export function layerNorm(
  node: NodeReader,
  build: LayerBuilder,
  difference: Activation,
  root: Activation | undefined,
): Activation | undefined {
  const [sum] = inputsOf(root, "Sqrt"),
    { of: variance, scale, shift: eps } = scaledOf(sum ?? difference);
  const [square] = inputsOf(variance, "ReduceMean"), [d, same] = inputsOf(square, "Mul");
  const axes = variance.origin?.numbers ?? [], x = centred(difference, axes);
  const matches = scale === 1 && eps > 0 && d === same && x && centred(d, axes) === x;
  if (!matches || axes.length === 0 || axes.some((axis) => isOpen(x, axis))) return undefined;
  const order = [...x.shape.keys()].filter((axis) => !axes.includes(axis)).concat(axes);
  const last = build.permute(node, x, order), shape = axes.map((axis) => x.shape[axis]);
  return build.permute(
    node,
    normalise(node, build, last, { shape, eps }),
    order.map((_, axis) => order.indexOf(axis)),
  );
}

/** Returns x if a value is x minus its mean along some axes. */
function centred(
  difference: Activation | undefined,
  axes: readonly number[],
): Activation | undefined {
  const [x, mean] = inputsOf(difference, "Sub");
  const isMean = inputsOf(mean, "ReduceMean")[0] === x &&
    mean?.origin?.numbers?.join() === axes.join();
  return isMean ? x : undefined;
}

/** The inputs of an operation, if it is this one. */
export function inputsOf(x: Activation | undefined, op: string): readonly Activation[] {
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
