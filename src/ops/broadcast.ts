/**
 * How a tensor is repeated over a larger one, as in PyTorch: from the last axis backwards, it has the
 * size of the larger one, or 1, or no axis.
 *
 * @module
 */

import type { BroadcastGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape } from "../tensor.ts";
import { formatShape } from "./checks.ts";

/** Neighbouring axes: the small tensor is repeated along all of them, or along none. */
interface Run {
  size: number;
  readonly repeats: boolean;
}

/**
 * Joins neighbouring axes, so that at most three remain.
 *
 * @param parameter The name of the small tensor in error messages.
 * @throws {ArgumentError} When the small shape does not fit, or three axes are not enough.
 */
export function broadcastGeometry(
  op: string,
  parameter: string,
  shape: Shape,
  small: Shape,
): BroadcastGeometry {
  const runs = runsOf(shape, small);
  if (!runs) {
    const takes = `${formatShape(shape)}, or 1 along a run of axes or along all others`;
    throw new ArgumentError(op, `the shape of ${parameter}`, small, takes);
  }
  const none: Run = { size: 1, repeats: true };
  const [outer, middle, inner] = [...Array<Run>(3 - runs.length).fill(none), ...runs];
  const innerStep = inner.repeats ? 0 : 1;
  const innerSize = inner.repeats ? 1 : inner.size;
  const step = middle.repeats ? 0 : innerSize;
  const outerStep = outer.repeats ? 0 : innerSize * (middle.repeats ? 1 : middle.size);
  return { outer: outer.size, size: middle.size, inner: inner.size, outerStep, step, innerStep };
}

function runsOf(shape: Shape, small: Shape): Run[] | undefined {
  const runs: Run[] = [], missing = shape.length - small.length;
  if (missing < 0) return undefined;
  for (const [axis, size] of shape.entries()) {
    const own = small[axis - missing] ?? 1, repeats = own !== size;
    if (repeats && own !== 1) return undefined;
    if (size === 1) continue;
    const last = runs.at(-1);
    if (last?.repeats === repeats) last.size *= size;
    else runs.push({ size, repeats });
  }
  return runs.length <= 3 ? runs : undefined;
}
