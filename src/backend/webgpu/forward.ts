/**
 * The kernels of forward passes. Each chooses a shader and passes it operands and sizes.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  BatchNormTensors,
  Conv2dGeometry,
  Epilogue,
  FusedKind,
  LocalResponseNormGeometry,
  MatMulGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import type { Filters, ForwardKernels } from "../kernels.ts";
import { fusedKindCodes } from "../wasm/generated/geometry.ts";
import {
  acrossChannels,
  addends,
  addsToSum,
  alongAxis,
  denseProduct,
  pack,
  perSample,
  planeMeans,
  pool2d,
} from "./dispatch.ts";
import type { GpuMemory } from "./memory.ts";
import { sliceAnywhere, sliceOf } from "./parts.ts";
import * as conv from "./shaders/conv2d.ts";
import { chunks, packedSize, product } from "./shaders/gemm.ts";
import * as dense from "./shaders/linear.ts";
import { matmul } from "./shaders/matmul.ts";
import * as norm from "./shaders/norm.ts";
import * as pool from "./shaders/pool.ts";
import * as axis from "./shaders/rows.ts";
import { averageSizes, poolConstants, windowSizes } from "./shaders/window.ts";

/** The forward kernels over a GPU's memory. */
export function forwardKernels(gpu: GpuMemory): ForwardKernels {
  const kernels: ForwardKernels = {
    packConv2d(weight: Tensor, groups: number): Tensor {
      const [outC] = weight.shape, m = outC / groups, k = weight.size / outC;
      return pack(gpu, conv.packConv2d, weight, groups, m, k);
    },

    conv2d(
      y: Tensor,
      x: Tensor,
      packed: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      { residual, activation }: Epilogue,
    ): void {
      const m = g.outC / g.groups, k = g.inC / g.groups * g.kh * g.kw, pixels = g.oh * g.ow;
      const bytes = { x: 4 * x.size / g.n, y: 4 * y.size / g.n };
      const one = conv.isPointwise(g), shaders = one ? conv.pointwise : conv.conv2d;
      const all = { y: gpu.out(y), x: gpu.at(x, one ? "vec4f" : "f32") };
      for (const part of gpu.parts("conv2d", g.n, bytes.x, bytes.y)) {
        const n = part.count * pixels, to = sliceOf(all.y, part, bytes.y);
        const { rows, constants, sizes, workgroups } = product(gpu.tileRows, m, n, k, g.groups);
        const { operands: added, flags } = addends(gpu, to, bias, residual, gpu.at(packed));
        const operands = {
          y: to,
          x: sliceOf(all.x, part, bytes.x),
          packed: gpu.at(packed, "vec4f"),
          ...added,
        };
        const own = { ...sizes, ...packedSize(m, k), ...conv.convSizes(g) };
        for (const chunk of chunks(k)) {
          const after = chunk.start > 0 ? addsToSum : flags, isLast = chunk.k === k;
          const u32 = {
            ...own,
            ...chunk,
            ...after,
            activation: fusedKindCodes[isLast ? activation : "none"],
          };
          gpu.run(shaders[rows], operands, constants, workgroups, { u32 });
        }
      }
    },

    /** Runs the direct kernel: on a GPU the transforms cost more memory traffic than they save. */
    winograd(
      y: Tensor,
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      epilogue: Epilogue,
    ): void {
      using packed = kernels.packConv2d(weight, g.groups);
      kernels.conv2d(y, x, packed, bias, g, epilogue);
    },

    maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void {
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      const constants = poolConstants(g), u32 = windowSizes(g);
      if (indices === null) return pool2d(gpu, pool.maxPool2d, operands, g, constants, u32);
      const both = { ...operands, indices: gpu.out(indices, "i32") };
      gpu.setLargestIndex(indices, g.h * g.w - 1);
      pool2d(gpu, pool.maxPool2dWithIndices, both, g, constants, u32);
    },

    avgPool2d(
      y: Tensor,
      x: Tensor,
      g: Pool2dGeometry,
      countIncludePad: boolean,
      divisor: number | null,
    ): void {
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      const u32 = averageSizes(g, countIncludePad, divisor);
      pool2d(gpu, pool.avgPool2d, operands, g, poolConstants(g), u32);
    },

    adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void {
      const { h, w, oh, ow } = g;
      if (oh * ow === 1) return planeMeans(gpu, gpu.out(y), gpu.at(x), g.n * g.c, h * w);
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      pool2d(gpu, pool.adaptiveAvgPool2d, operands, g, {}, { h, w, oh, ow });
    },

    adaptiveMaxPool2d(
      y: Tensor,
      indices: Tensor<Int32Array> | null,
      x: Tensor,
      g: AdaptiveGeometry,
    ): void {
      const { h, w, oh, ow } = g, u32 = { h, w, oh, ow };
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      if (indices === null) return pool2d(gpu, pool.adaptiveMaxPool2d, operands, g, {}, u32);
      const both = { ...operands, indices: gpu.out(indices, "i32") };
      gpu.setLargestIndex(indices, h * w - 1);
      pool2d(gpu, pool.adaptiveMaxPool2dWithIndices, both, g, {}, u32);
    },

    linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, activation: FusedKind): void {
      const format = { four: "vec4f", one: "f32", bytes: 4 };
      denseProduct(gpu, dense.linear, y, x, weight, format, bias, activation);
    },

    matmul(y: Tensor, a: Tensor, b: Tensor, g: MatMulGeometry): void {
      const { m, n, k, transposeA, transposeB } = g;
      const all = { y: gpu.out(y), a: gpu.at(a), b: gpu.at(b) };
      const bytes = { y: 4 * m * n, a: 4 * m * k, b: 4 * k * n };
      const steps = {
        ...(transposeA ? { aRow: 1, aColumn: m } : { aRow: k, aColumn: 1 }),
        ...(transposeB ? { bRow: 1, bColumn: k } : { bRow: n, bColumn: 1 }),
      };
      const largest = Math.max(bytes.y, bytes.a, bytes.b);
      for (const part of gpu.partsAnywhere("matmul", g.batch, largest)) {
        const { rows, constants, sizes, workgroups } = product(gpu.tileRows, m, n, k, part.count);
        const { operand: y, at: yAt } = sliceAnywhere(all.y, part, bytes.y);
        const { operand: a, at: aAt } = sliceAnywhere(all.a, part, bytes.a);
        const { operand: b, at: bAt } = sliceAnywhere(all.b, part, bytes.b);
        const operands = { y, a, b };
        for (const chunk of chunks(k)) {
          const u32 = { ...sizes, ...chunk, depth: k, ...steps, yAt, aAt, bAt };
          gpu.run(matmul[rows], operands, constants, workgroups, { u32 });
        }
      }
    },

    softmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
      alongAxis(gpu, axis.softmax, { y: gpu.out(y), x: gpu.at(x) }, g);
    },

    logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
      alongAxis(gpu, axis.logSoftmax, { y: gpu.out(y), x: gpu.at(x) }, g);
    },

    localResponseNorm(y: Tensor, x: Tensor, g: LocalResponseNormGeometry): void {
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      acrossChannels(gpu, norm.localResponseNorm, operands, g);
    },

    batchNorm(
      y: Tensor,
      x: Tensor,
      tensors: BatchNormTensors,
      eps: number,
      activation: FusedKind,
    ): void {
      const { runningMean, runningVar, weight = null, bias = null } = tensors;
      const [n, c] = x.shape, plane = x.size / (n * c);
      const operands = {
        y: gpu.out(y),
        x: gpu.at(x),
        mean: gpu.at(runningMean),
        variance: gpu.at(runningVar),
        weight: gpu.at(weight ?? runningMean),
        bias: gpu.at(bias ?? runningMean),
      };
      perSample(gpu, norm.batchNorm, operands, ["y", "x"], n, c * plane, {
        WEIGHT: weight !== null,
        BIAS: bias !== null,
      }, { u32: { channels: c, plane, activation: fusedKindCodes[activation] }, f32: { eps } });
    },

    foldBatchNorm(
      folded: Filters,
      weight: Tensor,
      bias: Tensor | null,
      tensors: BatchNormTensors,
      eps: number,
    ): void {
      const { runningMean, runningVar, weight: factor = null, bias: offset = null } = tensors;
      const [c] = weight.shape;
      const operands = {
        filters: gpu.out(folded.weight),
        biases: gpu.out(folded.bias),
        w: gpu.at(weight),
        b: gpu.at(bias ?? runningMean),
        mean: gpu.at(runningMean),
        variance: gpu.at(runningVar),
        weight: gpu.at(factor ?? runningMean),
        bias: gpu.at(offset ?? runningMean),
      };
      const constants = { B: bias !== null, WEIGHT: factor !== null, BIAS: offset !== null };
      const sizes = { plane: weight.size / c, length: 1, inner: 1 };
      gpu.perRow(norm.foldBatchNorm, operands, c, constants, { u32: sizes, f32: { eps } });
    },
  };
  return kernels;
}
