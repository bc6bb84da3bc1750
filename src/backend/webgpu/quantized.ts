/** Fully connected layers whose weights are held in 8 or in 16 bits. */

import type { Tensor } from "../../tensor.ts";
import { GpuForward } from "./forward.ts";
import { partOf } from "./memory.ts";
import { linearInt8, packInt8, unpackInt8 } from "./shaders/int8.ts";
import { linear, linearPacked, packHalf, ROWS } from "./shaders/linear.ts";

/** Bindings begin at multiples of so many words. */
const BINDING_WORDS = 64;
/** The bits of a float32 that is not a number. */
const nan = 0x7fc00000;

/**
 * The part of the WebGPU backend with weights in few bits. They are multiplied in float32: what is read
 * from memory is what counts here. So activations are not rounded, unlike in Wasm, where the integers
 * of 8 bits themselves are multiplied; and every adapter can, if need be without `shader-f16`.
 */
export abstract class GpuQuantized extends GpuForward {
  emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
    return this.emptyInt8([outF, 4 * words(inF)]);
  }

  packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
    const [rows, inF] = weight.shape;
    const operands = {
      packed: this.out(packed, "u32"),
      scale: this.out(scale),
      w: this.at(weight),
    };
    const sizes = { inF, words: words(inF), first: row, nan };
    this.perRow(packInt8, operands, rows, {}, { sizes });
  }

  unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void {
    const [, inF] = values.shape;
    const operands = { values: this.out(values, "u32"), packed: this.at(packed, "u32") };
    const sizes = { count: values.size, inF, words: words(inF) };
    this.perElement(unpackInt8, operands, Math.ceil(values.size / 4), {}, { sizes });
  }

  linearInt8(
    y: Tensor,
    x: Tensor,
    packed: Tensor<Int8Array>,
    scale: Tensor,
    bias: Tensor | null,
    relu: boolean,
  ): void {
    const outF = scale.size, n = y.size / outF, inF = x.size / n;
    const operands = {
      y: this.out(y),
      x: this.at(x),
      packed: this.at(packed, "u32"),
      scale: this.at(scale),
      bias: this.at(bias ?? scale),
    };
    const constants = { BIAS: bias !== null, RELU: relu };
    const sizes = { inF, outF, words: words(inF), nan };
    this.run(linearInt8, operands, constants, [Math.ceil(outF / ROWS), n], { sizes });
  }

  packHalf(half: Tensor<Uint16Array>, values: Tensor, offset: number): void {
    const words = this.out(half, "u32"), all = this.at(values);
    for (const part of this.parts("half", values.size, 4)) {
      const { start, count } = part;
      // a binding begins at a round address, perhaps before the first word that is written
      const word = (offset + start) / 2, first = word % BINDING_WORDS, from = word - first;
      const size = 4 * (first + Math.ceil(count / 2));
      const operands = {
        half: { ...words, offset: 4 * from, size },
        values: partOf(all, part, 4),
      };
      this.perElement(packHalf, operands, Math.ceil(count / 2), {}, { sizes: { count, first } });
    }
  }

  linearHalf(
    y: Tensor,
    x: Tensor,
    weight: Tensor<Uint16Array>,
    bias: Tensor | null,
    relu: boolean,
  ): void {
    if (this.hasHalf) {
      const words = { four: "vec4<f16>", one: "f16", bytes: 2 };
      this.dense(linear, y, x, weight, words, bias, relu);
    } else {
      const words = { four: "vec2u", one: "u32", bytes: 2 };
      this.dense(linearPacked, y, x, weight, words, bias, relu);
    }
  }
}

/** Words of a packed row. */
function words(inF: number): number {
  return Math.ceil(inF / 4);
}
