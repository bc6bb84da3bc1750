/**
 * The kernels of weights in 8 bits.
 *
 * @module
 */

import { elements, type Shape, type Tensor } from "../../tensor.ts";
import type { Conv2dGeometry, Epilogue, FusedKind } from "../geometry.ts";
import type { Int8Filters, Int8Weight, QuantizedKernels } from "../kernels.ts";
import { fusedGeometry } from "./forward.ts";
import {
  fusedKindCodes,
  writeInt8Conv2d,
  writeInt8Filter,
  writeLinear,
} from "./generated/geometry.ts";
import type { Exports } from "./generated/kernels.ts";
import type { WasmMemory } from "./memory.ts";

/** The kernels of 8-bit weights over a memory, from what the binary exports. */
export function quantizedKernels(memory: WasmMemory, exports: Exports): QuantizedKernels {
  /** Bytes of packed weights. */
  const packedSize = (outF: number, inF: number): number =>
    exports.linearInt8PackedSize(memory.block(writeLinear, { n: 1, inF, outF }));

  /** The block of numbers for rows of a convolution's weights. */
  const filterBlock = (
    { shape, groups }: Int8Filters,
    first: number,
    rows: number,
    isScaled = false,
  ): number => {
    const [outC, , ...kernel] = shape, taps = elements(kernel);
    const filterSize = elements(shape.slice(1));
    return memory.block(writeInt8Filter, { outC, filterSize, groups, taps, first, rows, isScaled });
  };

  return {
    emptyConv2dInt8(filters: Int8Filters): Tensor<Int8Array> {
      return memory.emptyOf(Int8Array, [exports.conv2dInt8PackedSize(filterBlock(filters, 0, 0))]);
    },

    packConv2dInt8(
      packed: Tensor<Int8Array>,
      scale: Tensor,
      weight: Tensor,
      row: number,
      filters: Int8Filters,
      isScaled: boolean,
    ): void {
      const block = filterBlock(filters, row, weight.shape[0], isScaled);
      exports.conv2dInt8Pack(memory.out(packed), memory.out(scale), memory.at(weight), block);
    },

    packConv2dIntegers(
      packed: Tensor<Int8Array>,
      scale: Tensor,
      integers: Int8Array,
      row: number,
      filters: Int8Filters,
    ): void {
      const rows = integers.length / elements(filters.shape.slice(1));
      const from = memory.stage(integers), block = filterBlock(filters, row, rows);
      exports.conv2dInt8PackIntegers(memory.out(packed), memory.out(scale), from, block);
    },

    unpackConv2dInt8(
      values: Tensor<Int8Array>,
      packed: Tensor<Int8Array>,
      filters: Int8Filters,
    ): void {
      const block = filterBlock(filters, 0, filters.shape[0]);
      exports.conv2dInt8Unpack(memory.out(values), memory.at(packed), block);
    },

    conv2dInt8(
      y: Tensor,
      x: Tensor,
      { packed, scale }: Int8Weight,
      bias: Tensor | null,
      g: Conv2dGeometry,
      epilogue: Epilogue,
      range: readonly [number, number] | null,
    ): void {
      const [low, high] = range ?? [0, 0];
      const fused = { ...fusedGeometry(memory, y, g, epilogue), low, high };
      const block = memory.block(writeInt8Conv2d, fused);
      const scratch = memory.scratch(exports.conv2dInt8ScratchSize(block));
      const weights = [memory.at(packed), memory.at(scale), memory.at(bias)] as const;
      exports.conv2dInt8(memory.out(y), memory.at(x), ...weights, scratch, block);
    },

    emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
      return memory.emptyOf(Int8Array, [packedSize(outF, inF)]);
    },

    packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
      const [rows, inF] = weight.shape;
      const to = memory.out(packed) + packedSize(row, inF), scales = memory.out(scale) + 4 * row;
      const block = memory.block(writeLinear, { n: 1, inF, outF: rows });
      exports.linearInt8Pack(to, scales, memory.at(weight), block);
    },

    packLinearIntegers(
      packed: Tensor<Int8Array>,
      integers: Int8Array,
      row: number,
      [, inF]: Shape,
    ): void {
      const block = memory.block(writeLinear, { n: 1, inF, outF: integers.length / inF });
      exports.linearInt8PackIntegers(memory.out(packed), memory.stage(integers), block, row);
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
      activation: FusedKind,
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
        fusedKindCodes[activation],
      );
    },
  };
}
