/** Fully connected layers whose weights are held in 8 bits. */

import type { Tensor } from "../../tensor.ts";
import { GpuForward } from "./forward.ts";
import { linearInt8, packInt8, unpackInt8 } from "./shaders/int8.ts";
import { ROWS } from "./shaders/linear.ts";

/** The bits of a float32 that is not a number. */
const nan = 0x7fc00000;

/**
 * The part of the WebGPU backend with weights in 8 bits. Unlike in Wasm, where integers are
 * multiplied, activations are not rounded: what is read from memory is what counts here.
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
}

/** Words of a packed row. */
function words(inF: number): number {
  return Math.ceil(inF / 4);
}
