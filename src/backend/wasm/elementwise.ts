/**
 * The kernels of activation functions, sums and products of elements. Each passes addresses and
 * numbers to the function of the same name in assembly/.
 */

import type { Tensor } from "../../tensor.ts";
import type { Activation, BroadcastGeometry } from "../geometry.ts";
import type { ElementwiseKernels } from "../kernels.ts";
import type { Exports } from "./generated/kernels.ts";
import { activationKindCodes, writeBroadcast } from "./generated/geometry.ts";
import type { WasmMemory } from "./memory.ts";

/** The elementwise kernels over a memory, from what the binary exports. */
export function elementwiseKernels(memory: WasmMemory, exports: Exports): ElementwiseKernels {
  return {
    add(y: Tensor, a: Tensor, b: Tensor, g: BroadcastGeometry, alpha: number): void {
      const block = memory.block(writeBroadcast, g);
      exports.add(memory.out(y), memory.at(a), memory.at(b), block, alpha);
    },

    mul(y: Tensor, a: Tensor, b: Tensor, g: BroadcastGeometry): void {
      const block = memory.block(writeBroadcast, g);
      exports.mul(memory.out(y), memory.at(a), memory.at(b), block);
    },

    prelu(y: Tensor, a: Tensor, weight: Tensor, x: Tensor, g: BroadcastGeometry): void {
      const block = memory.block(writeBroadcast, g);
      exports.prelu(memory.out(y), memory.at(a), memory.at(weight), memory.at(x), block);
    },

    activation(y: Tensor, x: Tensor, { kind, a, b }: Activation): void {
      const code = activationKindCodes[kind];
      exports.activation(memory.out(y), memory.at(x), x.size, code, a, b);
    },

    activationBackward(dx: Tensor, dy: Tensor, saved: Tensor, { kind, a, b }: Activation): void {
      const addresses = [memory.out(dx), memory.at(dy), memory.at(saved)] as const;
      exports.activationBackward(...addresses, dy.size, activationKindCodes[kind], a, b);
    },

    sumProducts(
      db: Tensor,
      dy: Tensor,
      a: Tensor | null,
      g: BroadcastGeometry,
      negative: boolean,
    ): void {
      const block = memory.block(writeBroadcast, g), most = negative ? 0 : Infinity;
      exports.sumProducts(memory.out(db), memory.at(dy), memory.at(a), block, most);
    },
  };
}
