/**
 * Values that are repeated.
 *
 * @module
 */

import { type Add, Concat, type Mul } from "../../../layers/mod.ts";
import { sameShape, type Shape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import { broadcast } from "../fold_elements.ts";
import type { NodeReader } from "../node.ts";
import { movesBatch } from "../shape_rules.ts";
import { type Activation, isOpen } from "../values.ts";

/**
 * Repeats a value along an axis. Each layer doubles it, so that few are enough.
 *
 * @param isBound Whether the count depends on a size that the file leaves open.
 */
export function repeat(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  axis: number,
  count: number,
  isBound = false,
): Activation {
  if (count === 1) return x;
  if (!(Number.isInteger(count) && count > 0)) throw node.bad(`it repeats an axis ${count} times`);
  const half = repeat(node, build, x, axis, Math.floor(count / 2), isBound);
  const parts = count % 2 === 0 ? [half, half] : [half, half, x];
  return build.apply(node, new Concat(axis), parts, { suffix: ".repeat", isBound });
}

/** Repeats along axes of size 1. Add and Mul repeat their inputs themselves, without these layers. */
export const expand: Operation = (node, build) => {
  const x = node.activation(0), constant = node.computed(1, "shape");
  if (!constant.numbers) node.numbers(1, "shape"); // says why not
  const [first, second] = constant.numbers!.map(({ numbers }) => numbers);
  const shape = expandedShape(node, x.shape, first, second);
  if (sameShape(shape, x.shape)) return x;
  const isBound = shape.map((size, axis) =>
    constant.isSized && constant.others?.numbers.at(axis - shape.length) !== size
  );
  const y = shape.reduce((y, size, axis) => {
    return repeat(node, build, y, axis, size / y.shape[axis], isBound[axis]);
  }, x);
  const other = shape.map((size, axis) =>
    size === x.shape[axis] ? x.other[axis] : isBound[axis] ? 2 * size : size
  );
  return { ...y, other, origin: { op: "Expand", inputs: [x] } };
};

/**
 * Returns the shape of a repeated value as layers see it. The sizes in the file must be the same for another
 * batch, unless they name its fixed batch.
 */
function expandedShape(node: NodeReader, x: Shape, first: Shape, second: Shape): Shape {
  const { batches, isBatchFixed } = node.scope, [batch] = batches, { lift } = node;
  const own = lift ? x.slice(1) : x, at = lift ? lift.axis : 0;
  /** The sizes in the file for a batch size. */
  const inFile = (size: number) =>
    own.map((own, axis) => axis !== at ? own : lift ? own * size : size);
  const from = inFile(batch), shape = broadcast(node, from, first);
  const isSame = isBatchFixed && (at < 0 || first.at(at - shape.length) === shape[at]) ||
    sameShape(
      shape.with(Math.max(at, 0), 0),
      broadcast(node, inFile(batches[1]), second).with(Math.max(at, 0), 0),
    );
  if (shape.length !== own.length || at >= 0 && shape[at] !== from[at] || !isSame) {
    throw movesBatch(node, x, shape);
  }
  return lift ? [batch, ...shape.map((size, axis) => axis === at ? own[axis] : size)] : shape;
}

/** Repeats whole axes. */
export const tile: Operation = (node, build) => {
  const x = node.activation(0), counts = node.numbers(1, "repeats");
  if (counts.length !== x.shape.length || counts[0] !== 1) {
    throw node.bad(`its repeats ${formatShape(counts)} are not supported`);
  }
  return counts.reduce((y, count, axis) => repeat(node, build, y, axis, count), x);
};

/** Adds or multiplies activations. Smaller ones are repeated, but not along the batch. */
export function merge(
  node: NodeReader,
  build: LayerBuilder,
  layer: Add | Mul,
  values: readonly Activation[],
): Activation {
  const [{ shape: { length: rank } }] = values;
  const other = values.find((x) => x.shape.length !== rank);
  if (other) {
    const shapes = `${formatShape(values[0].shape)} and ${formatShape(other.shape)}`;
    throw node.bad(`${shapes} have different numbers of axes: not supported`);
  }
  const shape = values.reduce<Shape>((all, x) => broadcast(node, all, x.shape), values[0].shape);
  const isExpanded = (x: Activation) => x.origin?.op === "Expand";
  const isWhole = values.some((x) => !isExpanded(x) && sameShape(x.shape, shape));
  const inputs = values.map((x) => isWhole && isExpanded(x) ? x.origin!.inputs[0] : x);
  const isSized = shape.map((_, axis) => inputs.some((x) => isOpen(x, axis)));
  const missing = (x: Activation) => [...shape.keys()].filter((i) => x.shape[i] !== shape[i]);
  const spread = (x: Activation, axes: readonly number[]) =>
    axes.reduce((y, axis) => repeat(node, build, y, axis, shape[axis], isSized[axis]), x);
  // The layer needs an input in the shape of its output: one that sizes of images do not change.
  const [whole = inputs[0]] = inputs.filter((x) => !missing(x).some((axis) => isSized[axis]))
    .sort((a, b) => missing(a).length - missing(b).length);
  // It repeats the others along neighbouring axes.
  return build.apply(
    node,
    layer,
    inputs.map((x) => {
      const axes = missing(x), isRun = axes.every((axis, i) => axis === axes[0] + i);
      return x === whole ? spread(x, axes) : isRun ? x : spread(x, axes.slice(0, -1));
    }),
  );
}
