/**
 * The geometry of copies between tensors: the elements of some axes, in another order or at other
 * places.
 *
 * @module
 */

import type { CopyGeometry } from "../backend/geometry.ts";
import type { Shape } from "../tensor.ts";

/** An axis of a copy. */
export interface CopyAxis {
  /** The number of elements. */
  readonly size: number;
  /** The distance of neighbours in the output. */
  readonly to: number;
  /** The distance of neighbours in the input. */
  readonly from: number;
}

const none: CopyAxis = { size: 1, to: 0, from: 0 };

/** The distances between neighbours along each axis of a dense tensor. */
export function stridesOf(shape: Shape): number[] {
  const strides = Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  }
  return strides;
}

/**
 * The geometry of a copy.
 *
 * @param axes The axes in the order of the output, the outermost first.
 * @param to The index of the first element in the output.
 * @param from The index of the first element in the input.
 * @returns undefined if more than five axes remain after neighbours are joined.
 */
export function copyGeometry(
  axes: readonly CopyAxis[],
  to = 0,
  from = 0,
): CopyGeometry | undefined {
  const joined = joinAxes(axes);
  if (joined.length > 5) return undefined;
  // the kernel is fast if the input's neighbours lie along the last axis but one
  const inner = joined.findIndex((axis) => axis.from === 1);
  if (inner >= 0 && inner < joined.length - 1) {
    joined.splice(joined.length - 2, 0, ...joined.splice(inner, 1));
  }
  const [a, b, c, d, e] = [...Array(5 - joined.length).fill(none), ...joined] as CopyAxis[];
  // deno-fmt-ignore
  return {
    n0: a.size, n1: b.size, n2: c.size, n3: d.size, n4: e.size,
    y0: a.to, y1: b.to, y2: c.to, y3: d.to, y4: e.to,
    x0: a.from, x1: b.from, x2: c.from, x3: d.from, x4: e.from,
    yAt: to, xAt: from,
  };
}

/** Drops axes of one element, and joins those that follow each other in both tensors. */
function joinAxes(axes: readonly CopyAxis[]): CopyAxis[] {
  const joined: CopyAxis[] = [];
  for (const axis of axes) {
    if (axis.size === 1) continue;
    const { size, to, from } = axis, before = joined.at(-1);
    if (before?.to === size * to && before.from === size * from) {
      joined[joined.length - 1] = { size: before.size * size, to, from };
    } else joined.push(axis);
  }
  return joined;
}
