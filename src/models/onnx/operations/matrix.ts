/**
 * Matrix products: with weights, and of two tensors that are both computed, as in attention.
 *
 * @module
 */

import { Linear, MatMul, Permute } from "../../../layers/mod.ts";
import { elements } from "../../../tensor.ts";
import type { ParameterMapping } from "../../../weights/onnx/reader.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import { formatValue } from "../shape_rules.ts";
import { type Absorb, type Activation, isOpen, shapeOf, type Value } from "../values.ts";
import { repeat } from "./broadcast.ts";
import { combineConstant, filled } from "./constants.ts";
import { isAlong, mapOperand, mapWeight, vectorOf, weightOf } from "./parameters.ts";
import { hasScales } from "./quantization.ts";

/** alpha · x · W + beta · C. W is [in, out], or [out, in] with transB. */
export const gemm: Operation = (node, build) => {
  const x = node.activation(0), factor = node.value(1, "weight"), rank = node.lift ? 3 : 2;
  const transposeA = node.number("transA", 0) !== 0, transposeB = node.number("transB", 0) !== 0;
  const alpha = node.number("alpha", 1), beta = node.number("beta", 1);
  const weight = factor.kind === "constant" ? weightOf(node, 1) : undefined;
  const { shape } = weight ?? factor as Activation;
  if (x.shape.length !== rank || shape.length !== (weight ? 2 : rank)) {
    throw node.bad(`${multiplies(node, x, factor)}: both must be matrices`);
  }
  if (!weight) {
    const y = product(node, build, [x, factor as Activation], { transposeA, transposeB });
    const scaled = build.scale(node, y, alpha, 0);
    if (!node.has(2) || beta === 0) return scaled;
    const operand = { constant: node.constant(2, "bias"), factor: beta };
    return combineConstant(node, build, scaled, "add", operand);
  }
  node.expect("transA", 0);
  const mapping = mapWeight(weight, transposeB ? [0, 1] : [1, 0], alpha);
  const [outFeatures] = mapping.shape, isInteger = build.usesIntegers && hasScales(weight);
  if (!node.has(2) || beta === 0) return linear(node, build, x, { weight: mapping, isInteger });
  const constant = node.constant(2, "bias");
  const bias = elements(shapeOf(constant)) === 1
    ? mapOperand({ constant, factor: beta }, [outFeatures])
    : vectorOf(node, 2, "bias", outFeatures, beta);
  return linear(node, build, x, { weight: mapping, isInteger, bias });
};

/** A matrix product: with a weight, or of two computed tensors. */
export const matMul: Operation = (node, build) => {
  const [a, b] = [node.value(0), node.value(1, "weight")];
  if (a.kind === "activation" && b.kind === "activation") return product(node, build, [a, b]);
  const index = a.kind === "constant" ? 0 : 1, [constant, x] = index === 0 ? [a, b] : [b, a];
  if (constant.kind === "constant" && x.kind === "activation" && shapeOf(constant).length > 2) {
    const whole = filled(node, build, { constant }, x);
    if (whole) return product(node, build, index === 0 ? [whole, x] : [x, whole]);
  }
  const stored = weightOf(node, index), isInteger = build.usesIntegers && hasScales(stored);
  if (x.kind === "constant" || stored.shape.length !== 2 || x.shape.length < 2) {
    throw node.bad(`${multiplies(node, a, b)}: only a constant matrix is supported`);
  }
  if (index === 1) return linear(node, build, x, { weight: mapWeight(stored, [1, 0]), isInteger });
  const axes = [...x.shape.keys()], last = axes.length - 1;
  if (node.batchAxis > last - 2) throw node.bad(`${multiplies(node, a, b)}: not supported`);
  const swapped = [...axes.slice(0, -2), last, last - 1], columns = build.permute(node, x, swapped);
  const y = linear(node, build, columns, { weight: mapWeight(stored), isInteger });
  return build.permute(node, y, swapped);
};

function multiplies(node: NodeReader, a: Value, b: Value): string {
  return `it multiplies ${formatValue(node, a)} by ${formatValue(node, b)}`;
}

/** How the factors of a product lie in memory. */
interface Transposes {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** The products of the matrices in the last two axes. Size 1 is repeated in the other ones. */
export function product(
  node: NodeReader,
  build: LayerBuilder,
  [a, b]: readonly [Activation, Activation],
  { transposeA = false, transposeB = false }: Transposes = {},
): Activation {
  const rank = a.shape.length, lead = [...a.shape.keys()].slice(1, -2);
  if (rank !== b.shape.length || rank < 3 || node.batchAxis > rank - 3) {
    throw node.bad(`${multiplies(node, a, b)}, which mixes samples: not supported`);
  }
  const spread = (x: Activation, other: Activation) =>
    lead.reduce((y, axis) => {
      if (x.shape[axis] !== 1 || other.shape[axis] === 1) return y;
      return repeat(node, build, y, axis, other.shape[axis], isOpen(other, axis));
    }, x);
  const [left, right] = [spread(a, b), spread(b, a)].map((x) => inRows(node, build, x));
  const layer = new MatMul({
    transposeA: transposeA !== left.isTransposed,
    transposeB: transposeB !== right.isTransposed,
  });
  build.countProducts(node, layer.macsOf([left.x.shape, right.x.shape]) / a.shape[0]);
  return build.apply(node, layer, [left.x, right.x], { suffix: "" });
}

/** Leaves the transposition of a factor to the product, if its rows are contiguous before. */
function inRows(node: NodeReader, build: LayerBuilder, of: Activation) {
  const x = build.computed(of), { step } = x;
  if (!(step?.layer instanceof Permute)) return { x, isTransposed: false };
  const dims = step.layer.dims, last = dims.length - 1;
  if (dims[last - 1] !== last) return { x, isTransposed: false };
  const order = [...dims.slice(0, -2), dims[last], dims[last - 1]];
  return { x: build.permute(node, step.inputs[0], order), isTransposed: true };
}

/** What a fully connected layer multiplies by and adds. */
interface LinearOperands {
  readonly weight: ParameterMapping;
  /** Whether the file has the weights in 8 bits. */
  readonly isInteger: boolean;
  readonly bias?: ParameterMapping;
}

/** Adds a fully connected layer. Without a bias, it takes one from an addition after it. */
export function linear(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  { weight, isInteger, bias }: LinearOperands,
): Activation {
  const [outFeatures, inFeatures] = weight.shape, precision = build.precisionOf(isInteger);
  if (node.batchAxis === x.shape.length - 1) {
    throw node.bad(`it multiplies ${formatValue(node, x)} across samples: not supported`);
  }
  const layer = new Linear(inFeatures, outFeatures, { bias: bias !== undefined, precision });
  const absorb: Absorb = (kind, operand) => {
    const along = isAlong(x.shape.length - 1, shapeOf(operand.constant), y.shape);
    const added = kind === "add" && along ? mapOperand(operand, [outFeatures]) : undefined;
    return added && linear(node, build, x, { weight, isInteger, bias: added });
  };
  const parameters: Record<string, ParameterMapping> = bias ? { weight, bias } : { weight };
  const y = build.apply(node, layer, [x], { parameters, ...(!bias && { absorb }) });
  return y;
}
