/**
 * Tensors whose batch is not their first axis, or only a part of it.
 *
 * Attention moves axes: [N, length, 3, heads, size] becomes [3, N, heads, length, size], and the heads or the
 * windows of an image are joined with the batch. Layers see all tensors with the batch in front. That changes
 * nothing for operations that treat samples alike, because the axes of the file follow in their order.
 *
 * @module
 */

import { elements, type Shape } from "../../tensor.ts";
import type { FileError } from "../../errors.ts";
import type { LayerBuilder } from "./builder.ts";
import type { NodeReader, Scope } from "./node.ts";
import type { Activation, Moved } from "./values.ts";

/** Where the batch is in a tensor: see {@linkcode Moved}. */
export type BatchPlace = Pick<Moved, "axis" | "outer">;

/** A tensor with the batch in front of its axes, and where it is in the file. */
export type Lifted = BatchPlace & Pick<Moved, "of">;

/** Where the batch of an ordinary tensor is. */
function usualPlace({ isBatchFixed, batches }: Scope): BatchPlace {
  return { axis: isBatchFixed && batches[0] === 1 ? -1 : 0, outer: 1 };
}

/** Returns a tensor with the batch in front of its axes. */
export function lifted(node: NodeReader, build: LayerBuilder, x: Activation | Moved): Lifted {
  if (x.kind === "moved") return x;
  const [batch, ...others] = x.shape;
  return { of: build.view(node, x, [batch, 1, ...others]), ...usualPlace(node.scope) };
}

/** Returns the shape of a tensor in the file, for a batch size. */
export function shapeInFile({ of, axis }: Pick<Moved, "of" | "axis">, batch: number): Shape {
  return of.shape.slice(1).map((size, i) => i === axis ? size * batch : size);
}

/**
 * Returns the tensor of a file for what layers see. If its first axis is the batch alone, it is an ordinary
 * one.
 *
 * @param error Why it is not supported where it must be an ordinary one.
 */
export function settled(
  node: NodeReader,
  build: LayerBuilder,
  { of, axis, outer }: Lifted,
  error: () => FileError,
): Activation | Moved {
  const [batch, first, ...others] = of.shape;
  if (first === 1 && axis <= 0) return build.view(node, of, [batch, ...others]);
  const shape = shapeInFile({ of, axis }, node.scope.batches[0]);
  return { kind: "moved", of, axis, outer, shape, error: error() };
}

/**
 * Changes the shape of a tensor, for both batch sizes.
 *
 * @returns undefined if the batch would not stay together.
 */
export function reshapedLifted(
  node: NodeReader,
  build: LayerBuilder,
  x: Lifted,
  [first, second]: readonly [Shape, Shape],
): Lifted | undefined {
  const [batch, ...sizes] = x.of.shape;
  const view = (shape: Shape, place: BatchPlace): Lifted => ({
    ...place,
    of: build.view(node, x.of, [batch, ...shape]),
  });
  if (x.axis < 0) return first.length > 0 ? view(first, { axis: -1, outer: 1 }) : undefined;
  const before = elements(sizes.slice(0, x.axis)) * x.outer;
  const axis = batchAxis(node.scope, before, first, second);
  if (axis === undefined) return undefined;
  // So many elements come before the batch, also afterwards.
  const shape = first.with(axis, first[axis] / batch);
  const outer = before / elements(shape.slice(0, axis));
  const isWhole = [shape[axis], outer, shape[axis] / outer].every(Number.isInteger);
  return isWhole ? view(shape, { axis, outer }) : undefined;
}

/**
 * Finds the axis that the batch is a part of: the one whose size depends on it. In a file with a fixed
 * batch, it follows from the number of elements that come before it.
 */
function batchAxis(
  { batches, isBatchFixed }: Scope,
  before: number,
  first: Shape,
  second: Shape,
): number | undefined {
  const [batch, otherBatch] = batches;
  if (isBatchFixed) {
    let count = 1;
    const axis = first.findIndex((size) => (count *= size) % (before * batch) === 0);
    return axis < 0 ? undefined : axis;
  }
  if (first.length !== second.length) return undefined;
  const different = [...first.keys()].filter((axis) => first[axis] !== second[axis]);
  const [axis] = different;
  if (different.length !== 1 || first[axis] * otherBatch !== second[axis] * batch) return undefined;
  return axis;
}

/** Changes the order of the axes in the file. */
export function permutedLifted(
  node: NodeReader,
  build: LayerBuilder,
  { of, axis, outer }: Lifted,
  order: readonly number[],
): Lifted {
  const all = [0, ...order.map((i) => i + 1)];
  return { of: build.permute(node, of, all), axis: order.indexOf(axis), outer };
}
