/**
 * The kernels that normalise rows.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { RowNormGeometry } from "../geometry.ts";
import type { RowNormBackwardTensors, RowNormKernels, RowNormTensors } from "../row_kernels.ts";
import type { Exports } from "./generated/kernels.ts";
import * as blocks from "./generated/geometry.ts";
import type { WasmMemory } from "./memory.ts";

/** The kernels of row normalisation over a memory, from what the binary exports. */
export function rowNormKernels(memory: WasmMemory, exports: Exports): RowNormKernels {
  return {
    rowNorm(
      y: Tensor,
      x: Tensor,
      { weight, bias, statistics }: RowNormTensors,
      g: RowNormGeometry,
    ): void {
      const block = memory.block(blocks.writeRowNorm, g);
      exports.rowNorm(
        memory.out(y),
        memory.out(statistics && statistics.mean),
        memory.out(statistics && statistics.rstd),
        memory.at(x),
        memory.at(weight),
        memory.at(bias),
        block,
      );
    },

    rowNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      tensors: RowNormBackwardTensors,
      g: RowNormGeometry,
    ): void {
      const { mean, rstd, weight, dweight, dbias } = tensors;
      const block = memory.block(blocks.writeRowNormBackward, {
        ...g,
        mean: memory.at(mean),
        rstd: memory.at(rstd),
        weight: memory.at(weight),
      });
      const gradients = [memory.out(dx), memory.out(dweight), memory.out(dbias)] as const;
      exports.rowNormBackward(...gradients, memory.at(dy), memory.at(x), block);
    },
  };
}
