/** The kernels of training: gradients, dropout and optimisers. */

import type { Backend } from "../mod.ts";
import { ArgumentError } from "../../errors.ts";
import type { Tensor } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  Conv2dGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import type { AdamWStep, SgdStep } from "../kernels.ts";
import { sizesOf, WasmForward } from "./forward.ts";

/** The part of the Wasm backend that learns. */
export abstract class WasmTraining extends WasmForward {
  packConv2dTransposed(weight: Tensor, groups: number): Tensor {
    const [outC] = weight.shape, k = weight.size / outC;
    const packed = this.empty([this.kernels.conv2dPackedTransposedSize(outC, k)]);
    this.kernels.conv2dPackTransposed(this.out(packed), this.at(weight), outC, k, groups);
    return packed;
  }

  conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    this.kernels.conv2dBackwardInput(
      this.out(dx), this.at(dy), this.at(packed), this.#backwardScratch(g), ...sizesOf(g),
    );
  }

  conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    this.kernels.conv2dBackwardWeight(
      this.out(dw), this.at(dy), this.at(x), this.#backwardScratch(g), ...sizesOf(g),
    );
  }

  winogradBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    const scratch = this.scratchOf(this.kernels.winogradScratchSize(
      g.n, g.outC, g.inC, g.h, g.w, g.kh, 1, g.groups,
    ));
    // deno-fmt-ignore
    this.kernels.winograd(
      this.out(dx), this.at(dy), this.at(weight), 0, scratch, g.n, g.outC, g.oh, g.ow, g.inC, g.h,
      g.w, g.kh, 1, g.kh - 1 - g.top, g.kh - 1 - g.left, g.groups, 0, 1,
    );
  }

  winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    const scratch = this.scratchOf(this.kernels.winogradBackwardScratchSize(
      g.n, g.inC, g.outC, g.oh, g.ow, g.kh, g.strideH, g.groups,
    ));
    // deno-fmt-ignore
    this.kernels.winogradBackwardWeight(
      this.out(dw), this.at(dy), this.at(x), scratch, g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow,
      g.kh, g.strideH, g.top, g.left, g.groups,
    );
  }

  biasBackward(db: Tensor, dy: Tensor): void {
    const [n, c] = dy.shape;
    this.kernels.biasBackward(this.out(db), this.at(dy), n, c, dy.size / (n * c));
  }

  maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void {
    const size = dx.size / planes, most = this.kernels.maxIndex(this.at(indices), indices.size);
    if (most >= size) {
      const takes = `below ${size}, the size of a plane of the input`;
      throw new ArgumentError("maxPoolBackward", "an index", most | 0, takes);
    }
    // deno-fmt-ignore
    this.kernels.maxPool2dBackward(
      this.out(dx), this.at(dy), this.at(indices), planes, size, dy.size / planes,
    );
  }

  avgPool2dBackward(
    dx: Tensor,
    dy: Tensor,
    g: Pool2dGeometry,
    countIncludePad: boolean,
    divisor: number | null,
  ): void {
    // deno-fmt-ignore
    this.kernels.avgPool2dBackward(
      this.out(dx), this.at(dy), g.n * g.c, g.h, g.w, g.oh, g.ow, g.kh, g.kw,
      g.strideH, g.strideW, g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW,
      Number(countIncludePad), divisor ?? 0,
    );
  }

  adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void {
    // deno-fmt-ignore
    this.kernels.adaptiveAvgPool2dBackward(
      this.out(dx), this.at(dy), g.n * g.c, g.h, g.w, g.oh, g.ow,
    );
  }

  linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void {
    const [outF, inF] = weight.shape;
    // deno-fmt-ignore
    this.kernels.linearBackwardInput(
      this.out(dx), this.at(dy), this.at(weight), dy.size / outF, inF, outF,
    );
  }

  linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void {
    const [outF, inF] = dw.shape, n = dy.size / outF;
    const scratch = this.scratchOf(this.kernels.linearBackwardScratchSize(n, inF, outF));
    // deno-fmt-ignore
    this.kernels.linearBackwardWeight(
      this.out(dw), this.at(dy), this.at(x), scratch, n, inF, outF,
    );
  }

  reluBackward(dx: Tensor, dy: Tensor, y: Tensor): void {
    this.kernels.reluBackward(this.out(dx), this.at(dy), this.at(y), dy.size);
  }

  softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
    const { outer, size, inner } = g;
    this.kernels.softmaxBackward(this.out(dx), this.at(dy), this.at(y), outer, size, inner);
  }

  logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
    const { outer, size, inner } = g;
    this.kernels.logSoftmaxBackward(this.out(dx), this.at(dy), this.at(y), outer, size, inner);
  }

  crossEntropy(
    loss: Tensor,
    dx: Tensor,
    x: Tensor,
    targets: Tensor<Int32Array>,
    labelSmoothing: number,
  ): void {
    const [n, c] = x.shape;
    // deno-fmt-ignore
    this.kernels.crossEntropy(
      this.out(loss), this.out(dx), this.at(x), this.at(targets), n, c, labelSmoothing,
    );
  }

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
    const scratch = this.scratchOf(2 * c * plane * 4);
    // deno-fmt-ignore
    this.kernels.localResponseNormBackward(
      this.out(dx), this.at(dy), this.at(x), scratch, n, c, plane, size, alpha, beta, k,
    );
  }

  batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void {
    const [n, c] = x.shape, plane = x.size / (n * c);
    this.kernels.batchNormStatistics(
      this.out(mean),
      this.out(variance),
      this.at(x),
      n,
      c,
      plane,
    );
  }

  batchNormBackward(
    dx: Tensor,
    dy: Tensor,
    x: Tensor,
    tensors: Parameters<Backend["batchNormBackward"]>[3],
    eps: number,
  ): void {
    const { mean, variance, weight, dweight, dbias } = tensors;
    const [n, c] = x.shape, plane = x.size / (n * c);
    // deno-fmt-ignore
    this.kernels.batchNormBackward(
      this.out(dx), this.out(dweight), this.out(dbias), this.at(dy), this.at(x),
      this.at(mean), this.at(variance), this.at(weight), n, c, plane, eps,
    );
  }

  dropout(y: Tensor, x: Tensor, p: number, seed: number): void {
    const keep = Math.round((1 - p) * 2 ** 32) - 1;
    if (keep < 0) return this.fill(y, 0);
    this.kernels.dropout(this.out(y), this.at(x), x.size, seed, keep, 1 / (1 - p));
  }

  sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void {
    // deno-fmt-ignore
    this.kernels.sgdStep(
      this.out(w), this.at(dw), this.out(velocity), w.size, step.lr, step.momentum,
      step.weightDecay, Number(step.nesterov), Number(step.first),
    );
  }

  adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void {
    // deno-fmt-ignore
    this.kernels.adamwStep(
      this.out(w), this.at(dw), this.out(m), this.out(v), w.size, step.shrink, step.beta1,
      1 - step.beta1, step.beta2, 1 - step.beta2, step.step, step.root, step.eps,
    );
  }

  axpby(y: Tensor, x: Tensor, a: number, b: number): void {
    this.kernels.axpby(this.out(y), this.at(x), x.size, a, b);
  }

  squaredNorm(x: Tensor): Promise<number> {
    return Promise.resolve(this.kernels.squaredNorm(this.at(x), x.size));
  }

  #backwardScratch(g: Conv2dGeometry): number {
    // deno-fmt-ignore
    return this.scratchOf(this.kernels.conv2dBackwardScratchSize(
      g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow, g.kh, g.kw, g.top, g.left, g.bottom, g.right, g.groups,
    ));
  }
}
