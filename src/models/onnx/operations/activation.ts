/**
 * Activations, dropout and casts.
 *
 * @module
 */

import {
  Add,
  Dropout,
  ELU,
  GELU,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  type Layer,
  LeakyReLU,
  LogSoftmax,
  Mul,
  PReLU,
  ReLU,
  ReLU6,
  Sigmoid,
  Softmax,
  Softplus,
  Tanh,
} from "../../../layers/mod.ts";
import { elements } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import { floatTypes } from "../fold.ts";
import type { NodeReader } from "../node.ts";
import { type Activation, fixedNumbers, scaledOf, shapeOf, type Value } from "../values.ts";
import { merge } from "./broadcast.ts";
import { combineConstant } from "./constants.ts";
import { isNonZero, truncated } from "./masks.ts";
import { isAlong, isNear, mapOperand, scalar } from "./parameters.ts";
import { checkFloats } from "./quantization.ts";

/** An operation on one input, without attributes. */
function unary(create: () => Layer): Operation {
  return (node, build) => build.apply(node, create(), [node.activation(0)]);
}

/** An operation on one input, with one attribute. */
function withAttribute(
  name: string,
  defaultValue: number,
  create: (value: number) => Layer,
): Operation {
  return (node, build) =>
    build.apply(node, create(node.number(name, defaultValue)), [node.activation(0)]);
}

export const relu = unary(() => new ReLU());
export const sigmoid = unary(() => new Sigmoid());
export const tanh = unary(() => new Tanh());
export const hardSwish = unary(() => new Hardswish());
export const softplus = unary(() => new Softplus());
export const elu = withAttribute("alpha", 1, (alpha) => new ELU(alpha));
export const leakyRelu = withAttribute("alpha", 0.01, (slope) => new LeakyReLU(slope));

/** γ · elu(x). */
export const selu: Operation = (node, build) => {
  const layer = new ELU(node.number("alpha", 1.67326319217681884765625));
  const gamma = node.number("gamma", 1.05070102214813232421875);
  return build.scale(node, build.apply(node, layer, [node.activation(0)]), gamma, 0);
};

/** α · elu(x / α). */
export const celu: Operation = (node, build) => {
  const alpha = node.number("alpha", 1), x = build.scale(node, node.activation(0), 1 / alpha, 0);
  return build.scale(node, build.apply(node, new ELU(), [x]), alpha, 0);
};

/** x · tanh(softplus(x)). */
export const mish: Operation = (node, build) => {
  const x = node.activation(0), gate = build.apply(node, new Softplus(), [x]);
  return build.apply(node, new Mul(), [x, build.apply(node, new Tanh(), [gate])]);
};

export const gelu: Operation = (node, build) => {
  const approximate = node.text("approximate", "none");
  if (approximate !== "none" && approximate !== "tanh") {
    throw node.bad("its attribute approximate is unknown: damaged");
  }
  return build.apply(node, new GELU(approximate), [node.activation(0)]);
};

/** max(0, min(1, alpha · x + beta)). */
export const hardSigmoid: Operation = (node, build) => {
  const alpha = node.number("alpha", 0.2), beta = node.number("beta", 0.5), x = node.activation(0);
  if (isNear(alpha, 1 / 6) && beta === 0.5) return hardsigmoidOf(node, build, x);
  return build.apply(node, new Hardsigmoid(alpha, beta), [x]);
};

/** PyTorch's hardsigmoid. */
function hardsigmoidOf(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  return build.apply(node, new Hardsigmoid(), [x], { origin: { op: "Hardsigmoid" } });
}

/** The slope is one number, or one for each channel. */
export const pRelu: Operation = (node, build) => {
  const x = node.activation(0), constant = node.constant(1, "slope"), shape = shapeOf(constant);
  const isOne = elements(shape) === 1 && shape.length <= x.shape.length;
  const isChannels = isAlong(1, shape, x.shape) || isOne;
  const weight = isChannels && mapOperand({ constant }, [elements(shape)]);
  if (weight) {
    return build.apply(node, new PReLU(elements(shape)), [x], { parameters: { weight } });
  }
  throw node.bad(`its slope is ${formatShape(shape)}: not supported, only one for each channel`);
};

/** Bounds of this size or larger are none: the default of old versions is that of float32. */
const noBound = 3.4e38;

/** The bounds are attributes before opset 11. */
export const clip: Operation = (node, build) => {
  const low = bound(node, "min", 1, -Infinity), high = bound(node, "max", 2, Infinity);
  return clamp(node, build, node.activation(0), low, high);
};

function bound(node: NodeReader, name: string, index: number, none: number): number {
  const value = node.has(index) ? node.scalar(index, name) : node.number(name, none);
  return Math.abs(value) >= noBound ? none : value;
}

