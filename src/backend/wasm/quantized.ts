/**
 * The kernels of weights in 8 bits.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { QuantizedKernels } from "../kernels.ts";
import { writeLinear } from "./generated/geometry.ts";
import type { Exports } from "./generated/kernels.ts";
import type { WasmMemory } from "./memory.ts";

/** The kernels of 8-bit weights over a memory, from what the binary exports. */
export function quantizedKernels(memory: WasmMemory, exports: Exports): QuantizedKernels {
  /** Bytes of packed weights. */
  const packedSize = (outF: number, inF: number): number =>
    exports.linearInt8PackedSize(memory.block(writeLinear, { n: 1, inF, outF }));

  return {
    emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
      return memory.emptyOf(Int8Array, [packedSize(outF, inF)]);
    },

    packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
      const [rows, inF] = weight.shape;
      const to = memory.out(packed) + packedSize(row, inF), scales = memory.out(scale) + 4 * row;
      const block = memory.block(writeLinear, { n: 1, inF, outF: rows });
      exports.linearInt8Pack(to, scales, memory.at(weight), block);
    },

    unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void {
      const [outF, inF] = values.shape;
      const block = memory.block(writeLinear, { n: 1, inF, outF });
      exports.linearInt8Unpack(memory.out(values), memory.at(packed), block);
    },

    linearInt8(
      y: Tensor,
      x: Tensor,
      packed: Tensor<Int8Array>,
      scale: Tensor,
      bias: Tensor | null,
      activation: number,
    ): void {
      const outF = scale.size, n = y.size / outF, inF = x.size / n;
      const block = memory.block(writeLinear, { n, inF, outF });
      const scratch = memory.scratch(exports.linearInt8ScratchSize(block));
      exports.linearInt8(
        memory.out(y),
        memory.at(x),
        memory.at(packed),
        memory.at(scale),
        memory.at(bias),
        scratch,
        block,
        activation,
      );
    },
  };
}
