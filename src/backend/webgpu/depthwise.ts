/**
 * The kernels of depthwise convolutions.
 *
 * @module
 */

import type { Tensor } from "../../tensor.ts";
import type { DepthwiseKernels } from "../depthwise_kernels.ts";
import type { Conv2dGeometry, Epilogue } from "../geometry.ts";
import { fusedKindCodes } from "../wasm/generated/geometry.ts";
import { addends } from "./dispatch.ts";
import type { GpuMemory } from "./memory.ts";
import { sliceOf } from "./parts.ts";
import * as shaders from "./shaders/depthwise.ts";
import { windowSizes } from "./shaders/window.ts";

/** The depthwise kernels over a GPU's memory. */
export function depthwiseKernels(gpu: GpuMemory): DepthwiseKernels {
  return {
    depthwise(
      y: Tensor,
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      { residual, activation }: Epilogue,
    ): void {
      const bytes = { x: 4 * x.size / g.n, y: 4 * y.size / g.n }, shader = shaders.stripsFor(g);
      const all = { y: gpu.out(y), x: gpu.at(x), weight: gpu.at(weight) };
      for (const part of gpu.parts("depthwise", g.n, bytes.x, bytes.y)) {
        const to = sliceOf(all.y, part, bytes.y), x = sliceOf(all.x, part, bytes.x);
        const { operands: added, flags } = addends(gpu, to, bias, residual, all.weight);
        const operands = { y: to, x, weight: all.weight, ...added };
        const sizes = { ...sizesOf(g), ...flags, activation: fusedKindCodes[activation] };
        if (shader) {
          const strips = Math.ceil(g.ow / shaders.stripLength);
          const count = part.count * g.outC * g.oh * strips;
          gpu.perElement(shader, operands, count, {}, { u32: { ...sizes, strips, count } });
        } else {
          const count = part.count * g.outC * g.oh * g.ow;
          gpu.perElement(shaders.depthwise, operands, count, {}, { u32: sizes });
        }
      }
    },

    depthwiseBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
      const size = dx.size / g.n, bytes = { dx: 4 * size, dy: 4 * dy.size / g.n };
      const all = { dx: gpu.out(dx), dy: gpu.at(dy), weight: gpu.at(weight) };
      for (const part of gpu.parts("depthwiseBackwardInput", g.n, bytes.dx, bytes.dy)) {
        const operands = {
          ...all,
          dx: sliceOf(all.dx, part, bytes.dx),
          dy: sliceOf(all.dy, part, bytes.dy),
        };
        const count = part.count * size, uniforms = { u32: sizesOf(g) };
        gpu.perElement(shaders.depthwiseBackwardInput, operands, count, {}, uniforms);
      }
    },

    depthwiseBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      const bytes = { dy: 4 * dy.size / g.n, x: 4 * x.size / g.n };
      const all = { dw: gpu.out(dw), dy: gpu.at(dy), x: gpu.at(x) };
      for (const part of gpu.parts("depthwiseBackwardWeight", g.n, bytes.dy, bytes.x)) {
        const operands = {
          dw: all.dw,
          dy: sliceOf(all.dy, part, bytes.dy),
          x: sliceOf(all.x, part, bytes.x),
        };
        const sizes = { ...sizesOf(g), n: part.count };
        gpu.perRow(shaders.depthwiseBackwardWeight, operands, dw.size, {}, { u32: sizes });
      }
    },
  };
}

/** The sizes of a depthwise convolution as uniforms. */
function sizesOf(g: Conv2dGeometry): Record<string, number> {
  return { ...windowSizes(g), channels: g.outC, multiplier: g.outC / g.inC };
}