/** Limits the values. `min(max(x + 3, 0), 6)` is 6 · hardsigmoid(x). */
export function clamp(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  low: number,
  high: number,
): Activation {
  const { of, scale, shift } = scaledOf(x);
  if (low === 0 && high === 6 && scale === 1 && shift === 3) {
    return build.scale(node, hardsigmoidOf(node, build, of), 6, 0);
  }
  if (low === -Infinity && high === Infinity) return x;
  // ReLU6 may be a ReLU and a minimum.
  const { step } = x, isPositive = step?.layer instanceof ReLU && low <= 0 && high > 0;
  const [from, least] = isPositive ? [step.inputs[0], 0] : [x, low];
  const layer = least === 0 && high === Infinity
    ? new ReLU()
    : least === 0 && high === 6
    ? new ReLU6()
    : new Hardtanh(Math.min(least, high), high); // the upper bound wins
  return build.apply(node, layer, [from]);
}

/** Larger constants are not added for a maximum or minimum: the sum would be too inexact. */
const maxTerm = 1000;

/** The most values of which a maximum or minimum is computed, besides the first. */
const maxTerms = 64;

/** Max and Min: max(x, y) = y + relu(x − y), and min(x, y) = −max(−x, −y). */
export function extremum(kind: "Max" | "Min"): Operation {
  return (node, build) => {
    const sign = kind === "Max" ? 1 : -1, terms: Value[] = [];
    let x: Activation | undefined, limit = -sign * Infinity;
    for (let i = 0; i < node.inputCount; i++) {
      const value = node.value(i), [number] = scalar(value);
      if (value.kind === "constant" && value.isSized) node.scope.bindSize();
      if (number !== undefined) limit = sign * Math.max(sign * limit, sign * number);
      else if (value.kind === "activation" && !x) x = value;
      else terms.push(value);
    }
    if (!x) throw node.bad("it has no input: damaged");
    if (terms.length > maxTerms) {
      throw node.bad(`it has more than ${maxTerms} inputs: not supported`);
    }
    /** x + factor · value */
    const plus = (x: Activation, value: Value, factor: number) =>
      value.kind === "constant"
        ? combineConstant(node, build, x, "add", { constant: value, factor })
        : merge(node, build, new Add(), [x, build.scale(node, value, factor, 0)]);
    for (const term of terms) {
      const numbers = term.kind === "constant" ? fixedNumbers(term) : undefined;
      if (numbers?.some((number) => Math.abs(number) > maxTerm)) {
        throw node.bad(`only constants up to ${maxTerm} are supported`);
      }
      const above = build.apply(node, new ReLU(), [build.scale(node, plus(x, term, -1), sign, 0)]);
      x = plus(build.scale(node, above, sign, 0), term, 1);
    }
    return sign > 0
      ? clamp(node, build, x, limit, Infinity)
      : clamp(node, build, x, -Infinity, limit);
  };
}

/** |x|, as relu(x) + relu(−x). */
export function absolute(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  const parts = [x, build.scale(node, x, -1, 0)];
  return merge(node, build, new Add(), parts.map((part) => build.apply(node, new ReLU(), [part])));
}

export const abs: Operation = (node, build) => absolute(node, build, node.activation(0));

/**
 * Softmax along an axis. Before opset 13, along all axes from that one on.
 */
function softmaxWith(create: (dim: number) => Layer): Operation {
  return (node, build) => {
    const x = node.activation(0), { shape } = x, rank = shape.length, isOld = node.opset < 13;
    const axis = node.axis("axis", rank, isOld ? 1 : -1), inner = shape.slice(axis + 1);
    if (axis === 0 || isOld && node.batchAxis > axis) {
      throw node.bad("softmax along the batch is not supported");
    }
    if (!isOld || elements(inner) === 1) {
      return build.apply(node, create(axis), [x], { origin: { numbers: [axis] } });
    }
    const flat = build.view(node, x, [...shape.slice(0, axis), elements(shape.slice(axis))]);
    return build.view(node, build.apply(node, create(axis), [flat]), shape);
  };
}

export const softmax = softmaxWith((dim) => new Softmax(dim));
export const logSoftmax = softmaxWith((dim) => new LogSoftmax(dim));

/** The probability is an attribute, or an input since opset 12. training_mode is ignored. */
export const dropout: Operation = (node, build) => {
  const attribute = node.number("ratio", 0.5);
  const ratio = node.has(1) ? node.scalar(1, "ratio") : attribute;
  const layer = new Dropout(build.options.dropout ?? ratio);
  return build.apply(node, layer, [node.activation(0)]);
};

export const identity: Operation = (node) => node.activation(0);

/** TensorProto.DataType of booleans, and of integers. */
const booleans = 9, integers = [2, 3, 4, 5, 6, 7, 12, 13];

/** All floats are computed as float32. Integers become floats if they stand for themselves. */
export const cast: Operation = (node, build) => {
  const to = node.number("to", 1), x = node.activation(0), { isInteger, grid } = x;
  if (!isInteger || grid?.scale !== 1 || grid.zero !== 0) checkFloats(node);
  if (floatTypes.includes(to)) {
    return isInteger ? { ...x, isInteger: false, grid: undefined } : x;
  }
  if (to === booleans) return isNonZero(node, build, x);
  if (integers.includes(to)) return isInteger ? x : truncated(node, build, x);
  throw node.bad(`the data type ${to} is not supported, only floats, integers and booleans`);
};
