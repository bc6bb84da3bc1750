/**
 * Operations that change shapes and move elements.
 *
 * @module
 */

import { ChannelShuffle, Concat, Permute, Reshape } from "../../../layers/mod.ts";
import { elements, sameShape, type Shape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import { Blocks } from "../moving_layers.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import {
  movesBatch,
  permutation,
  squeezedShape,
  targetShape,
  unsqueezedShape,
} from "../shape_rules.ts";
import type { NodeReader } from "../node.ts";
import { lifted, permutedLifted, reshapedLifted, settled, shapeInFile } from "../moved.ts";
import { type Activation, type Moved, type NumberArray, probed, shapeOf } from "../values.ts";
import { filled } from "./constants.ts";

/** An optional input of numbers, as folding takes it. */
export function numbersAt(node: NodeReader, index: number, what: string): NumberArray | undefined {
  if (!node.has(index)) return undefined;
  const numbers = node.numbers(index, what);
  return { shape: [numbers.length], numbers, isFloat: false };
}

/**
 * Changes the shape of a tensor.
 *
 * @param target Returns the shape in the file for that of the input, for the first batch size or the second.
 */
export function reshaped(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation | Moved,
  target: (from: Shape, isSecond: boolean) => Shape,
): Activation | Moved {
  const { batches: [batch, otherBatch], isBatchFixed } = node.scope, { shape } = x;
  const first = target(shape, false);
  const from = x.kind === "moved" ? shapeInFile(x, otherBatch) : shape.with(0, otherBatch);
  const second = isBatchFixed ? first : target(from, true);
  const isUsual = first[0] === batch &&
    (isBatchFixed || second[0] === otherBatch && sameShape(second.slice(1), first.slice(1)));
  if (x.kind === "activation" && isUsual) {
    return shuffled(node, build, x, first) ?? build.view(node, x, first, { suffix: "" });
  }
  const own = lifted(node, build, x), y = reshapedLifted(node, build, own, [first, second]);
  const error = () => movesBatch(node, shape, first);
  if (!y) throw error();
  if (!sameShape(own.of.shape, own.of.other)) node.scope.bindSize();
  return settled(node, build, y, error);
}

/** The shape is an input, or an attribute before opset 5. It may depend on the batch size. */
export const reshape: Operation = (node, build) => {
  const x = node.tensor(0), list = node.list("shape");
  const constant = list ? undefined : node.computed(1, "shape");
  if (constant && !constant.numbers) node.numbers(1, "shape"); // says why not
  const [first, second] = list ? [list, list] : constant!.numbers!.map(({ numbers }) => numbers);
  const y = reshaped(node, build, x, (from, isSecond) => {
    return targetShape(node, from, isSecond ? second : first);
  });
  const isSized = constant?.isSized ?? false;
  if (x.kind === "moved" || y.kind === "moved") {
    if (isSized) node.scope.bindSize();
    return y;
  }
  const sizes = isSized ? constant?.others?.numbers : first;
  const isFixed = !isSized && sameShape(x.shape, x.other);
  if (!isFixed && !(sizes && isFree(x, y, sizes))) node.scope.bindSize();
  return y;
};

/** Whether a change from x to y suits other sizes of images, for which the file has a shape. */
function isFree(x: Activation, y: Activation, sizes: readonly number[]): boolean {
  if (y.shape.length === 2) return sizes[1] <= 0 || sizes[1] === elements(probed(x).slice(1));
  if (y !== x && y.step?.layer instanceof ChannelShuffle) return true;
  // Known at the end: the layer may become a part of another one.
  if (y !== x && y.step?.layer instanceof Reshape) return !sameShape(x.shape, x.other);
  const shape = probed(y); // an earlier value
  return sizes.every((size, axis) => size === shape[axis] || size <= 0);
}

/** Finds a channel shuffle: [N, g, c, …], the two axes exchanged, and back. */
function shuffled(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  shape: Shape,
): Activation | undefined {
  const { step } = x, [split] = step?.inputs ?? [];
  if (!(step?.layer instanceof Permute) || !(split.step?.layer instanceof Reshape)) {
    return undefined;
  }
  const [source] = split.step.inputs, [, groups, channels] = split.shape, order = step.layer.dims;
  if (!sameShape(source.shape, shape)) return undefined;
  const exchanged = order.every((axis, i) => axis === (i === 1 ? 2 : i === 2 ? 1 : i));
  if (!exchanged || groups * channels !== shape[1] || order.length < 3) return undefined;
  return build.apply(node, new ChannelShuffle(groups), [source]);
}

export const flatten: Operation = (node, build) => {
  const x = node.tensor(0), rank = x.shape.length, axis = node.number("axis", 1);
  const at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at > rank) throw node.bad(`it has no axis ${axis}: damaged`);
  return reshaped(node, build, x, (from) => {
    return [elements(from.slice(0, at)), elements(from.slice(at))];
  });
};

export const squeeze: Operation = (node, build) => {
  const axes = numbersAt(node, 1, "axes");
  return reshaped(node, build, node.tensor(0), (from) => squeezedShape(node, from, axes));
};

export const unsqueeze: Operation = (node, build) => {
  const axes = numbersAt(node, 1, "axes");
  return reshaped(node, build, node.tensor(0), (from) => unsqueezedShape(node, from, axes));
};

export const transpose: Operation = (node, build) => {
  const x = node.tensor(0), order = permutation(node, x.shape.length);
  if (x.kind === "activation" && order[0] === 0) {
    return build.permute(node, x, order, { suffix: "" });
  }
  const y = permutedLifted(node, build, lifted(node, build, x), order);
  return settled(node, build, y, () => {
    return node.bad(`its perm ${formatShape(order)} moves the batch axis: not supported`);
  });
};

export const concat: Operation = (node, build) => {
  const values = Array.from({ length: node.inputCount }, (_, i) => node.value(i));
  const like = values.find((value) => value.kind === "activation") ?? node.activation(0);
  const axis = node.axis("axis", like.shape.length, 1);
  if (axis === 0) throw node.bad("joining batches is not supported");
  const inputs = values.map((value, i) => {
    if (value.kind === "activation") return value;
    const own = shapeOf(value), batch = value.row ? 1 : like.shape[0];
    const fits = sameShape(own, like.shape.with(axis, own[axis]).with(0, batch));
    return fits && filled(node, build, { constant: value }, like) || node.activation(i);
  });
  return inputs.length === 1 ? inputs[0] : build.apply(node, new Concat(axis), inputs);
};

/** Channels become blocks of pixels: [N, C · b², H, W] → [N, C, H · b, W · b]. */
export const depthToSpace: Operation = (node, build) => {
  const mode = node.text("mode", "DCR"), size = node.number("blocksize", 0);
  if (mode !== "DCR" && mode !== "CRD") throw node.bad("its attribute mode is unknown: damaged");
  return build.apply(node, new Blocks("DepthToSpace", size, mode === "DCR"), [node.activation(0)]);
};

/** Blocks of pixels become channels: [N, C, H · b, W · b] → [N, b² · C, H, W]. */
export const spaceToDepth: Operation = (node, build) => {
  const layer = new Blocks("SpaceToDepth", node.number("blocksize", 0), true);
  return build.apply(node, layer, [node.activation(0)]);
};
