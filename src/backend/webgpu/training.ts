/** The kernels of training: gradients, dropout and optimisers. */

import type { Tensor } from "../../tensor.ts";
import type {
  AdamWStep,
  AdaptiveGeometry,
  AxisGeometry,
  Conv2dGeometry,
  DropoutMask,
  LocalResponseNormGeometry,
  Pool2dGeometry,
  SgdStep,
} from "../geometry.ts";
import type { BatchNormBackwardTensors, TrainingKernels } from "../kernels.ts";
import { checkIndices } from "../tensor_memory.ts";
import { acrossChannels, alongAxis, pack, perPlane, type PlaneSizes } from "./dispatch.ts";
import type { GpuMemory } from "./memory.ts";
import { sliceOf } from "./parts.ts";
import type { Constants, Operands, Shader, Uniforms } from "./shader.ts";
import { convSizes, packConv2dTransposed } from "./shaders/conv2d.ts";
import * as conv from "./shaders/conv2d_backward.ts";
import * as elementwise from "./shaders/elementwise.ts";
import { chunks, packedSize, product } from "./shaders/gemm.ts";
import * as dense from "./shaders/linear_backward.ts";
import * as losses from "./shaders/loss.ts";
import * as norm from "./shaders/norm.ts";
import * as pool from "./shaders/pool_backward.ts";
import * as axis from "./shaders/rows.ts";
import { averageSizes, poolConstants } from "./shaders/window.ts";

/** Elements whose squares are summed up in float32. */
const sumChunk = 256;

