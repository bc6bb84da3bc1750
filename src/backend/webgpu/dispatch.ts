/**
 * Dispatches that kernels share: over rows, samples and planes, in parts that fit a binding.
 *
 * @module
 */

import type { Tensor, Values } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  FusedKind,
  LocalResponseNormGeometry,
} from "../geometry.ts";
import { fusedKindCodes } from "../wasm/generated/geometry.ts";
import type { GpuMemory } from "./memory.ts";
import { sliceOf, slicesOf } from "./parts.ts";
import type { Constants, Operand, Operands, Shader, Uniforms } from "./shader.ts";
import { noResidual, ownResidual, residualInY } from "./shaders/activate.ts";
import { chunks, packedSize, product } from "./shaders/gemm.ts";
import * as dense from "./shaders/linear.ts";
import { planeMean } from "./shaders/pool.ts";

/** The most samples for which a fully connected layer is computed as matrix-vector products. */
const fewSamples = 16;
/** The most words of a row for each invocation then: some drivers cut longer loops off. */
const longestLoop = 2 ** 15;

/** How shaders read weights: as arrays of these WGSL types, of four weights or fewer. */
interface WeightFormat {
  /** The type for rows of whole words of four weights. */
  readonly four: string;
  /** The type for all other rows. */
  readonly one: string;
  /** Bytes of a weight. */
  readonly bytes: number;
}

/** y = activation(x · weightᵀ + bias), by shaders for this format of weights. */
export function denseProduct(
  gpu: GpuMemory,
  shaders: typeof dense.linear,
  y: Tensor,
  x: Tensor,
  weight: Tensor<Values>,
  { four, one, bytes }: WeightFormat,
  bias: Tensor | null,
  activation: FusedKind,
): void {
  const [outF, inF] = weight.shape, n = x.size / inF;
  const few = n <= fewSamples && inF <= gpu.split * longestLoop, whole = few && inF % 4 === 0;
  const all = gpu.at(weight, whole ? four : one), output = gpu.out(y);
  for (const part of gpu.parts("linear", outF, bytes * inF)) {
    const operands = {
      y: output,
      x: gpu.at(x, whole ? "vec4f" : "f32"),
      weight: sliceOf(all, part, bytes * inF),
      biases: gpu.at(bias ?? x),
    };
    const code = fusedKindCodes[activation];
    const flags = { first: part.start, activation: code, biased: Number(bias !== null) };
    if (few) {
      const { lanes, rowsEach } = dense, samples = Math.min(n, dense.samplesEach);
      const across = Math.ceil(part.count / (lanes / gpu.split * rowsEach));
      gpu.run(
        whole ? shaders.words : shaders.odd,
        operands,
        { ROWS: rowsEach, SAMPLES: samples, LANES: lanes, SPLIT: gpu.split },
        across * Math.ceil(n / samples),
        { u32: { n, count: part.count, words: whole ? inF / 4 : inF, outF, ...flags } },
      );
    } else {
      const { rows, constants, sizes, workgroups } = product(gpu.tileRows, part.count, n, inF);
      for (const chunk of chunks(inF)) {
        const biased = chunk.start > 0 ? 0 : flags.biased, isLast = chunk.k === inF;
        const after = { ...flags, biased, activation: isLast ? code : fusedKindCodes.none };
        const u32 = { ...sizes, ...chunk, inF, outF, ...after };
        gpu.run(shaders.batch[rows], operands, constants, workgroups, { u32 });
      }
    }
  }
}

/**
 * What a convolution adds to its results, for whole samples of y: operands, and flags as uniforms.
 * A tensor that is not there needs a binding all the same: `other`, whose values are not read.
 */
export function addends(
  gpu: GpuMemory,
  y: Operand,
  bias: Tensor | null,
  residual: Tensor | null,
  other: Operand,
): { readonly operands: Record<"biases" | "residual", Operand>; readonly flags: Uniforms["u32"] } {
  const all = residual && gpu.at(residual), isY = all?.block === y.block;
  const { offset, size } = y;
  return {
    operands: {
      biases: bias ? gpu.at(bias) : other,
      residual: all && !isY ? { ...all, offset, size } : other,
    },
    flags: {
      biased: Number(bias !== null),
      residual: !all ? noResidual : isY ? residualInY : ownResidual,
    },
  };
}

