/**
 * The kernels that move values, forward and backward.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { AdaptiveGeometry, CopyGeometry } from "../geometry.ts";
import type { LayoutKernels } from "../row_kernels.ts";
import type { Exports } from "./generated/kernels.ts";
import * as blocks from "./generated/geometry.ts";
import type { WasmMemory } from "./memory.ts";

/** The layout kernels over a memory, from what the binary exports. */
export function layoutKernels(memory: WasmMemory, exports: Exports): LayoutKernels {
  return {
    stridedCopy(y: Tensor, x: Tensor, g: CopyGeometry): void {
      exports.stridedCopy(memory.out(y), memory.at(x), memory.block(blocks.writeCopy, g));
    },

    resample(
      y: Tensor,
      x: Tensor,
      rows: Tensor<Int32Array>,
      columns: Tensor<Int32Array>,
      g: AdaptiveGeometry,
    ): void {
      const block = memory.block(blocks.writeAdaptive, g);
      const scratch = memory.scratch(exports.resampleScratchSize(block));
      const tables = [memory.at(rows), memory.at(columns)] as const;
      exports.resample(memory.out(y), memory.at(x), ...tables, scratch, block);
    },
  };
}
