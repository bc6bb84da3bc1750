/**
 * Normalisation.
 *
 * @module
 */

import { BatchNorm1d, BatchNorm2d, GroupNorm, LocalResponseNorm } from "../../../layers/mod.ts";
import { elements } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { ParameterMapping } from "../../../weights/onnx/reader.ts";
import type { Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import { fixedNumbers, shapeOf } from "../values.ts";
import { normalise } from "./arithmetic.ts";
import { mapOperand, vectorOf } from "./parameters.ts";

export const batchNorm: Operation = (node, build) => {
  const x = node.activation(0), [batch, channels, ...rest] = x.shape;
  node.expect("spatial", 1);
  node.expect("training_mode", 0);
  node.expect("is_test", 1); // before opset 7
  const eps = node.number("epsilon", 1e-5);
  const parameters = {
    weight: vectorOf(node, 1, "scale", channels),
    bias: vectorOf(node, 2, "bias", channels),
    running_mean: vectorOf(node, 3, "mean", channels),
    running_var: vectorOf(node, 4, "variance", channels),
  };
  const flat = rest.length > 2 ? build.view(node, x, [batch, channels, elements(rest)]) : x;
  const layer = flat.shape.length === 4
    ? new BatchNorm2d(channels, { eps })
    : new BatchNorm1d(channels, { eps });
  return build.view(node, build.apply(node, layer, [flat], { parameters }), x.shape);
};

/** For odd sizes, ONNX and PyTorch agree. The layer rejects even ones. */
export const localResponseNorm: Operation = (node, build) => {
  const alpha = node.number("alpha", 1e-4), beta = node.number("beta", 0.75);
  const k = node.number("bias", 1);
  const layer = new LocalResponseNorm(node.number("size", 0), { alpha, beta, k });
  return build.apply(node, layer, [node.activation(0)]);
};

export const layerNormalization: Operation = (node, build) => {
  const x = node.activation(0), first = node.axis("axis", x.shape.length, -1);
  if (first <= node.batchAxis) throw node.bad("normalising the batch axis is not supported");
  const shape = x.shape.slice(first), eps = node.number("epsilon", 1e-5);
  const parameter = (index: number, what: string) => {
    const constant = node.constant(index, what), mapping = mapOperand({ constant }, shape);
    if (mapping) return mapping;
    throw node.bad(
      `its ${what} is ${formatShape(shapeOf(constant))}, must be ${formatShape(shape)}`,
    );
  };
  const weight = node.has(1) ? parameter(1, "scale") : undefined;
  const bias = node.has(2) ? parameter(2, "bias") : undefined;
  return normalise(node, build, x, { shape, eps, weight, bias });
};

/** Each channel of each sample is a group of its own. */
export const instanceNormalization: Operation = (node, build) => {
  const x = node.activation(0), [, channels] = x.shape;
  const layer = new GroupNorm(channels, channels, { eps: node.number("epsilon", 1e-5) });
  const parameters = {
    weight: vectorOf(node, 1, "scale", channels),
    bias: vectorOf(node, 2, "bias", channels),
  };
  return build.apply(node, layer, [x], { parameters });
};

/** Before opset 21, the scale and bias have one number for each group. */
export const groupNormalization: Operation = (node, build) => {
  const x = node.activation(0), [, channels] = x.shape, groups = node.number("num_groups", 1);
  const layer = new GroupNorm(groups, channels, { eps: node.number("epsilon", 1e-5) });
  if (node.opset < 21) build.countNumbers(node, channels); // before they are repeated
  const parameter = (index: number, what: string) =>
    node.opset < 21
      ? repeated(node, index, what, groups, channels)
      : vectorOf(node, index, what, channels);
  const parameters = { weight: parameter(1, "scale"), bias: parameter(2, "bias") };
  return build.apply(node, layer, [x], { parameters });
};

function repeated(
  node: NodeReader,
  index: number,
  what: string,
  groups: number,
  channels: number,
): ParameterMapping {
  const numbers = fixedNumbers(node.constant(index, what)), size = channels / groups;
  if (numbers?.length === groups) {
    return { shape: [channels], numbers: numbers.flatMap((value) => Array(size).fill(value)) };
  }
  throw node.bad(`its ${what} must have one number for each of up to 64 groups`);
}
