/** Fully connected layers with weights in 8 or 16 bits. */

import type { Shape, Tensor } from "../../tensor.ts";
import type { FusedKind } from "../geometry.ts";
import type { QuantizedKernels } from "../kernels.ts";
import { fusedKindCodes } from "../wasm/generated/geometry.ts";
import { denseProduct } from "./dispatch.ts";
import type { GpuMemory } from "./memory.ts";
import { bindingAlignment, sliceOf } from "./parts.ts";
import { linearInt8, packInt8, unpackInt8 } from "./shaders/int8.ts";
import { linear, linearPacked, packHalf, rowsEach } from "./shaders/linear.ts";

/** Bindings begin at multiples of this many words. */
const bindingWords = bindingAlignment / 4;
/** The bits of a NaN in float32. */
const nan = 0x7fc00000;

/**
 * The kernels of weights in 8 or 16 bits. The products are computed in float32, because reading the
 * weights takes most of the time. So activations are not rounded, unlike in Wasm, which multiplies
 * 8-bit integers. Without `shader-f16`, shaders read float16 as integers.
 */
export function quantizedKernels(gpu: GpuMemory): QuantizedKernels {
  return {
    emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
      return gpu.emptyOf(Int8Array, [outF, 4 * words(inF)]);
    },

    packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
      const [rows, inF] = weight.shape;
      const operands = {
        packed: gpu.out(packed, "u32"),
        scale: gpu.out(scale),
        w: gpu.at(weight),
      };
      const sizes = { inF, words: words(inF), first: row, nan };
      gpu.perRow(packInt8, operands, rows, {}, { u32: sizes });
    },

    unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void {
      const [, inF] = values.shape;
      const operands = { values: gpu.out(values, "u32"), packed: gpu.at(packed, "u32") };
      const sizes = { count: values.size, inF, words: words(inF) };
      gpu.perElement(unpackInt8, operands, Math.ceil(values.size / 4), {}, { u32: sizes });
    },

    emptyHalf(shape: Shape): Tensor<Uint16Array> {
      return gpu.emptyOf(Uint16Array, shape);
    },

    linearInt8(
      y: Tensor,
      x: Tensor,
      packed: Tensor<Int8Array>,
      scale: Tensor,
      bias: Tensor | null,
      activation: FusedKind,
    ): void {
      const outF = scale.size, n = y.size / outF, inF = x.size / n;
      const operands = {
        y: gpu.out(y),
        x: gpu.at(x),
        packed: gpu.at(packed, "u32"),
        scale: gpu.at(scale),
        bias: gpu.at(bias ?? scale),
      };
      const constants = { BIAS: bias !== null };
      const sizes = { inF, outF, words: words(inF), nan, activation: fusedKindCodes[activation] };
      gpu.perRow(linearInt8, operands, n * Math.ceil(outF / rowsEach), constants, { u32: sizes });
    },

    packHalf(half: Tensor<Uint16Array>, values: Tensor, offset: number): void {
      const words = gpu.out(half, "u32"), all = gpu.at(values);
      for (const part of gpu.parts("half", values.size, 4)) {
        const { start, count } = part;
        // a binding begins at an aligned address, which can lie before the first written word
        const word = (offset + start) / 2, first = word % bindingWords, from = word - first;
        const size = 4 * (first + Math.ceil(count / 2));
        const operands = {
          half: { ...words, offset: 4 * from, size },
          values: sliceOf(all, part, 4),
        };
        gpu.perElement(packHalf, operands, Math.ceil(count / 2), {}, { u32: { count, first } });
      }
    },

    linearHalf(
      y: Tensor,
      x: Tensor,
      weight: Tensor<Uint16Array>,
      bias: Tensor | null,
      activation: FusedKind,
    ): void {
      if (gpu.hasHalf) {
        const format = { four: "vec4<f16>", one: "f16", bytes: 2 };
        denseProduct(gpu, linear, y, x, weight, format, bias, activation);
      } else {
        const format = { four: "vec2u", one: "u32", bytes: 2 };
        denseProduct(gpu, linearPacked, y, x, weight, format, bias, activation);
      }
    },
  };
}

/** Words of a packed row. */
function words(inF: number): number {
  return Math.ceil(inF / 4);
}
