/**
 * Powers, quotients, and what consists of them.
 *
 * @module
 */

import { Add, LocalResponseNorm, LogSoftmax, Mul, Sigmoid, Softplus } from "../../../layers/mod.ts";
import { elements, sameShape } from "../../../tensor.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import { type Activation, isOpen, scaledOf } from "../values.ts";
import { absolute, clamp } from "./activation.ts";
import { inputsOf, layerNorm } from "./arithmetic.ts";
import { merge } from "./broadcast.ts";
import { combineConstant } from "./constants.ts";
import { scalar } from "./parameters.ts";

/** Added to squares, so that 0 does not divide 0. */
const tiny = 1e-37;

/**
 * xᵖ of positive x, and −|x|ᵖ of negative x: x / (x²)^((1 − p) / 2), which is the local response
 * normalisation of each channel by itself.
 */
export function power(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  exponent: number,
): Activation {
  const layer = x.step?.layer, { shape } = x;
  if (layer instanceof LocalResponseNorm && layer.options.k === tiny) { // a power of a power
    return power(node, build, x.step!.inputs[0], (1 - 2 * layer.options.beta!) * exponent);
  }
  if (exponent === 1) return x;
  const norm = new LocalResponseNorm(1, { alpha: 1, beta: (1 - exponent) / 2, k: tiny });
  if (shape.length > 2) return build.apply(node, norm, [x]);
  const planes = build.view(node, x, [shape[0], elements(shape.slice(1)), 1]);
  return build.view(node, build.apply(node, norm, [planes]), shape);
}

const square = (node: NodeReader, build: LayerBuilder, x: Activation): Activation => ({
  ...merge(node, build, new Mul(), [x, x]),
  origin: { op: "Mul", inputs: [x, x] },
});

export const sqrt: Operation = (node, build) => {
  const x = node.activation(0);
  return { ...power(node, build, x, 0.5), origin: { op: "Sqrt", inputs: [x] } };
};

/** 1 / x. That of 1 + e⁻ˣ is a sigmoid. */
function inverse(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  const { of, scale, shift } = scaledOf(x), [exponent] = inputsOf(of, "Exp");
  if (exponent && scale === 1 && shift === 1) {
    return build.apply(node, new Sigmoid(), [build.scale(node, exponent, -1, 0)], {
      origin: { op: "Sigmoid" },
    });
  }
  return { ...power(node, build, x, -1), origin: { op: "Reciprocal", inputs: [x] } };
}

export const reciprocal: Operation = (node, build) => inverse(node, build, node.activation(0));

/** The exponential of larger numbers is infinite in float32. */
const largestExponent = 89;

/**
 * eˣ, as (σ(x / 4) / σ(−x / 4))⁴. Without the quarters, the quotient would be inexact for x above 40.
 */
function exponential(node: NodeReader, build: LayerBuilder, of: Activation): Activation {
  const x = clamp(node, build, of, -Infinity, largestExponent);
  const [a, b] = [0.25, -0.25].map((factor) =>
    build.apply(node, new Sigmoid(), [build.scale(node, x, factor, 0)])
  );
  const root = merge(node, build, new Mul(), [a, inverse(node, build, b)]);
  const squared = merge(node, build, new Mul(), [root, root]);
  return merge(node, build, new Mul(), [squared, squared]);
}

export const exp: Operation = (node, build) => {
  const x = node.activation(0);
  return { ...exponential(node, build, x), origin: { op: "Exp", inputs: [x] } };
};

/** The logarithm of smaller and larger numbers is that of these, because squares must be finite. */
const smallestLog = 1e-16, largestLog = 1e18;

/** log x is nearly (xᵖ − x⁻ᵖ) / 2p. A step of Newton's method, y + x / eʸ − 1, makes it exact. */
function logarithm(node: NodeReader, build: LayerBuilder, of: Activation): Activation {
  const x = clamp(node, build, of, smallestLog, largestLog), p = 2 ** -10;
  const [a, b] = [p, -p].map((exponent) =>
    build.scale(node, power(node, build, x, exponent), 1 / (2 * exponent), 0)
  );
  const y = merge(node, build, new Add(), [a, b]);
  const quotient = exponential(node, build, build.scale(node, y, -1, 0));
  const ratio = build.scale(node, merge(node, build, new Mul(), [x, quotient]), 1, -1);
  return merge(node, build, new Add(), [y, ratio]);
}

