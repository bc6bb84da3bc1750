/**
 * The kernels that normalise rows.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { RowNormGeometry } from "../geometry.ts";
import type { RowNormBackwardTensors, RowNormKernels, RowNormTensors } from "../row_kernels.ts";
import type { GpuMemory } from "./memory.ts";
import { slicesOf } from "./parts.ts";
import type { Operand, Operands } from "./shader.ts";
import * as norm from "./shaders/row_norm.ts";

/** The kernels of row normalisation over a GPU's memory. */
export function rowNormKernels(gpu: GpuMemory): RowNormKernels {
  /** The operand of a tensor; another one for a tensor that the shader does not read. */
  const orElse = (tensor: Tensor | null, other: Operand) => tensor ? gpu.at(tensor) : other;
  return {
    rowNorm(
      y: Tensor,
      x: Tensor,
      { weight, bias, statistics }: RowNormTensors,
      g: RowNormGeometry,
    ): void {
      const saved: Operands = statistics
        ? { mean: gpu.out(statistics.mean), rstd: gpu.out(statistics.rstd) }
        : {};
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      const constants = { WEIGHT: weight !== null, BIAS: bias !== null };
      const shader = statistics ? norm.rowNormWithStatistics : norm.rowNorm;
      for (const { rows, parts, uniforms } of samples(gpu, operands, g)) {
        const affine = { weight: orElse(weight, parts.x), bias: orElse(bias, parts.x) };
        gpu.perRow(shader, { ...parts, ...saved, ...affine }, rows, constants, uniforms);
      }
    },

    rowNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      tensors: RowNormBackwardTensors,
      g: RowNormGeometry,
    ): void {
      const { mean, rstd, weight, dweight, dbias } = tensors;
      const read = { dy: gpu.at(dy), x: gpu.at(x) };
      const statistics = { mean: gpu.at(mean), rstd: gpu.at(rstd) };
      if (dweight || dbias) {
        const channels = g.groups * g.channels;
        using unused = dweight && dbias ? undefined : gpu.empty([channels]);
        const gradients = {
          dweight: gpu.out(dweight ?? unused!),
          dbias: gpu.out(dbias ?? unused!),
        };
        for (const { parts, uniforms } of samples(gpu, read, g)) {
          const all = { ...gradients, ...parts, ...statistics };
          gpu.perRow(norm.rowNormParameters, all, channels, {}, uniforms);
        }
      }
      const constants = { WEIGHT: weight !== null };
      for (const { rows, parts, uniforms } of samples(gpu, { dx: gpu.out(dx), ...read }, g)) {
        const all = { ...parts, ...statistics, weight: orElse(weight, parts.x) };
        gpu.perRow(norm.rowNormBackward, all, rows, constants, uniforms);
      }
    },
  };
}

/** A part of the operands, and the uniforms for it. */
interface SamplePart {
  readonly rows: number;
  readonly parts: Operands;
  readonly uniforms: { readonly u32: Record<string, number>; readonly f32: { eps: number } };
}

/** Parts of the operands, whole samples each, so that they fit a binding. */
function samples(
  gpu: GpuMemory,
  operands: Operands,
  { n, groups, channels, plane, eps }: RowNormGeometry,
): SamplePart[] {
  const length = channels * plane, bytes = 4 * groups * length;
  return gpu.parts("rowNorm", n, bytes).map((part) => {
    const parts = slicesOf(operands, part, bytes);
    const { start, count } = part;
    const u32 = {
      groups,
      channels,
      plane,
      length,
      inner: 1,
      start: start * groups,
      count: count * plane,
    };
    const uniforms = { u32, f32: { eps } };
    return { rows: count * groups, parts, uniforms };
  });
}
