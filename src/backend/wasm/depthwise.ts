/**
 * The kernels of depthwise convolutions.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { DepthwiseKernels } from "../depthwise_kernels.ts";
import type { Conv2dGeometry, Epilogue } from "../geometry.ts";
import { fusedGeometry } from "./forward.ts";
import { writeConv2d, writeFusedConv2d } from "./generated/geometry.ts";
import type { Exports } from "./generated/kernels.ts";
import type { WasmMemory } from "./memory.ts";

/** The depthwise kernels over a memory, from what the binary exports. */
export function depthwiseKernels(memory: WasmMemory, exports: Exports): DepthwiseKernels {
  return {
    depthwise(
      y: Tensor,
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      epilogue: Epilogue,
    ): void {
      const block = memory.block(writeFusedConv2d, fusedGeometry(memory, y, g, epilogue));
      const scratch = memory.scratch(exports.depthwiseScratchSize(block));
      const inputs = [memory.at(x), memory.at(weight), memory.at(bias)] as const;
      exports.depthwise(memory.out(y), ...inputs, scratch, block);
    },

    depthwiseBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
      const block = memory.block(writeConv2d, g);
      const scratch = memory.scratch(exports.depthwiseBackwardInputScratchSize(block));
      const addresses = [memory.out(dx), memory.at(dy), memory.at(weight)] as const;
      exports.depthwiseBackwardInput(...addresses, scratch, block);
    },

    depthwiseBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      const block = memory.block(writeConv2d, g);
      const scratch = memory.scratch(exports.depthwiseScratchSize(block));
      const addresses = [memory.out(dw), memory.at(dy), memory.at(x)] as const;
      exports.depthwiseBackwardWeight(...addresses, scratch, block);
    },
  };
}
