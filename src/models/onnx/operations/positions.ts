/**
 * Operations that take positions of axes, or add some.
 *
 * @module
 */

import {
  Concat,
  ConstantPad2d,
  type Layer,
  ReflectionPad2d,
  ReplicationPad2d,
  Slice,
  ZeroPad2d,
} from "../../../layers/mod.ts";
import { elements } from "../../../tensor.ts";
import { escapeText } from "../../../weights/io/quote.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import { Gather } from "../moving_layers.ts";
import type { NodeReader } from "../node.ts";
import { sliceIndices, splitSizes } from "../shape_rules.ts";
import { type Activation, isOpen, numbersFrom, shapeOf } from "../values.ts";
import { numbersAt, reshaped } from "./shape.ts";

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
      checkPositions(node, build, count);
      return pick(node, build, y, axis, numbersFrom(count, (i) => start + i * step));
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

/** The most positions of an axis that a list takes. */
const maxPositions = 1 << 16;

/** Checks the number of positions, before they are listed. */
function checkPositions(node: NodeReader, build: LayerBuilder, count: number): void {
  if (!(count >= 1 && count <= maxPositions)) {
    throw node.bad(`only 1 to ${maxPositions} positions are supported`);
  }
  build.countNumbers(node, count);
}

/** Takes positions of an axis. The axes of the list replace it. */
export const gather: Operation = (node, build) => {
  const x = node.activation(0), axis = node.axis("axis", x.shape.length, 0);
  const indices = node.numbers(1, "indices"), shape = shapeOf(node.value(1));
  if (axis === 0) throw node.bad("a part of the batch is not supported");
  if (node.lift && shape.length > 1) throw node.bad("only a list of indices is supported");
  checkPositions(node, build, indices.length);
  const y = pick(node, build, x, axis, indices);
  if (shape.length === 1) return y;
  return reshaped(node, build, y, (from) => from.toSpliced(axis, 1, ...shape));
};

/** The most slices that are joined, instead of a layer with tables for a position and all axes behind it. */
const maxSlices = 16;

/** Takes positions of an axis. Those at equal distances are a slice, and a few slices are joined. */
function pick(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  axis: number,
  indices: readonly number[],
): Activation {
  for (const index of indices) node.resolveIndex(index, x.shape[axis]);
  const first = indices[0], step = (indices[1] ?? first + 1) - first;
  const steps = indices.flatMap((_, i) => i > 0 && follows(indices, i, step) ? [] : [i]);
  if (step > 0 && steps.length === 1) return build.apply(node, sliceOf(axis, indices, step), [x]);
  const starts = indices.flatMap((_, i) => i > 0 && follows(indices, i, 1) ? [] : [i]);
  const isLast = axis === x.shape.length - 1; // then its tables are small
  if (isLast || starts.length > maxSlices) return build.apply(node, new Gather(axis, indices), [x]);
  const parts = starts.map((from, i) => {
    const layer = sliceOf(axis, indices.slice(from, starts[i + 1]), 1);
    return build.apply(node, layer, [x], { suffix: ".part" });
  });
  return build.apply(node, new Concat(axis), parts);
}

/** Whether an index is behind the one before it. Both or none count from the end. */
function follows(indices: readonly number[], i: number, step: number): boolean {
  const before = indices[i - 1];
  return indices[i] === before + step && indices[i] < 0 === before < 0;
}

/** A slice of equal distances. */
function sliceOf(axis: number, indices: readonly number[], step: number): Slice {
  const last = indices.at(-1)!;
  const end = last === -1 ? undefined : last + 1; // from the end, if the index is
  return new Slice(axis, indices[0], end, { step });
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
  if (create && shape.length === 4 && !isPadded[1]) {
    const [, , [top, bottom], [left, right]] = sides;
    return build.apply(node, create([left, right, top, bottom]), [x]);
  }
  return sides.reduce((y, [before, after], axis) => { // each axis as the height of planes
    if (!isPadded[axis]) return y;
    if (!create) return wrapped(node, build, y, axis, before, after);
    const outer = elements(y.shape.slice(1, axis)), inner = elements(y.shape.slice(axis + 1));
    const planes = build.view(node, y, [y.shape[0], outer, y.shape[axis], inner]);
    const padded = build.apply(node, create([0, 0, before, after]), [planes]);
    return build.view(node, padded, y.shape.with(axis, padded.shape[2]));
  }, x);
};

/** Pads with the values from the other end of an axis. Negative pads crop it before. */
function wrapped(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  axis: number,
  before: number,
  after: number,
): Activation {
  const first = Math.max(0, -before), size = x.shape[axis] - first + Math.min(0, after);
  const front = before + first, count = before + x.shape[axis] + after;
  if (isOpen(x, axis)) node.scope.bindSize();
  checkPositions(node, build, size <= 0 ? 0 : count);
  const at = numbersFrom(count, (i) => first + ((i - front) % size + size) % size);
  return pick(node, build, x, axis, at);
}

/** Reads what a padding consists of. Undefined for the values from the other end of an axis. */
function padLayer(node: NodeReader): PadLayer | undefined {
  const mode = node.text("mode", "constant"), attribute = node.number("value", 0);
  const value = node.has(2) ? node.scalar(2, "value") : attribute;
  if (mode === "reflect") return (sides) => new ReflectionPad2d(sides);
  if (mode === "edge") return (sides) => new ReplicationPad2d(sides);
  if (mode === "wrap") return undefined;
  if (mode !== "constant") throw node.bad(`the mode ${escapeText(mode)} is not supported`);
  return (sides) => value === 0 ? new ZeroPad2d(sides) : new ConstantPad2d(sides, value);
}
