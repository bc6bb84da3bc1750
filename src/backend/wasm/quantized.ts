/**
 * The kernels of weights in 8 bits.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { QuantizedKernels } from "../kernels.ts";
import type { Exports } from "./binary.ts";
import type { WasmMemory } from "./memory.ts";

/** The kernels of 8-bit weights over a memory, from what the binary exports. */
export function quantizedKernels(memory: WasmMemory, exports: Exports): QuantizedKernels {
  return {
    emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
      return memory.emptyOf(Int8Array, [exports.linearInt8PackedSize(inF, outF)]);
    },

    packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
      const [rows, inF] = weight.shape, bytes = exports.linearInt8PackedSize(inF, row);
      // deno-fmt-ignore
      exports.linearInt8Pack(
      memory.out(packed) + bytes, memory.out(scale) + 4 * row, memory.at(weight), inF, rows,
    );
    },

    unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void {
      const [outF, inF] = values.shape;
      exports.linearInt8Unpack(memory.out(values), memory.at(packed), inF, outF);
    },

    linearInt8(
      y: Tensor,
      x: Tensor,
      packed: Tensor<Int8Array>,
      scale: Tensor,
      bias: Tensor | null,
      relu: boolean,
    ): void {
      const outF = scale.size, n = y.size / outF, inF = x.size / n;
      const scratch = memory.scratch(exports.linearInt8ScratchSize(n, inF));
      // deno-fmt-ignore
      exports.linearInt8(
      memory.out(y), memory.at(x), memory.at(packed), memory.at(scale), memory.at(bias), scratch,
      n, inF, outF, Number(relu),
    );
    },
  };
}
