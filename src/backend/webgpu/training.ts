/** The kernels of training: gradients, dropout and optimisers. */

import type { Backend } from "../mod.ts";
import { ArgumentError } from "../../errors.ts";
import type { Tensor } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  Conv2dGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import type { AdamWStep, SgdStep } from "../kernels.ts";
import { partOf } from "./memory.ts";
import { GpuQuantized } from "./quantized.ts";
import { float } from "./shader.ts";
import { constantsOf, packConv2dTransposed, packedSize } from "./shaders/conv2d.ts";
import * as conv from "./shaders/conv2d_backward.ts";
import * as elementwise from "./shaders/elementwise.ts";
import { product, stretches } from "./shaders/gemm.ts";
import * as dense from "./shaders/linear_backward.ts";
import * as losses from "./shaders/loss.ts";
import * as norm from "./shaders/norm.ts";
import * as pool from "./shaders/pool_backward.ts";
import * as axis from "./shaders/rows.ts";
import { windowConstants } from "./shaders/window.ts";

/** Elements whose squares are added up in float32. */
const STRETCH = 256;

/** The part of the WebGPU backend that learns. */
export abstract class GpuTraining extends GpuQuantized {
  packConv2dTransposed(weight: Tensor, groups: number): Tensor {
    const [outC, m] = weight.shape, taps = weight.size / (outC * m);
    return this.pack(packConv2dTransposed, weight, groups, m, outC / groups * taps, {
      taps,
    });
  }

  conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
    const m = g.inC / g.groups, k = g.outC / g.groups * g.kh * g.kw;
    const bytes = [4 * dx.size / g.n, 4 * dy.size / g.n];
    const all = { dx: this.out(dx), dy: this.at(dy) };
    for (const part of this.parts("conv2dBackwardInput", g.n, ...bytes)) {
      const n = part.count * g.h * g.w;
      const { rows, constants, sizes, groups } = product(this.tileRows, m, n, k, g.groups);
      const operands = {
        dx: partOf(all.dx, part, bytes[0]),
        dy: partOf(all.dy, part, bytes[1]),
        packed: this.at(packed, "vec4f"),
      };
      const given = { sizes: { ...sizes, ...packedSize(m, k) } };
      const both = { ...constants, ...constantsOf(g) };
      this.run(conv.conv2dBackwardInput[rows], operands, both, groups, given);
    }
  }

  conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
    const m = g.outC / g.groups, n = g.inC / g.groups * g.kh * g.kw;
    const bytes = [4 * dy.size / g.n, 4 * x.size / g.n];
    const all = { dw: this.out(dw), dy: this.at(dy), x: this.at(x) };
    for (const part of this.parts("conv2dBackwardWeight", g.n, ...bytes)) {
      const k = part.count * g.oh * g.ow;
      const { rows, constants, sizes, groups } = product(this.tileRows, m, n, k, g.groups);
      const operands = {
        dw: all.dw,
        dy: partOf(all.dy, part, bytes[0]),
        x: partOf(all.x, part, bytes[1]),
      };
      const both = { ...constants, ...constantsOf(g) };
      for (const stretch of stretches(k)) {
        const given = { sizes: { ...sizes, ...stretch } };
        this.run(conv.conv2dBackwardWeight[rows], operands, both, groups, given);
      }
    }
  }

  winogradBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
    using packed = this.packConv2dTransposed(weight, g.groups);
    this.conv2dBackwardInput(dx, dy, packed, g);
  }

  winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
    this.conv2dBackwardWeight(dw, dy, x, g);
  }

  biasBackward(db: Tensor, dy: Tensor): void {
    const [n, c] = dy.shape, plane = dy.size / (n * c), bytes = 4 * c * plane;
    const all = { db: this.out(db), dy: this.at(dy) };
    for (const part of this.parts("biasBackward", n, bytes)) {
      const operands = { db: all.db, dy: partOf(all.dy, part, bytes) };
      const sizes = { n: part.count, channels: c, plane, length: 1, inner: 1 };
      this.perRow(conv.biasBackward, operands, c, {}, { sizes });
    }
  }

  maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void {
    const size = dx.size / planes, outputs = dy.size / planes, most = this.largestIndex(indices);
    if (most >= size) {
      const takes = `below ${size}, the size of a plane of the input`;
      throw new ArgumentError("maxPoolBackward", "an index", most | 0, takes);
    }
    this.fill(dx, 0);
    const all = { dx: this.out(dx), dy: this.at(dy), indices: this.at(indices, "i32") };
    for (const part of this.parts("maxPool2dBackward", planes, 4 * size, 4 * outputs)) {
      const operands = {
        dx: partOf(all.dx, part, 4 * size),
        dy: partOf(all.dy, part, 4 * outputs),
        indices: partOf(all.indices, part, 4 * outputs),
      };
      for (const stretch of stretches(outputs)) {
        const given = { sizes: { planes: part.count, size, outputs, ...stretch } };
        this.perElement(pool.maxPool2dBackward, operands, part.count, {}, given);
      }
    }
  }

  avgPool2dBackward(
    dx: Tensor,
    dy: Tensor,
    g: Pool2dGeometry,
    countIncludePad: boolean,
    divisor: number | null,
  ): void {
    this.perPlane(pool.avgPool2dBackward, { dx: this.out(dx), dy: this.at(dy) }, {
      planes: g.n * g.c,
      written: g.h * g.w,
      read: g.oh * g.ow,
    }, { ...windowConstants(g), PADDED: countIncludePad, DIVISOR: divisor ?? 0 });
  }

  adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void {
    const { h, w, oh, ow } = g;
    this.perPlane(pool.adaptiveAvgPool2dBackward, { dx: this.out(dx), dy: this.at(dy) }, {
      planes: g.n * g.c,
      written: h * w,
      read: oh * ow,
    }, { H: h, W: w, OH: oh, OW: ow });
  }

  linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void {
    const [outF, inF] = weight.shape, n = dy.size / outF;
    const all = { dx: this.out(dx), dy: this.at(dy), weight: this.at(weight) };
    for (const { start, count } of this.parts("linearBackwardInput", outF, 4 * inF)) {
      const operands = { ...all, weight: partOf(all.weight, { start, count }, 4 * inF) };
      const { rows, constants, sizes, groups } = product(this.tileRows, inF, n, count);
      const given = { sizes: { ...sizes, outF, first: start } };
      this.run(dense.linearBackwardInput[rows], operands, constants, groups, given);
    }
  }

  linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void {
    const [outF, inF] = dw.shape, n = dy.size / outF;
    const all = { dw: this.out(dw), dy: this.at(dy), x: this.at(x) };
    for (const { start, count } of this.parts("linearBackwardWeight", outF, 4 * inF)) {
      const operands = { ...all, dw: partOf(all.dw, { start, count }, 4 * inF) };
      const { rows, constants, sizes, groups } = product(this.tileRows, count, inF, n);
      for (const stretch of stretches(n)) {
        const given = { sizes: { ...sizes, ...stretch, outF, first: start } };
        this.run(dense.linearBackwardWeight[rows], operands, constants, groups, given);
      }
    }
  }

  reluBackward(dx: Tensor, dy: Tensor, y: Tensor): void {
    const operands = { dx: this.out(dx), dy: this.at(dy), y: this.at(y) };
    this.elementwise(elementwise.reluBackward, operands, dy.size);
  }

  softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
    const operands = { dx: this.out(dx), dy: this.at(dy), y: this.at(y) };
    this.alongAxis(axis.softmaxBackward, operands, g);
  }

  logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
    const operands = { dx: this.out(dx), dy: this.at(dy), y: this.at(y) };
    this.alongAxis(axis.logSoftmaxBackward, operands, g);
  }

  crossEntropy(
    loss: Tensor,
    dx: Tensor,
    x: Tensor,
    targets: Tensor<Int32Array>,
    labelSmoothing: number,
  ): void {
    const [n, c] = x.shape;
    using each = this.empty([n]);
    const operands = {
      losses: this.out(each),
      dx: this.out(dx),
      x: this.at(x),
      targets: this.at(targets, "i32"),
    };
    this.perRow(losses.crossEntropy, operands, n, {}, {
      sizes: { length: c, inner: 1 },
      numbers: { share: labelSmoothing / c, rest: 1 - labelSmoothing },
    });
    this.run(losses.mean, { y: this.out(loss), x: this.at(each) }, {}, [1]);
  }

  localResponseNormBackward(
    dx: Tensor,
    dy: Tensor,
    x: Tensor,
    size: number,
    alpha: number,
    beta: number,
    k: number,
  ): void {
    const operands = { dx: this.out(dx), dy: this.at(dy), x: this.at(x) };
    this.neighbours(norm.localResponseNormBackward, operands, x, size, alpha, beta, k);
  }

  batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void {
    const operands = { mean: this.out(mean), variance: this.out(variance), x: this.at(x) };
    this.#perChannel(norm.batchNormStatistics, operands, x, {});
  }

  batchNormBackward(
    dx: Tensor,
    dy: Tensor,
    x: Tensor,
    tensors: Parameters<Backend["batchNormBackward"]>[3],
    eps: number,
  ): void {
    const { mean, variance, weight, dweight, dbias } = tensors;
    using unused = this.empty(mean.shape), other = this.empty(mean.shape);
    const operands = {
      dx: this.out(dx),
      dweight: this.out(dweight ?? unused),
      dbias: this.out(dbias ?? other),
      dy: this.at(dy),
      x: this.at(x),
      mean: this.at(mean),
      variance: this.at(variance),
      weight: this.at(weight ?? mean),
    };
    const constants = { EPS: float(eps), WEIGHT: weight !== null };
    this.#perChannel(norm.batchNormBackward, operands, x, constants);
  }

  dropout(y: Tensor, x: Tensor, p: number, seed: number): void {
    const keep = Math.round((1 - p) * 2 ** 32) - 1;
    if (keep < 0) return this.fill(y, 0);
    const operands = { y: this.out(y), x: this.at(x) };
    for (const part of this.parts("dropout", x.size, 4)) {
      const parts = { y: partOf(operands.y, part, 4), x: partOf(operands.x, part, 4) };
      this.perElement(elementwise.dropout, parts, part.count, {}, {
        sizes: { seed, first: part.start, keep },
        numbers: { scale: 1 / (1 - p) },
      });
    }
  }

  sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void {
    const { nesterov, first } = step;
    const operands = { w: this.out(w), dw: this.at(dw) };
    const both = velocity ? { ...operands, velocity: this.out(velocity) } : operands;
    const shader = velocity ? elementwise.sgdWithMomentum : elementwise.sgd;
    const constants = { NESTEROV: nesterov, FIRST_STEP: first };
    const numbers = { lr: step.lr, momentum: step.momentum, decay: step.weightDecay };
    this.elementwise(shader, both, w.size, constants, { numbers });
  }

  adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void {
    const operands = { w: this.out(w), m: this.out(m), v: this.out(v), dw: this.at(dw) };
    const numbers = { ...step, rest1: 1 - step.beta1, rest2: 1 - step.beta2 };
    this.elementwise(elementwise.adamw, operands, w.size, {}, { numbers });
  }

  axpby(y: Tensor, x: Tensor, a: number, b: number): void {
    this.elementwise(elementwise.axpby, { y: this.out(y), x: this.at(x) }, x.size, {}, {
      numbers: { a, b },
    });
  }

  async squaredNorm(x: Tensor): Promise<number> {
    let total = 0;
    for (const part of this.parts("squaredNorm", x.size, 4)) {
      using sums = this.empty([Math.ceil(part.count / STRETCH)]);
      const operands = { y: this.out(sums), x: partOf(this.at(x), part, 4) };
      this.perElement(elementwise.squaredNorm, operands, sums.size);
      total += (await sums.read()).reduce((sum, v) => sum + v, 0);
    }
    return total;
  }

  #perChannel(
    shader: typeof norm.batchNormStatistics,
    operands: Parameters<GpuTraining["perRow"]>[1],
    x: Tensor,
    constants: Parameters<GpuTraining["perRow"]>[3],
  ): void {
    const [n, c] = x.shape, plane = x.size / (n * c);
    const sizes = { channels: c, plane, count: n * plane, length: 1, inner: 1 };
    this.perRow(shader, operands, c, constants, { sizes });
  }
}
