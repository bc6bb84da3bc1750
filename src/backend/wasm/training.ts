/** The kernels of training: gradients, dropout and optimisers. */

import type { Tensor } from "../../tensor.ts";
import type {
  AdamWStep,
  AdaptiveGeometry,
  AxisGeometry,
  Conv2dGeometry,
  DropoutMask,
  LocalResponseNormGeometry,
  Pool2dGeometry,
  SgdStep,
} from "../geometry.ts";
import type { BatchNormBackwardTensors, TrainingKernels } from "../kernels.ts";
import { checkIndices } from "../tensor_memory.ts";
import { channelGeometry, filterGeometry, linearBackwardInput, multiply } from "./forward.ts";
import type { Exports } from "./generated/kernels.ts";
import * as blocks from "./generated/geometry.ts";
import type { WasmMemory } from "./memory.ts";

/**
 * The most rows that linearBackwardWeight() takes: it sums all of them up at once. matmul() sums up blocks, which
 * is faster and more exact for more rows.
 */
const MANY_ROWS = 768;

/** The training kernels over a memory, from what the binary exports. */
export function trainingKernels(memory: WasmMemory, exports: Exports): TrainingKernels {
  return {
    packConv2dTransposed(weight: Tensor, groups: number): Tensor {
      const block = memory.block(blocks.writeFilter, filterGeometry(weight, groups));
      const packed = memory.empty([exports.conv2dPackedTransposedSize(block)]);
      exports.conv2dPackTransposed(memory.out(packed), memory.at(weight), block);
      return packed;
    },

    conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
      const block = memory.block(blocks.writeConv2d, g);
      const scratch = memory.scratch(exports.conv2dBackwardScratchSize(block));
      const addresses = [memory.out(dx), memory.at(dy), memory.at(packed)] as const;
      exports.conv2dBackwardInput(...addresses, scratch, block);
    },

    conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      const block = memory.block(blocks.writeConv2d, g);
      const scratch = memory.scratch(exports.conv2dBackwardScratchSize(block));
      const addresses = [memory.out(dw), memory.at(dy), memory.at(x)] as const;
      exports.conv2dBackwardWeight(...addresses, scratch, block);
    },

    winogradBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
      const block = memory.block(blocks.writeFusedConv2d, transposed(g));
      const scratch = memory.scratch(exports.winogradScratchSize(block));
      const addresses = [memory.out(dx), memory.at(dy), memory.at(weight)] as const;
      exports.winogradBackwardInput(...addresses, scratch, block);
    },

    winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      const block = memory.block(blocks.writeConv2d, g);
      const scratch = memory.scratch(exports.winogradBackwardScratchSize(block));
      const addresses = [memory.out(dw), memory.at(dy), memory.at(x)] as const;
      exports.winogradBackwardWeight(...addresses, scratch, block);
    },

    biasBackward(db: Tensor, dy: Tensor): void {
      const block = memory.block(blocks.writeChannel, channelGeometry(dy));
      exports.biasBackward(memory.out(db), memory.at(dy), block);
    },

    maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void {
      const size = dx.size / planes, outSize = dy.size / planes;
      checkIndices(exports.maxIndex(memory.at(indices), indices.size), size);
      const block = memory.block(blocks.writeMaxPosition, { planes, size, outSize });
      exports.maxPool2dBackward(memory.out(dx), memory.at(dy), memory.at(indices), block);
    },

    avgPool2dBackward(
      dx: Tensor,
      dy: Tensor,
      g: Pool2dGeometry,
      countIncludePad: boolean,
      divisor: number | null,
    ): void {
      const block = memory.block(blocks.writePool2d, g), padded = Number(countIncludePad);
      exports.avgPool2dBackward(memory.out(dx), memory.at(dy), block, padded, divisor ?? 0);
    },

    adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void {
      const block = memory.block(blocks.writeAdaptive, g);
      exports.adaptiveAvgPool2dBackward(memory.out(dx), memory.at(dy), block);
    },

    linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void {
      const [outF, inF] = weight.shape;
      linearBackwardInput(memory, exports, dx, dy, weight, { n: dy.size / outF, inF, outF });
    },

    linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void {
      const [outF, inF] = dw.shape, n = dy.size / outF;
      if (n > MANY_ROWS) {
        const product = { m: outF, n: inF, k: n, transposeA: true, accumulate: true };
        return multiply(memory, exports, dw, dy, x, product);
      }
      const block = memory.block(blocks.writeLinear, { n, inF, outF });
      const scratch = memory.scratch(exports.linearBackwardScratchSize(block));
      const addresses = [memory.out(dw), memory.at(dy), memory.at(x)] as const;
      exports.linearBackwardWeight(...addresses, scratch, block);
    },

    softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
      const block = memory.block(blocks.writeAxis, g);
      exports.softmaxBackward(memory.out(dx), memory.at(dy), memory.at(y), block);
    },

    logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
      const block = memory.block(blocks.writeAxis, g);
      exports.logSoftmaxBackward(memory.out(dx), memory.at(dy), memory.at(y), block);
    },

    crossEntropy(
      loss: Tensor,
      dx: Tensor,
      x: Tensor,
      targets: Tensor<Int32Array>,
      labelSmoothing: number,
    ): void {
      const [n, c] = x.shape;
      const block = memory.block(blocks.writeCrossEntropy, { n, c, labelSmoothing });
      const inputs = [memory.at(x), memory.at(targets)] as const;
      exports.crossEntropy(memory.out(loss), memory.out(dx), ...inputs, block);
    },

    localResponseNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      g: LocalResponseNormGeometry,
    ): void {
      const block = memory.block(blocks.writeLocalResponseNorm, g);
      const scratch = memory.scratch(2 * g.c * g.plane * 4);
      const addresses = [memory.out(dx), memory.at(dy), memory.at(x)] as const;
      exports.localResponseNormBackward(...addresses, scratch, block);
    },

    batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void {
      const block = memory.block(blocks.writeChannel, channelGeometry(x));
      exports.batchNormStatistics(memory.out(mean), memory.out(variance), memory.at(x), block);
    },

    batchNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      tensors: BatchNormBackwardTensors,
      eps: number,
    ): void {
      const { mean, variance, weight, dweight, dbias } = tensors;
      const block = memory.block(blocks.writeBatchNormBackward, {
        ...channelGeometry(x),
        eps,
        mean: memory.at(mean),
        variance: memory.at(variance),
        weight: memory.at(weight),
      });
      const gradients = [memory.out(dx), memory.out(dweight), memory.out(dbias)] as const;
      exports.batchNormBackward(...gradients, memory.at(dy), memory.at(x), block);
    },

    dropout(y: Tensor, x: Tensor, mask: DropoutMask): void {
      const block = memory.block(blocks.writeDropoutMask, mask);
      exports.dropout(memory.out(y), memory.at(x), x.size, block);
    },

    sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void {
      const block = memory.block(blocks.writeSgdStep, step);
      exports.sgdStep(memory.out(w), memory.at(dw), memory.out(velocity), w.size, block);
    },

    adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void {
      const block = memory.block(blocks.writeAdamWStep, step);
      const means = [memory.out(m), memory.out(v)] as const;
      exports.adamwStep(memory.out(w), memory.at(dw), ...means, w.size, block);
    },

    axpby(y: Tensor, x: Tensor, a: number, b: number): void {
      exports.axpby(memory.out(y), memory.at(x), x.size, a, b);
    },

    // deno-lint-ignore require-await -- errors reject the promise
    async squaredNorm(x: Tensor): Promise<number> {
      return exports.squaredNorm(memory.at(x), x.size);
    },
  };
}

/** The convolution that computes dx from dy, for a forward one with stride and dilation 1. */
function transposed(g: Conv2dGeometry): blocks.FusedConv2dGeometry {
  return {
    ...g,
    addsResidual: false,
    residual: 0,
    activation: "none",
    isExact: false,
    inC: g.outC,
    h: g.oh,
    w: g.ow,
    outC: g.inC,
    oh: g.h,
    ow: g.w,
    top: g.kh - 1 - g.top,
    left: g.kw - 1 - g.left,
    bottom: g.kh - 1 - g.bottom,
    right: g.kw - 1 - g.right,
  };
}
