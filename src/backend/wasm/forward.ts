/**
 * The kernels of forward passes: each passes its tensors' addresses and sizes to the function of the
 * same name in assembly/.
 */

import type { Tensor } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  BatchNormTensors,
  Conv2dGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import type { Exports } from "./binary.ts";
import type { ForwardKernels } from "../kernels.ts";
import type { WasmMemory } from "./memory.ts";

/** The forward kernels over a memory, from what the binary exports. */
export function forwardKernels(memory: WasmMemory, exports: Exports): ForwardKernels {
  return {
    packConv2d(weight: Tensor, groups: number): Tensor {
      const [outC] = weight.shape, k = weight.size / outC;
      const packed = memory.empty([exports.conv2dPackedSize(outC, k, groups)]);
      exports.conv2dPack(memory.out(packed), memory.at(weight), outC, k, groups);
      return packed;
    },

    conv2d(
      y: Tensor,
      x: Tensor,
      packed: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      relu: boolean,
    ): void {
      const sides = [g.top, g.left, g.bottom, g.right] as const;
      const bytes = exports.conv2dScratchSize(g.inC, g.h, g.w, g.kh, g.kw, ...sides, g.groups);
      const scratch = memory.scratch(bytes);
      // deno-fmt-ignore
      exports.conv2d(
      memory.out(y), memory.at(x), memory.at(packed), memory.at(bias), scratch, ...sizesOf(g),
      Number(relu),
    );
    },

    winograd(
      y: Tensor,
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      relu: boolean,
    ): void {
      // deno-fmt-ignore
      const scratch = memory.scratch(exports.winogradScratchSize(
      g.n, g.inC, g.outC, g.oh, g.ow, g.kh, g.strideH, g.groups,
    ));
      // deno-fmt-ignore
      exports.winograd(
      memory.out(y), memory.at(x), memory.at(weight), memory.at(bias), scratch, g.n, g.inC, g.h, g.w,
      g.outC, g.oh, g.ow, g.kh, g.strideH, g.top, g.left, g.groups, Number(relu), 0,
    );
    },

    maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void {
      // deno-fmt-ignore
      exports.maxPool2d(
      memory.out(y), memory.out(indices), memory.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow,
      g.kh, g.kw, g.strideH, g.strideW, g.top, g.left, g.dilationH, g.dilationW,
    );
    },

    avgPool2d(
      y: Tensor,
      x: Tensor,
      g: Pool2dGeometry,
      countIncludePad: boolean,
      divisor: number | null,
    ): void {
      // deno-fmt-ignore
      exports.avgPool2d(
      memory.out(y), memory.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow, g.kh, g.kw, g.strideH, g.strideW,
      g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW, Number(countIncludePad),
      divisor ?? 0,
    );
    },

    adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void {
      exports.adaptiveAvgPool2d(memory.out(y), memory.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow);
    },

    linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, relu: boolean): void {
      const [outF, inF] = weight.shape, n = x.size / inF;
      const scratch = memory.scratch(exports.linearScratchSize(n, inF));
      // deno-fmt-ignore
      exports.linear(
      memory.out(y), memory.at(x), memory.at(weight), memory.at(bias), scratch, n, inF, outF, Number(relu),
    );
    },

    relu(y: Tensor, x: Tensor): void {
      exports.relu(memory.out(y), memory.at(x), x.size);
    },

    softmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
      exports.softmax(memory.out(y), memory.at(x), g.outer, g.size, g.inner);
    },

    logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
      exports.logSoftmax(memory.out(y), memory.at(x), g.outer, g.size, g.inner);
    },

    localResponseNorm(
      y: Tensor,
      x: Tensor,
      size: number,
      alpha: number,
      beta: number,
      k: number,
    ): void {
      const [n, c] = x.shape, plane = x.size / (n * c);
      exports.localResponseNorm(memory.out(y), memory.at(x), n, c, plane, size, alpha, beta, k);
    },

    batchNorm(y: Tensor, x: Tensor, tensors: BatchNormTensors, eps: number): void {
      const { runningMean, runningVar, weight = null, bias = null } = tensors;
      const [n, c] = x.shape, plane = x.size / (n * c);
      // deno-fmt-ignore
      exports.batchNorm(
      memory.out(y), memory.at(x), memory.at(runningMean), memory.at(runningVar), memory.at(weight),
      memory.at(bias), n, c, plane, eps,
    );
    },
  };
}

/** A convolution's sizes in the order that its kernels take them. */
export function sizesOf(g: Conv2dGeometry): number[] {
  // deno-fmt-ignore
  return [
    g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow, g.kh, g.kw, g.strideH, g.strideW,
    g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW, g.groups,
  ];
}