/** Those of probabilities have layers of their own. */
export const log: Operation = (node, build) => {
  const x = node.activation(0),
    { op, inputs: [before] = [], numbers: [axis] = [] } = x.origin ?? {};
  if (op === "Softmax" && axis !== undefined) {
    return build.apply(node, new LogSoftmax(axis), [before]);
  }
  if (op !== "Sigmoid") return logarithm(node, build, x);
  const negated = build.apply(node, new Softplus(), [build.scale(node, before, -1, 0)]);
  return build.scale(node, negated, -1, 0);
};

export const div: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1)];
  if (b.kind === "constant") {
    const operand = { constant: b, isReciprocal: true };
    return combineConstant(node, build, node.activation(0), "mul", operand);
  }
  if (a.kind === "constant") {
    return combineConstant(node, build, inverse(node, build, b), "mul", { constant: a });
  }
  const [small] = sameShape(a.shape, b.shape) ? inputsOf(b, "Expand") : [];
  return layerNorm(node, build, a, b) ??
    merge(node, build, new Mul(), [a, inverse(node, build, small ?? b)]);
};

/** Larger exponents are not computed by multiplications. */
const maxFactors = 8;

/** Powers by whole numbers are products; others are those of positive values. */
export const pow: Operation = (node, build) => {
  const x = node.activation(0), [exponent = 0] = scalar(node.constant(1, "exponent"));
  const count = Math.abs(exponent);
  if (count === 0 || !Number.isFinite(count)) {
    throw node.bad("only an exponent that is one number other than 0 is supported");
  }
  if (!Number.isInteger(count) || count > maxFactors) {
    const isEven = exponent % 2 === 0; // also of negative values
    return isEven
      ? power(node, build, square(node, build, x), exponent / 2)
      : power(node, build, x, exponent);
  }
  let y = count > 1 ? square(node, build, x) : x;
  for (let i = 2; i < count; i++) y = merge(node, build, new Mul(), [y, x]);
  return exponent < 0 ? inverse(node, build, y) : y;
};

/** Means, sums, maxima and so on along some axes. */
type Reduction = "mean" | "sum" | "max" | "min" | "L1" | "L2" | "squares" | "logSumExp";

/** Reduces along some axes. The axes are an input since opset 13 or 18. */
export function reduction(kind: Reduction): Operation {
  return (node, build) => {
    const x = node.activation(0), { shape } = x, rank = shape.length;
    const keep = node.number("keepdims", 1) !== 0, given = node.listOrInput("axes", 1) ?? [];
    const ignoresNone = node.number("noop_with_empty_axes", 0) !== 0;
    if (given.length === 0 && ignoresNone) return x;
    const axes = given.length === 0
      ? shape.map((_, axis) => axis)
      : given.map((axis) => node.resolveAxis(axis, rank)).toSorted((a, b) => a - b);
    if (axes.includes(0)) throw node.bad("reducing the batch axis is not supported");
    // the largest is subtracted before, and added after, so that the exponentials are finite
    const peak = kind === "logSumExp" ? build.reduce(node, x, "max", axes) : undefined;
    const source = peak
      ? exponential(node, build, merge(node, build, new Add(), [x, build.scale(node, peak, -1, 0)]))
      : kind === "min"
      ? build.scale(node, x, -1, 0)
      : kind === "L1"
      ? absolute(node, build, x)
      : kind === "L2" || kind === "squares"
      ? square(node, build, x)
      : x;
    const isMax = kind === "max" || kind === "min", isSum = !isMax && kind !== "mean";
    if (isSum && axes.some((axis) => isOpen(x, axis))) node.scope.bindSize();
    const pooled = build.reduce(node, source, isMax ? "max" : "mean", axes);
    const factor = kind === "min" ? -1 : isSum ? elements(axes.map((axis) => shape[axis])) : 1;
    const scaled = factor === 1 ? pooled : build.scale(node, pooled, factor, 0);
    const reduced = peak
      ? merge(node, build, new Add(), [logarithm(node, build, scaled), peak])
      : kind === "L2"
      ? power(node, build, scaled, 0.5)
      : scaled;
    const y = { ...reduced, origin: { op: node.op, inputs: [x], numbers: axes } };
    return keep ? y : build.view(node, reduced, shape.filter((_, axis) => !axes.includes(axis)));
  };
}
