/**
 * The kernels of forward passes: each method chooses a shader, and tells it its sizes.
 *
 * @module
 */

import type { Tensor, Values } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  BatchNormTensors,
  Conv2dGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import { GpuMemory, partOf } from "./memory.ts";
import { type Constants, float, type Given, type Operand, type Shader } from "./shader.ts";
import * as conv from "./shaders/conv2d.ts";
import * as elementwise from "./shaders/elementwise.ts";
import { product } from "./shaders/gemm.ts";
import * as dense from "./shaders/linear.ts";
import * as norm from "./shaders/norm.ts";
import * as pool from "./shaders/pool.ts";
import * as axis from "./shaders/rows.ts";
import { windowConstants } from "./shaders/window.ts";

/** Samples up to which a fully connected layer is computed as products with vectors. */
const FEW_SAMPLES = 16;

/** The part of the WebGPU backend that evaluates. */
export abstract class GpuForward extends GpuMemory {
  packConv2d(weight: Tensor, groups: number): Tensor {
    const [outC] = weight.shape, m = outC / groups, k = weight.size / outC;
    return this.pack(conv.packConv2d, weight, groups, m, k);
  }

  conv2d(
    y: Tensor,
    x: Tensor,
    packed: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    relu: boolean,
  ): void {
    const m = g.outC / g.groups, k = g.inC / g.groups * g.kh * g.kw, pixels = g.oh * g.ow;
    const bytes = [4 * x.size / g.n, 4 * y.size / g.n];
    const all = { y: this.out(y), x: this.at(x) };
    for (const part of this.parts("conv2d", g.n, ...bytes)) {
      const n = part.count * pixels;
      const { rows, constants, sizes, groups } = product(this.tileRows, m, n, k, g.groups);
      const operands = {
        y: partOf(all.y, part, bytes[1]),
        x: partOf(all.x, part, bytes[0]),
        packed: this.at(packed, "vec4f"),
        bias: this.at(bias ?? packed),
      };
      this.run(
        conv.conv2d[rows],
        operands,
        {
          ...constants,
          ...conv.constantsOf(g),
          BIAS: bias !== null,
          RELU: relu,
        },
        groups,
        { sizes: { ...sizes, ...conv.packedSize(m, k) } },
      );
    }
  }

  /** Winograd's transforms are not worth their memory traffic here: the direct kernel. */
  winograd(
    y: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    relu: boolean,
  ): void {
    using packed = this.packConv2d(weight, g.groups);
    this.conv2d(y, x, packed, bias, g, relu);
  }

  maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void {
    const operands = { y: this.out(y), x: this.at(x) };
    if (indices === null) return this.#pool(pool.maxPool2d, operands, g, windowConstants(g));
    const both = { ...operands, indices: this.out(indices, "i32") };
    this.noteIndices(indices, g.h * g.w - 1);
    this.#pool(pool.maxPool2dWithIndices, both, g, windowConstants(g));
  }