/** The training kernels over a GPU's memory. */
export function trainingKernels(gpu: GpuMemory): TrainingKernels {
  const kernels: TrainingKernels = {
    packConv2dTransposed(weight: Tensor, groups: number): Tensor {
      const [outC, m] = weight.shape, taps = weight.size / (outC * m);
      return pack(gpu, packConv2dTransposed, weight, groups, m, outC / groups * taps, {
        taps,
      });
    },

    conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
      const m = g.inC / g.groups, k = g.outC / g.groups * g.kh * g.kw;
      const bytes = { dx: 4 * dx.size / g.n, dy: 4 * dy.size / g.n };
      const all = { dx: gpu.out(dx), dy: gpu.at(dy) };
      for (const part of gpu.parts("conv2dBackwardInput", g.n, bytes.dx, bytes.dy)) {
        const n = part.count * g.h * g.w;
        const { rows, constants, sizes, workgroups } = product(gpu.tileRows, m, n, k, g.groups);
        const operands = {
          dx: sliceOf(all.dx, part, bytes.dx),
          dy: sliceOf(all.dy, part, bytes.dy),
          packed: gpu.at(packed, "vec4f"),
        };
        const groupOutC = g.outC / g.groups;
        const own = { ...sizes, ...packedSize(m, k), ...convSizes(g), groupOutC };
        // they divide in the inner loop
        const both = { ...constants, STRIDE_H: g.strideH, STRIDE_W: g.strideW };
        for (const chunk of chunks(k)) {
          const u32 = { ...own, ...chunk };
          gpu.run(conv.conv2dBackwardInput[rows], operands, both, workgroups, { u32 });
        }
      }
    },

    conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      const m = g.outC / g.groups, n = g.inC / g.groups * g.kh * g.kw;
      const bytes = { dy: 4 * dy.size / g.n, x: 4 * x.size / g.n };
      const all = { dw: gpu.out(dw), dy: gpu.at(dy), x: gpu.at(x) };
      for (const part of gpu.parts("conv2dBackwardWeight", g.n, bytes.dy, bytes.x)) {
        const k = part.count * g.oh * g.ow;
        const { rows, constants, sizes, workgroups } = product(gpu.tileRows, m, n, k, g.groups);
        const operands = {
          dw: all.dw,
          dy: sliceOf(all.dy, part, bytes.dy),
          x: sliceOf(all.x, part, bytes.x),
        };
        for (const chunk of chunks(k)) {
          const uniforms = { u32: { ...sizes, ...convSizes(g), ...chunk } };
          gpu.run(conv.conv2dBackwardWeight[rows], operands, constants, workgroups, uniforms);
        }
      }
    },

    winogradBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
      using packed = kernels.packConv2dTransposed(weight, g.groups);
      kernels.conv2dBackwardInput(dx, dy, packed, g);
    },

    winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      kernels.conv2dBackwardWeight(dw, dy, x, g);
    },

    biasBackward(db: Tensor, dy: Tensor): void {
      const [n, c] = dy.shape, plane = dy.size / (n * c), bytes = 4 * c * plane;
      const all = { db: gpu.out(db), dy: gpu.at(dy) };
      for (const part of gpu.parts("biasBackward", n, bytes)) {
        const operands = { db: all.db, dy: sliceOf(all.dy, part, bytes) };
        const sizes = { n: part.count, channels: c, plane, length: 1, inner: 1 };
        gpu.perRow(conv.biasBackward, operands, c, {}, { u32: sizes });
      }
    },

    maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void {
      const size = dx.size / planes, outputs = dy.size / planes;
      checkIndices(gpu.largestIndex(indices), size);
      gpu.fill(dx, 0);
      const all = { dx: gpu.out(dx), dy: gpu.at(dy), indices: gpu.at(indices, "i32") };
      for (const part of gpu.parts("maxPool2dBackward", planes, 4 * size, 4 * outputs)) {
        const operands = {
          dx: sliceOf(all.dx, part, 4 * size),
          dy: sliceOf(all.dy, part, 4 * outputs),
          indices: sliceOf(all.indices, part, 4 * outputs),
        };
        for (const chunk of chunks(outputs)) {
          const uniforms = { u32: { planes: part.count, size, outputs, ...chunk } };
          gpu.perElement(pool.maxPool2dBackward, operands, part.count, {}, uniforms);
        }
      }
    },

    avgPool2dBackward(
      dx: Tensor,
      dy: Tensor,
      g: Pool2dGeometry,
      countIncludePad: boolean,
      divisor: number | null,
    ): void {
      const operands = { dx: gpu.out(dx), dy: gpu.at(dy) },
        u32 = averageSizes(g, countIncludePad, divisor);
      perPlane(gpu, pool.avgPool2dBackward, operands, planesOf(g), poolConstants(g), { u32 });
    },

    adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void {
      const { h, w, oh, ow } = g, operands = { dx: gpu.out(dx), dy: gpu.at(dy) };
      const uniforms = { u32: { h, w, oh, ow } };
      perPlane(gpu, pool.adaptiveAvgPool2dBackward, operands, planesOf(g), {}, uniforms);
    },

    linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void {
      const [outF, inF] = weight.shape, n = dy.size / outF;
      const all = { dx: gpu.out(dx), dy: gpu.at(dy), weight: gpu.at(weight) };
      for (const { start, count } of gpu.parts("linearBackwardInput", outF, 4 * inF)) {
        const operands = { ...all, weight: sliceOf(all.weight, { start, count }, 4 * inF) };
        const { rows, constants, sizes, workgroups } = product(gpu.tileRows, inF, n, count);
        for (const chunk of chunks(count)) {
          const u32 = { ...sizes, ...chunk, outF, first: start };
          gpu.run(dense.linearBackwardInput[rows], operands, constants, workgroups, { u32 });
        }
      }
    },

    linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void {
      const [outF, inF] = dw.shape, n = dy.size / outF;
      const all = { dw: gpu.out(dw), dy: gpu.at(dy), x: gpu.at(x) };
      for (const { start, count } of gpu.parts("linearBackwardWeight", outF, 4 * inF)) {
        const operands = { ...all, dw: sliceOf(all.dw, { start, count }, 4 * inF) };
        const { rows, constants, sizes, workgroups } = product(gpu.tileRows, count, inF, n);
        for (const chunk of chunks(n)) {
          const uniforms = { u32: { ...sizes, ...chunk, outF, first: start } };
          gpu.run(dense.linearBackwardWeight[rows], operands, constants, workgroups, uniforms);
        }
      }
    },

    softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
      const operands = { dx: gpu.out(dx), dy: gpu.at(dy), y: gpu.at(y) };
      alongAxis(gpu, axis.softmaxBackward, operands, g);
    },

    logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
      const operands = { dx: gpu.out(dx), dy: gpu.at(dy), y: gpu.at(y) };
      alongAxis(gpu, axis.logSoftmaxBackward, operands, g);
    },

    crossEntropy(
      loss: Tensor,
      dx: Tensor,
      x: Tensor,
      targets: Tensor<Int32Array>,
      labelSmoothing: number,
    ): void {
      const [n, c] = x.shape;
      using each = gpu.empty([n]);
      const operands = {
        losses: gpu.out(each),
        dx: gpu.out(dx),
        x: gpu.at(x),
        targets: gpu.at(targets, "i32"),
      };
      gpu.perRow(losses.crossEntropy, operands, n, {}, {
        u32: { length: c, inner: 1 },
        f32: { share: labelSmoothing / c, rest: 1 - labelSmoothing },
      });
      gpu.run(losses.mean, { y: gpu.out(loss), x: gpu.at(each) }, {}, 1);
    },

    localResponseNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      g: LocalResponseNormGeometry,
    ): void {
      const operands = { dx: gpu.out(dx), dy: gpu.at(dy), x: gpu.at(x) };
      acrossChannels(gpu, norm.localResponseNormBackward, operands, g);
    },

    batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void {
      const operands = { mean: gpu.out(mean), variance: gpu.out(variance), x: gpu.at(x) };
      perChannel(gpu, norm.batchNormStatistics, operands, x);
    },

    batchNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      tensors: BatchNormBackwardTensors,
      eps: number,
    ): void {
      const { mean, variance, weight, dweight, dbias } = tensors;
      using unused = gpu.empty(mean.shape), other = gpu.empty(mean.shape);
      const operands = {
        dx: gpu.out(dx),
        dweight: gpu.out(dweight ?? unused),
        dbias: gpu.out(dbias ?? other),
        dy: gpu.at(dy),
        x: gpu.at(x),
        mean: gpu.at(mean),
        variance: gpu.at(variance),
        weight: gpu.at(weight ?? mean),
      };
      perChannel(gpu, norm.batchNormBackward, operands, x, { WEIGHT: weight !== null }, { eps });
    },

    dropout(y: Tensor, x: Tensor, { seed, keep, scale }: DropoutMask): void {
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      for (const part of gpu.parts("dropout", x.size, 4)) {
        const parts = { y: sliceOf(operands.y, part, 4), x: sliceOf(operands.x, part, 4) };
        gpu.perElement(elementwise.dropout, parts, part.count, {}, {
          u32: { seed, first: part.start, keep },
          f32: { scale },
        });
      }
    },

    sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void {
      const operands = { w: gpu.out(w), dw: gpu.at(dw) };
      const both = velocity ? { ...operands, velocity: gpu.out(velocity) } : operands;
      const shader = velocity ? elementwise.sgdWithMomentum : elementwise.sgd;
      const numbers = { lr: step.lr, momentum: step.momentum, decay: step.weightDecay };
      gpu.elementwise(shader, both, w.size, { NESTEROV: step.nesterov }, { f32: numbers });
    },

    adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void {
      const operands = { w: gpu.out(w), m: gpu.out(m), v: gpu.out(v), dw: gpu.at(dw) };
      gpu.elementwise(elementwise.adamw, operands, w.size, {}, { f32: { ...step } });
    },

    axpby(y: Tensor, x: Tensor, a: number, b: number): void {
      gpu.elementwise(elementwise.axpby, { y: gpu.out(y), x: gpu.at(x) }, x.size, {}, {
        f32: { a, b },
      });
    },

    async squaredNorm(x: Tensor): Promise<number> {
      let total = 0;
      for (const part of gpu.parts("squaredNorm", x.size, 4)) {
        using sums = gpu.empty([Math.ceil(part.count / sumChunk)]);
        const operands = { y: gpu.out(sums), x: sliceOf(gpu.at(x), part, 4) };
        gpu.perElement(elementwise.squaredNorm, operands, sums.size);
        total += (await sums.read()).reduce((sum, v) => sum + v, 0);
      }
      return total;
    },
  };
  return kernels;
}

/** The planes of a pooling's gradients. */
function planesOf({ n, c, h, w, oh, ow }: AdaptiveGeometry): PlaneSizes {
  return { planes: n * c, written: h * w, read: oh * ow };
}

/** Runs a shader with a workgroup for each channel of x. */
function perChannel(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  x: Tensor,
  constants: Constants = {},
  f32: Uniforms["f32"] = {},
): void {
  const [n, c] = x.shape, plane = x.size / (n * c);
  const sizes = { channels: c, plane, count: n * plane, length: 1, inner: 1 };
  gpu.perRow(shader, operands, c, constants, { u32: sizes, f32 });
}
