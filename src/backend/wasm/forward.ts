/**
 * The kernels of forward passes: each method hands its tensors' addresses and sizes to the function
 * of the same name in assembly/.
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
import { WasmMemory } from "./memory.ts";

/** The part of the Wasm backend that evaluates. */
export abstract class WasmForward extends WasmMemory {
  /** What the binary exports. */
  protected readonly kernels: Exports;

  /**
   * @param memory The memory, all of which is used.
   * @param base The first address that is free.
   * @param kernels The binary's functions over that memory.
   */
  constructor(memory: WebAssembly.Memory, base: number, kernels: Exports) {
    super(memory, base);
    this.kernels = kernels;
  }

  packConv2d(weight: Tensor, groups: number): Tensor {
    const [outC] = weight.shape, k = weight.size / outC;
    const packed = this.empty([this.kernels.conv2dPackedSize(outC, k, groups)]);
    this.kernels.conv2dPack(this.out(packed), this.at(weight), outC, k, groups);
    return packed;
  }

  conv2d(
    y: Tensor,
    x: Tensor,
    packed: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    relu: boolean,
  ): void {
    const sides = [g.top, g.left, g.bottom, g.right] as const;
    const bytes = this.kernels.conv2dScratchSize(g.inC, g.h, g.w, g.kh, g.kw, ...sides, g.groups);
    const scratch = this.scratchOf(bytes);
    // deno-fmt-ignore
    this.kernels.conv2d(
      this.out(y), this.at(x), this.at(packed), this.at(bias), scratch, ...sizesOf(g),
      Number(relu),
    );
  }

  winograd(
    y: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    relu: boolean,
  ): void {
    // deno-fmt-ignore
    const scratch = this.scratchOf(this.kernels.winogradScratchSize(
      g.n, g.inC, g.outC, g.oh, g.ow, g.kh, g.strideH, g.groups,
    ));
    // deno-fmt-ignore
    this.kernels.winograd(
      this.out(y), this.at(x), this.at(weight), this.at(bias), scratch, g.n, g.inC, g.h, g.w,
      g.outC, g.oh, g.ow, g.kh, g.strideH, g.top, g.left, g.groups, Number(relu), 0,
    );
  }

  maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void {
    // deno-fmt-ignore
    this.kernels.maxPool2d(
      this.out(y), this.out(indices), this.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow,
      g.kh, g.kw, g.strideH, g.strideW, g.top, g.left, g.dilationH, g.dilationW,
    );
  }

  avgPool2d(
    y: Tensor,
    x: Tensor,
    g: Pool2dGeometry,
    countIncludePad: boolean,
    divisor: number | null,
  ): void {
    // deno-fmt-ignore
    this.kernels.avgPool2d(
      this.out(y), this.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow, g.kh, g.kw, g.strideH, g.strideW,
      g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW, Number(countIncludePad),
      divisor ?? 0,
    );
  }

  adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void {
    this.kernels.adaptiveAvgPool2d(this.out(y), this.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow);
  }

  linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, relu: boolean): void {
    const [outF, inF] = weight.shape, n = x.size / inF;
    const scratch = this.scratchOf(this.kernels.linearScratchSize(n, inF));
    // deno-fmt-ignore
    this.kernels.linear(
      this.out(y), this.at(x), this.at(weight), this.at(bias), scratch, n, inF, outF, Number(relu),
    );
  }

  emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
    return this.emptyInt8([this.kernels.linearInt8PackedSize(inF, outF)]);
  }

  packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
    const [rows, inF] = weight.shape, bytes = this.kernels.linearInt8PackedSize(inF, row);
    // deno-fmt-ignore
    this.kernels.linearInt8Pack(
      this.out(packed) + bytes, this.out(scale) + 4 * row, this.at(weight), inF, rows,
    );
  }

  unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void {
    const [outF, inF] = values.shape;
    this.kernels.linearInt8Unpack(this.out(values), this.at(packed), inF, outF);
  }

  linearInt8(
    y: Tensor,
    x: Tensor,
    packed: Tensor<Int8Array>,
    scale: Tensor,
    bias: Tensor | null,
    relu: boolean,
  ): void {
    const outF = scale.size, n = y.size / outF, inF = x.size / n;
    const scratch = this.scratchOf(this.kernels.linearInt8ScratchSize(n, inF));
    // deno-fmt-ignore
    this.kernels.linearInt8(
      this.out(y), this.at(x), this.at(packed), this.at(scale), this.at(bias), scratch,
      n, inF, outF, Number(relu),
    );
  }

  relu(y: Tensor, x: Tensor): void {
    this.kernels.relu(this.out(y), this.at(x), x.size);
  }

  softmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
    this.kernels.softmax(this.out(y), this.at(x), g.outer, g.size, g.inner);
  }

  logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
    this.kernels.logSoftmax(this.out(y), this.at(x), g.outer, g.size, g.inner);
  }

  localResponseNorm(
    y: Tensor,
    x: Tensor,
    size: number,
    alpha: number,
    beta: number,
    k: number,
  ): void {
    const [n, c] = x.shape, plane = x.size / (n * c);
    this.kernels.localResponseNorm(this.out(y), this.at(x), n, c, plane, size, alpha, beta, k);
  }

  batchNorm(y: Tensor, x: Tensor, tensors: BatchNormTensors, eps: number): void {
    const { runningMean, runningVar, weight = null, bias = null } = tensors;
    const [n, c] = x.shape, plane = x.size / (n * c);
    // deno-fmt-ignore
    this.kernels.batchNorm(
      this.out(y), this.at(x), this.at(runningMean), this.at(runningVar), this.at(weight),
      this.at(bias), n, c, plane, eps,
    );
  }
}

/** A convolution's sizes in the order that its kernels take them. */
export function sizesOf(g: Conv2dGeometry): number[] {
  // deno-fmt-ignore
  return [
    g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow, g.kh, g.kw, g.strideH, g.strideW,
    g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW, g.groups,
  ];
}
