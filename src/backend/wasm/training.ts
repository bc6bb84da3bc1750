/** The kernels of training: gradients, dropout and optimisers. */

import { ArgumentError } from "../../errors.ts";
import type { Tensor } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  Conv2dGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import type { AdamWStep, SgdStep, TrainingKernels } from "../kernels.ts";
import type { Exports } from "./binary.ts";
import { sizesOf } from "./forward.ts";
import type { WasmMemory } from "./memory.ts";

/** The training kernels over a memory, from what the binary exports. */
export function trainingKernels(memory: WasmMemory, exports: Exports): TrainingKernels {
  /** The address of working memory for a convolution's gradients. */
  const backwardScratch = (g: Conv2dGeometry): number => {
    // deno-fmt-ignore
    return memory.scratch(exports.conv2dBackwardScratchSize(
      g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow, g.kh, g.kw, g.top, g.left, g.bottom, g.right, g.groups,
    ));
  };

  return {
    packConv2dTransposed(weight: Tensor, groups: number): Tensor {
      const [outC] = weight.shape, k = weight.size / outC;
      const packed = memory.empty([exports.conv2dPackedTransposedSize(outC, k)]);
      exports.conv2dPackTransposed(memory.out(packed), memory.at(weight), outC, k, groups);
      return packed;
    },

    conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
      // deno-fmt-ignore
      exports.conv2dBackwardInput(
      memory.out(dx), memory.at(dy), memory.at(packed), backwardScratch(g), ...sizesOf(g),
    );
    },

    conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      // deno-fmt-ignore
      exports.conv2dBackwardWeight(
      memory.out(dw), memory.at(dy), memory.at(x), backwardScratch(g), ...sizesOf(g),
    );
    },

    winogradBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
      // deno-fmt-ignore
      const scratch = memory.scratch(exports.winogradScratchSize(
      g.n, g.outC, g.inC, g.h, g.w, g.kh, 1, g.groups,
    ));
      // deno-fmt-ignore
      exports.winograd(
      memory.out(dx), memory.at(dy), memory.at(weight), 0, scratch, g.n, g.outC, g.oh, g.ow, g.inC, g.h,
      g.w, g.kh, 1, g.kh - 1 - g.top, g.kh - 1 - g.left, g.groups, 0, 1,
    );
    },

    winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
      // deno-fmt-ignore
      const scratch = memory.scratch(exports.winogradBackwardScratchSize(
      g.n, g.inC, g.outC, g.oh, g.ow, g.kh, g.strideH, g.groups,
    ));
      // deno-fmt-ignore
      exports.winogradBackwardWeight(
      memory.out(dw), memory.at(dy), memory.at(x), scratch, g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow,
      g.kh, g.strideH, g.top, g.left, g.groups,
    );
    },

    biasBackward(db: Tensor, dy: Tensor): void {
      const [n, c] = dy.shape;
      exports.biasBackward(memory.out(db), memory.at(dy), n, c, dy.size / (n * c));
    },

    maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void {
      const size = dx.size / planes, most = exports.maxIndex(memory.at(indices), indices.size);
      if (most >= size) {
        const takes = `below ${size}, the size of a plane of the input`;
        throw new ArgumentError("maxPoolBackward", "an index", most | 0, takes);
      }
      // deno-fmt-ignore
      exports.maxPool2dBackward(
      memory.out(dx), memory.at(dy), memory.at(indices), planes, size, dy.size / planes,
    );
    },

    avgPool2dBackward(
      dx: Tensor,
      dy: Tensor,
      g: Pool2dGeometry,
      countIncludePad: boolean,
      divisor: number | null,
    ): void {
      // deno-fmt-ignore
      exports.avgPool2dBackward(
      memory.out(dx), memory.at(dy), g.n * g.c, g.h, g.w, g.oh, g.ow, g.kh, g.kw,
      g.strideH, g.strideW, g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW,
      Number(countIncludePad), divisor ?? 0,
    );
    },

    adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void {
      // deno-fmt-ignore
      exports.adaptiveAvgPool2dBackward(
      memory.out(dx), memory.at(dy), g.n * g.c, g.h, g.w, g.oh, g.ow,
    );
    },

    linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void {
      const [outF, inF] = weight.shape;
      // deno-fmt-ignore
      exports.linearBackwardInput(
      memory.out(dx), memory.at(dy), memory.at(weight), dy.size / outF, inF, outF,
    );
    },

    linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void {
      const [outF, inF] = dw.shape, n = dy.size / outF;
      const scratch = memory.scratch(exports.linearBackwardScratchSize(n, inF, outF));
      // deno-fmt-ignore
      exports.linearBackwardWeight(
      memory.out(dw), memory.at(dy), memory.at(x), scratch, n, inF, outF,
    );
    },

    reluBackward(dx: Tensor, dy: Tensor, y: Tensor): void {
      exports.reluBackward(memory.out(dx), memory.at(dy), memory.at(y), dy.size);
    },

    softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
      const { outer, size, inner } = g;
      exports.softmaxBackward(memory.out(dx), memory.at(dy), memory.at(y), outer, size, inner);
    },

    logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
      const { outer, size, inner } = g;
      exports.logSoftmaxBackward(memory.out(dx), memory.at(dy), memory.at(y), outer, size, inner);
    },

    crossEntropy(
      loss: Tensor,
      dx: Tensor,
      x: Tensor,
      targets: Tensor<Int32Array>,
      labelSmoothing: number,
    ): void {
      const [n, c] = x.shape;
      // deno-fmt-ignore
      exports.crossEntropy(
      memory.out(loss), memory.out(dx), memory.at(x), memory.at(targets), n, c, labelSmoothing,
    );
    },

    localResponseNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      size: number,
      alpha: number,
      beta: number,
      k: number,
    ): void {
      const [n, c] = x.shape, plane = x.size / (n * c);
      const scratch = memory.scratch(2 * c * plane * 4);
      // deno-fmt-ignore
      exports.localResponseNormBackward(
      memory.out(dx), memory.at(dy), memory.at(x), scratch, n, c, plane, size, alpha, beta, k,
    );
    },

    batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void {
      const [n, c] = x.shape, plane = x.size / (n * c);
      exports.batchNormStatistics(
        memory.out(mean),
        memory.out(variance),
        memory.at(x),
        n,
        c,
        plane,
      );
    },

    batchNormBackward(
      dx: Tensor,
      dy: Tensor,
      x: Tensor,
      tensors: Parameters<TrainingKernels["batchNormBackward"]>[3],
      eps: number,
    ): void {
      const { mean, variance, weight, dweight, dbias } = tensors;
      const [n, c] = x.shape, plane = x.size / (n * c);
      // deno-fmt-ignore
      exports.batchNormBackward(
      memory.out(dx), memory.out(dweight), memory.out(dbias), memory.at(dy), memory.at(x),
      memory.at(mean), memory.at(variance), memory.at(weight), n, c, plane, eps,
    );
    },

    dropout(y: Tensor, x: Tensor, p: number, seed: number): void {
      const keep = Math.round((1 - p) * 2 ** 32) - 1;
      if (keep < 0) return memory.fill(y, 0);
      exports.dropout(memory.out(y), memory.at(x), x.size, seed, keep, 1 / (1 - p));
    },

    sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void {
      // deno-fmt-ignore
      exports.sgdStep(
      memory.out(w), memory.at(dw), memory.out(velocity), w.size, step.lr, step.momentum,
      step.weightDecay, Number(step.nesterov), Number(step.first),
    );
    },

    adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void {
      // deno-fmt-ignore
      exports.adamwStep(
      memory.out(w), memory.at(dw), memory.out(m), memory.out(v), w.size, step.shrink, step.beta1,
      1 - step.beta1, step.beta2, 1 - step.beta2, step.step, step.root, step.eps,
    );
    },

    axpby(y: Tensor, x: Tensor, a: number, b: number): void {
      exports.axpby(memory.out(y), memory.at(x), x.size, a, b);
    },

    squaredNorm(x: Tensor): Promise<number> {
      return Promise.resolve(exports.squaredNorm(memory.at(x), x.size));
    },
  };
}