  avgPool2d(
    y: Tensor,
    x: Tensor,
    g: Pool2dGeometry,
    countIncludePad: boolean,
    divisor: number | null,
  ): void {
    this.#pool(pool.avgPool2d, { y: this.out(y), x: this.at(x) }, g, {
      ...windowConstants(g),
      PADDED: countIncludePad,
      DIVISOR: divisor ?? 0,
    });
  }

  adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void {
    const { h, w, oh, ow } = g;
    const operands = { y: this.out(y), x: this.at(x) };
    this.#pool(pool.adaptiveAvgPool2d, operands, g, { H: h, W: w, OH: oh, OW: ow });
  }

  linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, relu: boolean): void {
    const words = { four: "vec4f", one: "f32", bytes: 4 };
    this.dense(dense.linear, y, x, weight, words, bias, relu);
  }

  /** y = x · weightᵀ + bias for weights whose elements are words of these types, by these shaders. */
  protected dense(
    shaders: typeof dense.linear,
    y: Tensor,
    x: Tensor,
    weight: Tensor<Values>,
    { four, one, bytes }: { readonly four: string; readonly one: string; readonly bytes: number },
    bias: Tensor | null,
    relu: boolean,
  ): void {
    const [outF, inF] = weight.shape, n = x.size / inF;
    const few = n <= FEW_SAMPLES, whole = few && inF % 4 === 0;
    const all = this.at(weight, whole ? four : one), output = this.out(y);
    for (const part of this.parts("linear", outF, bytes * inF)) {
      const operands = {
        y: output,
        x: this.at(x, whole ? "vec4f" : "f32"),
        weight: partOf(all, part, bytes * inF),
        bias: this.at(bias ?? x),
      };
      const constants = { BIAS: bias !== null, RELU: relu }, first = part.start;
      if (few) {
        const samples = Math.min(n, dense.SAMPLES), { ROWS, LANES } = dense, SPLIT = this.split;
        const across = Math.ceil(part.count / (LANES / SPLIT * ROWS));
        this.run(
          whole ? shaders.words : shaders.odd,
          operands,
          { ...constants, ROWS, SAMPLES: samples, LANES, SPLIT },
          [across, Math.ceil(n / samples)],
          { sizes: { n, count: part.count, words: whole ? inF / 4 : inF, outF, first } },
        );
      } else {
        const { rows, constants: own, sizes, groups } = product(this.tileRows, part.count, n, inF);
        const shader = shaders.batch[rows], given = { ...sizes, outF, first };
        this.run(shader, operands, { ...constants, ...own }, groups, { sizes: given });
      }
    }
  }

  relu(y: Tensor, x: Tensor): void {
    this.elementwise(elementwise.relu, { y: this.out(y), x: this.at(x) }, x.size);
  }

  softmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
    this.alongAxis(axis.softmax, { y: this.out(y), x: this.at(x) }, g);
  }

  logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
    this.alongAxis(axis.logSoftmax, { y: this.out(y), x: this.at(x) }, g);
  }

  localResponseNorm(
    y: Tensor,
    x: Tensor,
    size: number,
    alpha: number,
    beta: number,
    k: number,
  ): void {
    const operands = { y: this.out(y), x: this.at(x) };
    this.neighbours(norm.localResponseNorm, operands, x, size, alpha, beta, k);
  }

  batchNorm(y: Tensor, x: Tensor, tensors: BatchNormTensors, eps: number): void {
    const { runningMean, runningVar, weight = null, bias = null } = tensors;
    const [n, c] = x.shape, plane = x.size / (n * c);
    const operands = {
      y: this.out(y),
      x: this.at(x),
      mean: this.at(runningMean),
      variance: this.at(runningVar),
      weight: this.at(weight ?? runningMean),
      bias: this.at(bias ?? runningMean),
    };
    this.perSample(norm.batchNorm, operands, ["y", "x"], n, c * plane, {
      EPS: float(eps),
      WEIGHT: weight !== null,
      BIAS: bias !== null,
    }, { sizes: { channels: c, plane } });
  }

  /** Runs a shader for each row along an axis. */
  protected alongAxis(
    shader: Shader,
    operands: Readonly<Record<string, Operand>>,
    { outer, size, inner }: AxisGeometry,
  ): void {
    const bytes = 4 * size * inner;
    for (const part of this.parts(shader.name, outer, bytes)) {
      const parts = partsOf(operands, Object.keys(operands), part, bytes);
      this.perRow(shader, parts, part.count * inner, {}, { sizes: { length: size, inner } });
    }
  }

  /** Runs a shader for each value of local response normalisation. */
  protected neighbours(
    shader: Shader,
    operands: Readonly<Record<string, Operand>>,
    x: Tensor,
    size: number,
    alpha: number,
    beta: number,
    k: number,
  ): void {
    const [n, c] = x.shape, plane = x.size / (n * c);
    this.perSample(shader, operands, Object.keys(operands), n, c * plane, {
      SCALE: float(alpha / size),
      BETA: float(beta),
      BASE: float(k),
    }, { sizes: { channels: c, plane, half: (size - 1) / 2 } });
  }

  /** Runs an elementwise shader for whole samples of `size` values, of which `sliced` are tensors. */
  protected perSample(
    shader: Shader,
    operands: Readonly<Record<string, Operand>>,
    sliced: readonly string[],
    n: number,
    size: number,
    constants: Constants,
    given: Given,
  ): void {
    for (const part of this.parts(shader.name, n, 4 * size)) {
      const parts = partsOf(operands, sliced, part, 4 * size);
      this.perElement(shader, parts, part.count * size, constants, given);
    }
  }

  /** Weights of [groups · m, k] in whole tiles. */
  protected pack(
    shader: Shader,
    weight: Tensor,
    groups: number,
    m: number,
    k: number,
    sizes: Given["sizes"] = {},
  ): Tensor {
    const whole = conv.packedSize(m, k);
    const packed = this.empty([groups, whole.deep, whole.wide]);
    const operands = { packed: this.out(packed), w: this.at(weight) };
    const given = { sizes: { m, k, ...whole, ...sizes } };
    this.perElement(shader, operands, packed.size, {}, given);
    return packed;
  }

  /** Runs a shader for each value that is written, whole planes at a time. */
  protected perPlane(
    shader: Shader,
    operands: Readonly<Record<string, Operand>>,
    sizes: { readonly planes: number; readonly read: number; readonly written: number },
    constants: Constants,
  ): void {
    const read = 4 * sizes.read, written = 4 * sizes.written;
    for (const part of this.parts(shader.name, sizes.planes, read, written)) {
      const parts = Object.entries(operands).map(([name, operand]) => [
        name,
        partOf(operand, part, operand.writes ? written : read),
      ]);
      this.perElement(shader, Object.fromEntries(parts), part.count * sizes.written, constants);
    }
  }

  #pool(
    shader: Shader,
    operands: Readonly<Record<string, Operand>>,
    g: AdaptiveGeometry,
    constants: Constants,
  ): void {
    const sizes = { planes: g.n * g.c, read: g.h * g.w, written: g.oh * g.ow };
    this.perPlane(shader, operands, sizes, constants);
  }
}

/** The same part of each of the operands named. */
function partsOf(
  operands: Readonly<Record<string, Operand>>,
  sliced: readonly string[],
  part: Parameters<typeof partOf>[1],
  bytes: number,
): Record<string, Operand> {
  const parts = sliced.map((name) => [name, partOf(operands[name], part, bytes)]);
  return { ...operands, ...Object.fromEntries(parts) };
}
