/**
 * The kernels that move values, forward and backward.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { AdaptiveGeometry, CopyGeometry } from "../geometry.ts";
import type { LayoutKernels } from "../row_kernels.ts";
import type { GpuMemory } from "./memory.ts";
import { bindingAlignment, sliceOf } from "./parts.ts";
import type { Operand } from "./shader.ts";
import * as layout from "./shaders/layout.ts";

/** The layout kernels over a GPU's memory. */
export function layoutKernels(gpu: GpuMemory): LayoutKernels {
  return {
    stridedCopy(y: Tensor, x: Tensor, g: CopyGeometry): void {
      copyParts(gpu, gpu.out(y), gpu.at(x), g);
    },

    resample(
      y: Tensor,
      x: Tensor,
      rows: Tensor<Int32Array>,
      columns: Tensor<Int32Array>,
      { n, c, h, w, oh, ow }: AdaptiveGeometry,
    ): void {
      const written = 4 * oh * ow, read = 4 * h * w, all = { y: gpu.out(y), x: gpu.at(x) };
      const tables = { rows: gpu.at(rows, "i32"), columns: gpu.at(columns, "i32") };
      for (const part of gpu.parts("resample", n * c, written, read)) {
        const operands = {
          y: sliceOf(all.y, part, written),
          x: sliceOf(all.x, part, read),
          ...tables,
        };
        const uniforms = { u32: { h, w, oh, ow } };
        gpu.perElement(layout.resample, operands, part.count * oh * ow, {}, uniforms);
      }
    },
  };
}

/**
 * Copies in one dispatch, or half of the longest axis at a time if a binding cannot hold it all.
 */
function copyParts(gpu: GpuMemory, y: Operand, x: Operand, g: CopyGeometry): void {
  const sizes = [g.n0, g.n1, g.n2, g.n3, g.n4];
  const to = rangeOf(g.yAt, sizes, [g.y0, g.y1, g.y2, g.y3, g.y4]);
  const from = rangeOf(g.xAt, sizes, [g.x0, g.x1, g.x2, g.x3, g.x4]);
  const large = to.bytes > from.bytes ? to : from;
  if (large.bytes > gpu.largestBinding) {
    for (const half of halves(g, large.longestAxis)) copyParts(gpu, y, x, half);
    return;
  }
  const operands = { y: rangeOperand(y, to), x: rangeOperand(x, from) };
  const count = sizes.reduce((product, size) => product * size), { n0: _, ...steps } = g;
  const u32 = { ...steps, yAt: to.first, xAt: from.first, count };
  if (g.y4 === 1 && g.x4 === 1 && g.n4 >= 64) {
    const parts = count / g.n4 * Math.ceil(g.n4 / layout.rowPart);
    return gpu.run(layout.copyRows, operands, {}, parts, { u32 });
  }
  gpu.perElement(layout.stridedCopy, operands, count, {}, { u32 });
}

/** An axis of a copy, 0 being the outermost one. */
type Axis = 0 | 1 | 2 | 3 | 4;

/**
 * The elements of an operand that a copy touches, from the last possible beginning of a binding.
 */
interface Range {
  /** Where the binding begins. */
  readonly offset: number;
  /** The size of the binding. */
  readonly bytes: number;
  /** The first element in the binding. */
  readonly first: number;
  /** The axis whose elements lie farthest apart. */
  readonly longestAxis: Axis;
}

function rangeOf(at: number, sizes: readonly number[], steps: readonly number[]): Range {
  const spans = sizes.map((size, axis) => (size - 1) * steps[axis]);
  const aligned = bindingAlignment / 4, first = at % aligned;
  const elements = first + spans.reduce((sum, span) => sum + span) + 1;
  const longestAxis = spans.indexOf(Math.max(...spans)) as Axis;
  return { offset: (at - first) * 4, bytes: elements * 4, first, longestAxis };
}

function rangeOperand(operand: Operand, { offset, bytes }: Range): Operand {
  return { ...operand, offset, size: bytes };
}

/** The two halves of a copy along an axis. */
function halves(g: CopyGeometry, axis: Axis): CopyGeometry[] {
  const n = `n${axis}` as const, size = g[n], before = size >> 1;
  const second = {
    [n]: size - before,
    yAt: g.yAt + before * g[`y${axis}`],
    xAt: g.xAt + before * g[`x${axis}`],
  };
  return [{ ...g, [n]: before }, { ...g, ...second }];
}