/** The flags that add a chunk of a convolution's sums to those before it. */
export const addsToSum: Uniforms["u32"] = { biased: 0, residual: residualInY };

/** Runs a shader for each row along an axis. */
export function alongAxis(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  { outer, size, inner }: AxisGeometry,
): void {
  const bytes = 4 * size * inner;
  for (const part of gpu.parts(shader.name, outer, bytes)) {
    const slices = slicesOf(operands, part, bytes);
    gpu.perRow(shader, slices, part.count * inner, {}, { u32: { length: size, inner } });
  }
}

/** Runs a shader for each value of local response normalisation. */
export function acrossChannels(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  { n, c, plane, size, alpha, beta, k }: LocalResponseNormGeometry,
): void {
  perSample(gpu, shader, operands, Object.keys(operands), n, c * plane, {}, {
    u32: { channels: c, plane, half: (size - 1) / 2 },
    f32: { scale: alpha / size, beta, base: k },
  });
}

/**
 * Runs an elementwise shader on whole samples of `size` values. `sliced` names the operands of
 * samples.
 */
export function perSample(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  sliced: readonly string[],
  n: number,
  size: number,
  constants: Constants,
  uniforms: Uniforms,
): void {
  for (const part of gpu.parts(shader.name, n, 4 * size)) {
    const slices = slicesOf(operands, part, 4 * size, sliced);
    gpu.perElement(shader, slices, part.count * size, constants, uniforms);
  }
}

/** Packs weights [groups · m, k] into whole tiles. */
export function pack(
  gpu: GpuMemory,
  shader: Shader,
  weight: Tensor,
  groups: number,
  m: number,
  k: number,
  sizes: Uniforms["u32"] = {},
): Tensor {
  const whole = packedSize(m, k);
  const packed = gpu.empty([groups, whole.deep, whole.wide]);
  const uniforms = { u32: { m, k, ...whole, ...sizes } };
  try {
    const operands = { packed: gpu.out(packed), w: gpu.at(weight) };
    gpu.perElement(shader, operands, packed.size, {}, uniforms);
    return packed;
  } catch (error) {
    packed.dispose();
    throw error;
  }
}

/** How many planes a shader reads and writes, and the values of each. */
export interface PlaneSizes {
  readonly planes: number;
  readonly read: number;
  readonly written: number;
}

/** Runs a shader for each output value, whole planes at a time. */
export function perPlane(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  sizes: PlaneSizes,
  constants: Constants,
  uniforms?: Uniforms,
): void {
  const read = 4 * sizes.read, written = 4 * sizes.written;
  for (const part of gpu.parts(shader.name, sizes.planes, read, written)) {
    const parts = Object.entries(operands).map(([name, operand]) => [
      name,
      sliceOf(operand, part, operand.writes ? written : read),
    ]);
    const count = part.count * sizes.written;
    gpu.perElement(shader, Object.fromEntries(parts), count, constants, uniforms);
  }
}

/** Runs a shader for each output value of a pooling. */
export function pool2d(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  g: AdaptiveGeometry,
  constants: Constants,
  u32: Uniforms["u32"],
): void {
  const sizes = { planes: g.n * g.c, read: g.h * g.w, written: g.oh * g.ow };
  perPlane(gpu, shader, operands, sizes, constants, { u32 });
}

/** y = the mean of each plane of x, with a workgroup for each. */
export function planeMeans(
  gpu: GpuMemory,
  y: Operand,
  x: Operand,
  planes: number,
  size: number,
): void {
  for (const part of gpu.parts(planeMean.name, planes, 4 * size, 4)) {
    const operands = { y: sliceOf(y, part, 4), x: sliceOf(x, part, 4 * size) };
    gpu.perRow(planeMean, operands, part.count, {}, { u32: { length: size, inner: 1 } });
  }
}
