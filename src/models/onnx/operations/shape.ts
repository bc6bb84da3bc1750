/**
 * Operations that change shapes and move elements.
 *
 * @module
 */

import {
  ChannelShuffle,
  Concat,
  ConstantPad2d,
  type Layer,
  Permute,
  ReflectionPad2d,
  ReplicationPad2d,
  Reshape,
  Slice,
  ZeroPad2d,
} from "../../../layers/mod.ts";
import { elements, sameShape, type Shape } from "../../../tensor.ts";
import { escapeText, formatShape } from "../../../weights/io/quote.ts";
import { Blocks } from "../blocks_layer.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import {
  movesBatch,
  permutation,
  sliceIndices,
  splitSizes,
  squeezedShape,
  targetShape,
  unsqueezedShape,
} from "../shape_rules.ts";
import type { NodeReader } from "../node.ts";
import { lifted, permutedLifted, reshapedLifted, settled, shapeInFile } from "../moved.ts";
import {
  type Activation,
  isOpen,
  type Moved,
  type NumberArray,
  probed,
  shapeOf,
} from "../values.ts";
import { filled } from "./constants.ts";

/** An optional input of numbers, as folding takes it. */
function numbersAt(node: NodeReader, index: number, what: string): NumberArray | undefined {
  if (!node.has(index)) return undefined;
  const numbers = node.numbers(index, what);
  return { shape: [numbers.length], numbers, isFloat: false };
}

/**
 * Changes the shape of a tensor.
 *
 * @param target Returns the shape in the file for that of the input, for the first batch size or the second.
 */
function reshaped(
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

export const slice: Operation = (node, build) => {
  const x = node.activation(0);
  const names = ["starts", "ends", "axes", "steps"];
  const bounds = names.map((name, i) => numbersAt(node, i + 1, name));
  const [starts, ends] = bounds.map((array, i) => array?.numbers ?? node.list(names[i]));
  return sliceIndices(node, x.shape, bounds).reduce((y, { axis, start, end, step }, i) => {
    const size = x.shape[axis], first = starts![i], last = ends![i];
    const isAll = axis === 0 && !node.scope.isBatchFixed
      ? first === 0 && last >= endless && step === 1
      : start === 0 && end === size && step === 1;
    if (isOpen(x, axis) && (isClamped(first, size) || isClamped(last, size))) {
      node.scope.bindSize();
    }
    if (isAll) return y;
    if (axis === 0) throw node.bad("a part of the batch is not supported");
    if (step < 0) {
      if (isOpen(x, axis)) node.scope.bindSize();
      const count = Math.max(0, Math.ceil((end - start) / step));
      const at = Array.from(
        { length: Math.min(count, maxPositions + 1) },
        (_, i) => start + i * step,
      );
      return pick(node, build, y, axis, at);
    }
    // As given where possible, so that other sizes of images work.
    const from = first < 0 && first >= -size ? first : start;
    const to = last >= size ? undefined : last < 0 ? last : end;
    return build.apply(node, new Slice(axis, from, to, { step }), [y]);
  }, x);
};

/** From here on, an end means that of the axis, whatever its size is. */
const endless = 2 ** 30;

/** Whether a bound of Slice is beyond an axis, but not beyond one of every size. */
function isClamped(bound: number, size: number): boolean {
  return Math.abs(bound) < endless && (bound >= size || bound < -size);
}

export const split: Operation = (node, build) => {
  const x = node.activation(0), axis = node.axis("axis", x.shape.length, 0);
  const input = node.has(1) ? node.numbers(1, "split") : undefined;
  const sizes = splitSizes(node, x.shape[axis], input);
  if (axis === 0) throw node.bad("splitting the batch is not supported");
  if (isOpen(x, axis)) node.scope.bindSize();
  let end = 0;
  return sizes.map((size, i) => {
    const start = end;
    end += size;
    if (!node.node.outputs[i]) return undefined;
    return build.apply(node, new Slice(axis, start, end), [x]);
  });
};

/** The most positions that Gather takes one by one. */
const maxPositions = 64;

/** Takes positions of an axis, of which a single one may go. */
export const gather: Operation = (node, build) => {
  const x = node.activation(0), axis = node.axis("axis", x.shape.length, 0);
  const indices = node.numbers(1, "indices"), isOne = node.rank(1) === 0;
  if (axis === 0) throw node.bad("a part of the batch is not supported");
  if (node.rank(1) > 1) throw node.bad("only a list of indices is supported");
  const y = pick(node, build, x, axis, indices);
  if (!isOne) return y;
  return reshaped(node, build, y, (from) => from.filter((_, i) => i !== axis));
};

/** Takes the positions of an axis one by one. */
function pick(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  axis: number,
  indices: readonly number[],
): Activation {
  if (indices.length === 0 || indices.length > maxPositions) {
    throw node.bad(`only 1 to ${maxPositions} positions one by one are supported`);
  }
  const parts = indices.map((index) => {
    node.resolveIndex(index, x.shape[axis]);
    const end = index === -1 ? undefined : index + 1; // from the end, if the index is
    return build.apply(node, new Slice(axis, index, end), [x], { suffix: ".part" });
  });
  return parts.length > 1 ? build.apply(node, new Concat(axis), parts) : parts[0];
}

/** The sides of planes: left, right, top and bottom. */
type Sides = readonly [number, number, number, number];

/** Makes the layer that pads planes. */
type PadLayer = (sides: Sides) => Layer;

/** The padding of every axis: all before, then all after. Inputs since opset 11. */
export const pad: Operation = (node, build) => {
  const x = node.activation(0), { shape } = x, create = padLayer(node);
  const pads = node.listOrInput("pads", 1) ?? node.list("paddings") ?? [];
  const axes = node.has(3) ? node.numbers(3, "axes") : shape.map((_, axis) => axis);
  if (pads.length !== 2 * axes.length) throw node.bad("its pads do not fit its input: damaged");
  const sides = shape.map(() => [0, 0]);
  for (const [i, axis] of axes.entries()) {
    sides[node.resolveAxis(axis, shape.length)] = [pads[i], pads[i + axes.length]];
  }
  const isPadded = sides.map(([before, after]) => before !== 0 || after !== 0);
  if (isPadded[0]) throw node.bad("padding the batch is not supported");
  if (!isPadded.includes(true)) return x;
  if (shape.length === 4 && !isPadded[1]) {
    const [, , [top, bottom], [left, right]] = sides;
    return build.apply(node, create([left, right, top, bottom]), [x]);
  }
  return sides.reduce((y, [before, after], axis) => { // each axis as the height of planes
    if (!isPadded[axis]) return y;
    const outer = elements(y.shape.slice(1, axis)), inner = elements(y.shape.slice(axis + 1));
    const planes = build.view(node, y, [y.shape[0], outer, y.shape[axis], inner]);
    const padded = build.apply(node, create([0, 0, before, after]), [planes]);
    return build.view(node, padded, y.shape.with(axis, padded.shape[2]));
  }, x);
};

/** Reads what a padding consists of. */
function padLayer(node: NodeReader): PadLayer {
  const mode = node.text("mode", "constant"), attribute = node.number("value", 0);
  const value = node.has(2) ? node.scalar(2, "value") : attribute;
  if (mode === "reflect") return (sides) => new ReflectionPad2d(sides);
  if (mode === "edge") return (sides) => new ReplicationPad2d(sides);
  if (mode !== "constant") throw node.bad(`the mode ${escapeText(mode)} is not supported`);
  return (sides) => value === 0 ? new ZeroPad2d(sides) : new ConstantPad2d(sides, value);
}

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
