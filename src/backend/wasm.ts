/**
 * The Wasm backend: tensors in one WebAssembly memory, kernels from assembly/.
 *
 * @module
 */

import type { Backend } from "../backend.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  BatchNormTensors,
  Conv2dGeometry,
  Pool2dGeometry,
} from "./geometry.ts";
import type { AdamWStep, SgdStep } from "./kernels.ts";
import { type Build, type Exports, fastestBuild, instantiate } from "./wasm/binary.ts";
import { sharedMemory, WasmMemory } from "./wasm/memory.ts";
import { Team, threadBytes } from "./wasm/threads.ts";

/** Kernels in WebAssembly, on the caller's thread and its helpers. */
export class WasmBackend extends WasmMemory implements Backend {
  readonly device = "wasm";
  override readonly name: string;
  readonly threads: number;
  readonly #kernels: Exports;
  readonly #team: Team | undefined;

  /**
   * @param build Compiled kernels; without them the fastest build that this engine takes.
   * @param own What runs on several threads has its memory already.
   */
  constructor(build: Build | undefined = fastestBuild, own = alone(build)) {
    super(own.memory, own.base);
    this.#kernels = own.kernels;
    this.#team = own.team;
    this.threads = own.team?.threads ?? 1;
    this.name = build?.name ? `wasm (${build.name})` : "wasm";
  }

  /**
   * A backend that computes with so many threads; undefined where there is no shared memory, or no
   * worker starts.
   */
  static async withThreads(build: Build, threads: number): Promise<WasmBackend | undefined> {
    const memory = sharedMemory();
    if (!memory) return undefined;
    const kernels = instantiate(build.module, memory);
    const address = Math.ceil(kernels.heapBase() / 64) * 64;
    const team = await Team.start(build, memory, address, threads, kernels);
    if (team.threads === 1) return undefined;
    const base = address + threadBytes(threads);
    return new WasmBackend(build, { memory, base, kernels: team.lead(kernels), team });
  }

