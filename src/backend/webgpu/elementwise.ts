/**
 * The kernels of activation functions, sums and products of elements. Each chooses a shader and
 * passes it operands and sizes.
 */

import type { Tensor } from "../../tensor.ts";
import type { Activation, BroadcastGeometry } from "../geometry.ts";
import type { ElementwiseKernels } from "../kernels.ts";
import { activationKindCodes } from "../wasm/generated/geometry.ts";
import type { GpuMemory } from "./memory.ts";
import { slicesOf } from "./parts.ts";
import type { Operands, Shader, Uniforms } from "./shader.ts";
import * as activations from "./shaders/activation.ts";
import * as arithmetic from "./shaders/arithmetic.ts";
import { chunks } from "./shaders/gemm.ts";

/** The elementwise kernels over a GPU's memory. */
export function elementwiseKernels(gpu: GpuMemory): ElementwiseKernels {
  return {
    add(y: Tensor, a: Tensor, b: Tensor, g: BroadcastGeometry, alpha: number): void {
      const operands = { y: gpu.out(y), a: gpu.at(a) };
      withRepeated(gpu, arithmetic.add, operands, b, y.size, g, { alpha });
    },

    mul(y: Tensor, a: Tensor, b: Tensor, g: BroadcastGeometry): void {
      const operands = { y: gpu.out(y), a: gpu.at(a) };
      withRepeated(gpu, arithmetic.mul, operands, b, y.size, g);
    },

    prelu(y: Tensor, a: Tensor, weight: Tensor, x: Tensor, g: BroadcastGeometry): void {
      const operands = { y: gpu.out(y), a: gpu.at(a), x: gpu.at(x) };
      withRepeated(gpu, arithmetic.prelu, operands, weight, y.size, g);
    },

    activation(y: Tensor, x: Tensor, f: Activation): void {
      const operands = { y: gpu.out(y), x: gpu.at(x) };
      gpu.elementwise(activations.activation, operands, y.size, {}, activationUniforms(f));
    },

    activationBackward(dx: Tensor, dy: Tensor, saved: Tensor, f: Activation): void {
      const operands = { dx: gpu.out(dx), dy: gpu.at(dy), saved: gpu.at(saved) };
      gpu.elementwise(activations.activationBackward, operands, dy.size, {}, activationUniforms(f));
    },

    sumProducts(
      db: Tensor,
      dy: Tensor,
      a: Tensor | null,
      { size, inner, step, innerStep }: BroadcastGeometry,
      negative: boolean,
    ): void {
      const operands = { db: gpu.out(db), dy: gpu.at(dy), a: gpu.at(a ?? dy) };
      const ownSize = step > 0 ? size : 1, ownInner = innerStep > 0 ? inner : 1;
      const sizes = { size, inner, ownSize, ownInner };
      const terms = { termSize: size / ownSize, termInner: inner / ownInner };
      const flags = { ones: Number(a === null), negative: Number(negative), length: 1 };
      for (const chunk of chunks(dy.size / db.size)) {
        const u32 = { ...sizes, ...terms, ...flags, ...chunk };
        gpu.perRow(arithmetic.sumProducts, operands, db.size, {}, { u32 });
      }
    },
  };
}

/** The uniforms of an activation function. */
function activationUniforms({ kind, a, b }: Activation): Uniforms {
  return { u32: { kind: activationKindCodes[kind] }, f32: { a, b } };
}

/** Runs an elementwise shader whose operand b is repeated. */
function withRepeated(
  gpu: GpuMemory,
  shader: Shader,
  operands: Operands,
  b: Tensor,
  size: number,
  g: BroadcastGeometry,
  f32: Uniforms["f32"] = {},
): void {
  const all = { ...operands, b: gpu.at(b) }, names = Object.keys(b.size === size ? all : operands);
  const { outer: _, ...steps } = g;
  for (const part of gpu.parts(shader.name, size, 4)) {
    const slices = slicesOf(all, part, 4, names), first = b.size === size ? 0 : part.start;
    gpu.perElement(shader, slices, part.count, {}, { u32: { first, ...steps }, f32 });
  }
}