  /** What is uploaded is computed with next: the workers wake while it is copied. */
  override upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    this.#team?.wake();
    return super.upload(values, shape);
  }

  override dispose(): void {
    super.dispose();
    this.#team?.dispose();
  }

  packConv2d(weight: Tensor, groups: number): Tensor {
    const [outC] = weight.shape, k = weight.size / outC;
    const packed = this.empty([this.#kernels.conv2dPackedSize(outC, k, groups)]);
    this.#kernels.conv2dPack(this.out(packed), this.at(weight), outC, k, groups);
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
    const bytes = this.#kernels.conv2dScratchSize(g.inC, g.h, g.w, g.kh, g.kw, ...sides, g.groups);
    const scratch = this.scratchOf(bytes);
    // deno-fmt-ignore
    this.#kernels.conv2d(
      this.out(y), this.at(x), this.at(packed), this.at(bias), scratch, ...numbers(g),
      Number(relu),
    );
  }

  packWinograd(weight: Tensor, groups: number, stride: number): Tensor {
    const [outC, c, k] = weight.shape, sizes = [outC, c, k, stride, groups] as const;
    const packed = this.empty([this.#kernels.winogradPackedSize(...sizes)]);
    this.#kernels.winogradPack(this.out(packed), this.at(weight), ...sizes);
    return packed;
  }

  winograd(
    y: Tensor,
    x: Tensor,
    packed: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    relu: boolean,
  ): void {
    // deno-fmt-ignore
    const scratch = this.scratchOf(this.#kernels.winogradScratchSize(
      g.n, g.inC, g.outC, g.oh, g.ow, g.kh, g.strideH, g.groups,
    ));
    // deno-fmt-ignore
    this.#kernels.winograd(
      this.out(y), this.at(x), this.at(packed), this.at(bias), scratch, g.n, g.inC, g.h, g.w,
      g.outC, g.oh, g.ow, g.kh, g.strideH, g.top, g.left, g.groups, Number(relu),
    );
  }

  maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void {
    // deno-fmt-ignore
    this.#kernels.maxPool2d(
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
    this.#kernels.avgPool2d(
      this.out(y), this.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow, g.kh, g.kw, g.strideH, g.strideW,
      g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW, Number(countIncludePad),
      divisor ?? 0,
    );
  }

  adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void {
    this.#kernels.adaptiveAvgPool2d(this.out(y), this.at(x), g.n * g.c, g.h, g.w, g.oh, g.ow);
  }

  linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, relu: boolean): void {
    const [outF, inF] = weight.shape, n = x.size / inF;
    const scratch = this.scratchOf(this.#kernels.linearScratchSize(n, inF));
    // deno-fmt-ignore
    this.#kernels.linear(
      this.out(y), this.at(x), this.at(weight), this.at(bias), scratch, n, inF, outF, Number(relu),
    );
  }

  emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array> {
    return this.emptyInt8([this.#kernels.linearInt8PackedSize(inF, outF)]);
  }

  packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void {
    const [rows, inF] = weight.shape, bytes = this.#kernels.linearInt8PackedSize(inF, row);
    // deno-fmt-ignore
    this.#kernels.linearInt8Pack(
      this.out(packed) + bytes, this.out(scale) + 4 * row, this.at(weight), inF, rows,
    );
  }

  unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void {
    const [outF, inF] = values.shape;
    this.#kernels.linearInt8Unpack(this.out(values), this.at(packed), inF, outF);
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
    const scratch = this.scratchOf(this.#kernels.linearInt8ScratchSize(n, inF));
    // deno-fmt-ignore
    this.#kernels.linearInt8(
      this.out(y), this.at(x), this.at(packed), this.at(scale), this.at(bias), scratch,
      n, inF, outF, Number(relu),
    );
  }

  relu(y: Tensor, x: Tensor): void {
    this.#kernels.relu(this.out(y), this.at(x), x.size);
  }

  softmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
    this.#kernels.softmax(this.out(y), this.at(x), g.outer, g.size, g.inner);
  }

  logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
    this.#kernels.logSoftmax(this.out(y), this.at(x), g.outer, g.size, g.inner);
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
    this.#kernels.localResponseNorm(this.out(y), this.at(x), n, c, plane, size, alpha, beta, k);
  }

  batchNorm(y: Tensor, x: Tensor, tensors: BatchNormTensors, eps: number): void {
    const { runningMean, runningVar, weight = null, bias = null } = tensors;
    const [n, c] = x.shape, plane = x.size / (n * c);
    // deno-fmt-ignore
    this.#kernels.batchNorm(
      this.out(y), this.at(x), this.at(runningMean), this.at(runningVar), this.at(weight),
      this.at(bias), n, c, plane, eps,
    );
  }

  packConv2dTransposed(weight: Tensor, groups: number): Tensor {
    const [outC] = weight.shape, k = weight.size / outC;
    const packed = this.empty([this.#kernels.conv2dPackedTransposedSize(outC, k, groups)]);
    this.#kernels.conv2dPackTransposed(this.out(packed), this.at(weight), outC, k, groups);
    return packed;
  }

  conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    this.#kernels.conv2dBackwardInput(
      this.out(dx), this.at(dy), this.at(packed), this.#backwardScratch(g), ...numbers(g),
    );
  }

  conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    this.#kernels.conv2dBackwardWeight(
      this.out(dw), this.at(dy), this.at(x), this.#backwardScratch(g), ...numbers(g),
    );
  }

  packWinogradTransposed(weight: Tensor, groups: number): Tensor {
    const [outC, c, k] = weight.shape, sizes = [outC, c, k, groups] as const;
    const packed = this.empty([this.#kernels.winogradPackedTransposedSize(...sizes)]);
    this.#kernels.winogradPackTransposed(this.out(packed), this.at(weight), ...sizes);
    return packed;
  }

  winogradBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    const scratch = this.scratchOf(this.#kernels.winogradScratchSize(
      g.n, g.outC, g.inC, g.h, g.w, g.kh, 1, g.groups,
    ));
    // deno-fmt-ignore
    this.#kernels.winograd(
      this.out(dx), this.at(dy), this.at(packed), 0, scratch, g.n, g.outC, g.oh, g.ow, g.inC, g.h,
      g.w, g.kh, 1, g.kh - 1 - g.top, g.kh - 1 - g.left, g.groups, 0,
    );
  }

  winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void {
    // deno-fmt-ignore
    const scratch = this.scratchOf(this.#kernels.winogradBackwardScratchSize(
      g.n, g.inC, g.outC, g.oh, g.ow, g.kh, g.strideH, g.groups,
    ));
    // deno-fmt-ignore
    this.#kernels.winogradBackwardWeight(
      this.out(dw), this.at(dy), this.at(x), scratch, g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow,
      g.kh, g.strideH, g.top, g.left, g.groups,
    );
  }

  biasBackward(db: Tensor, dy: Tensor): void {
    const [n, c] = dy.shape;
    this.#kernels.biasBackward(this.out(db), this.at(dy), n, c, dy.size / (n * c));
  }

  maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void {
    const size = dx.size / planes, most = this.#kernels.maxIndex(this.at(indices), indices.size);
    if (most >= size) {
      const takes = `below ${size}, the size of a plane of the input`;
      throw new ArgumentError("maxPoolBackward", "an index", most | 0, takes);
    }
    // deno-fmt-ignore
    this.#kernels.maxPool2dBackward(
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
    this.#kernels.avgPool2dBackward(
      this.out(dx), this.at(dy), g.n * g.c, g.h, g.w, g.oh, g.ow, g.kh, g.kw,
      g.strideH, g.strideW, g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW,
      Number(countIncludePad), divisor ?? 0,
    );
  }

  adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void {
    // deno-fmt-ignore
    this.#kernels.adaptiveAvgPool2dBackward(
      this.out(dx), this.at(dy), g.n * g.c, g.h, g.w, g.oh, g.ow,
    );
  }

  linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void {
    const [outF, inF] = weight.shape;
    // deno-fmt-ignore
    this.#kernels.linearBackwardInput(
      this.out(dx), this.at(dy), this.at(weight), dy.size / outF, inF, outF,
    );
  }

  linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void {
    const [outF, inF] = dw.shape, n = dy.size / outF;
    const scratch = this.scratchOf(this.#kernels.linearBackwardScratchSize(n, inF, outF));
    // deno-fmt-ignore
    this.#kernels.linearBackwardWeight(
      this.out(dw), this.at(dy), this.at(x), scratch, n, inF, outF,
    );
  }

  reluBackward(dx: Tensor, dy: Tensor, y: Tensor): void {
    this.#kernels.reluBackward(this.out(dx), this.at(dy), this.at(y), dy.size);
  }

  softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
    const { outer, size, inner } = g;
    this.#kernels.softmaxBackward(this.out(dx), this.at(dy), this.at(y), outer, size, inner);
  }

  logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void {
    const { outer, size, inner } = g;
    this.#kernels.logSoftmaxBackward(this.out(dx), this.at(dy), this.at(y), outer, size, inner);
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
    this.#kernels.crossEntropy(
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
    this.#kernels.localResponseNormBackward(
      this.out(dx), this.at(dy), this.at(x), scratch, n, c, plane, size, alpha, beta, k,
    );
  }

  batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void {
    const [n, c] = x.shape, plane = x.size / (n * c);
    this.#kernels.batchNormStatistics(
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
    this.#kernels.batchNormBackward(
      this.out(dx), this.out(dweight), this.out(dbias), this.at(dy), this.at(x),
      this.at(mean), this.at(variance), this.at(weight), n, c, plane, eps,
    );
  }

  dropout(y: Tensor, x: Tensor, p: number, seed: number): void {
    const keep = Math.round((1 - p) * 2 ** 32) - 1;
    if (keep < 0) return this.fill(y, 0);
    this.#kernels.dropout(this.out(y), this.at(x), x.size, seed, keep, 1 / (1 - p));
  }

  sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void {
    // deno-fmt-ignore
    this.#kernels.sgdStep(
      this.out(w), this.at(dw), this.out(velocity), w.size, step.lr, step.momentum,
      step.weightDecay, Number(step.nesterov), Number(step.first),
    );
  }

  adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void {
    // deno-fmt-ignore
    this.#kernels.adamwStep(
      this.out(w), this.at(dw), this.out(m), this.out(v), w.size, step.shrink, step.beta1,
      1 - step.beta1, step.beta2, 1 - step.beta2, step.step, step.root, step.eps,
    );
  }

  axpby(y: Tensor, x: Tensor, a: number, b: number): void {
    this.#kernels.axpby(this.out(y), this.at(x), x.size, a, b);
  }

  squaredNorm(x: Tensor): Promise<number> {
    return Promise.resolve(this.#kernels.squaredNorm(this.at(x), x.size));
  }

  #backwardScratch(g: Conv2dGeometry): number {
    // deno-fmt-ignore
    return this.scratchOf(this.#kernels.conv2dBackwardScratchSize(
      g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow, g.kh, g.kw, g.top, g.left, g.bottom, g.right, g.groups,
    ));
  }
}

/** What a backend computes with. */
interface Own {
  readonly memory: WebAssembly.Memory;
  /** The first address that is free. */
  readonly base: number;
  readonly kernels: Exports;
  readonly team?: Team;
}

function alone(build: Build | undefined): Own {
  if (!build) {
    throw new PembrokeError(
      "this engine cannot compile the kernels: it lacks WebAssembly SIMD, or forbids compiling " +
        "from bytes (pass a WebAssembly.Module as `module` then)",
    );
  }
  const memory = new WebAssembly.Memory({ initial: 16 });
  const kernels = instantiate(build.module, memory);
  return { memory, base: kernels.heapBase(), kernels };
}

/** A convolution's sizes in the order that its kernels take them. */
function numbers(g: Conv2dGeometry): number[] {
  // deno-fmt-ignore
  return [
    g.n, g.inC, g.h, g.w, g.outC, g.oh, g.ow, g.kh, g.kw, g.strideH, g.strideW,
    g.top, g.left, g.bottom, g.right, g.dilationH, g.dilationW, g.groups,
  ];
}
