/**
 * The kernels of forward passes. Each passes the addresses of its tensors and a block of numbers to
 * the function of the same name in assembly/.
 */

import type { Tensor } from "../../tensor.ts";
import type {
  AdaptiveGeometry,
  AxisGeometry,
  BatchNormTensors,
  Conv2dGeometry,
  Epilogue,
  FusedKind,
  LocalResponseNormGeometry,
  MatMulGeometry,
  Pool2dGeometry,
} from "../geometry.ts";
import type { Filters, ForwardKernels } from "../kernels.ts";
import type { Exports } from "./generated/kernels.ts";
import * as blocks from "./generated/geometry.ts";
import type { WasmMemory } from "./memory.ts";

/** The forward kernels over a memory, from what the binary exports. */
export function forwardKernels(memory: WasmMemory, exports: Exports): ForwardKernels {
  return {
    packConv2d(weight: Tensor, groups: number): Tensor {
      const block = memory.block(blocks.writeFilter, filterGeometry(weight, groups));
      const packed = memory.empty([exports.conv2dPackedSize(block)]);
      exports.conv2dPack(memory.out(packed), memory.at(weight), block);
      return packed;
    },

    conv2d(
      y: Tensor,
      x: Tensor,
      packed: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      epilogue: Epilogue,
    ): void {
      const block = memory.block(blocks.writeFusedConv2d, fusedGeometry(memory, y, g, epilogue));
      const scratch = memory.scratch(exports.conv2dScratchSize(block));
      const inputs = [memory.at(x), memory.at(packed), memory.at(bias)] as const;
      exports.conv2d(memory.out(y), ...inputs, scratch, block);
    },

    winograd(
      y: Tensor,
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null,
      g: Conv2dGeometry,
      epilogue: Epilogue,
    ): void {
      const block = memory.block(blocks.writeFusedConv2d, fusedGeometry(memory, y, g, epilogue));
      const scratch = memory.scratch(exports.winogradScratchSize(block));
      const inputs = [memory.at(x), memory.at(weight), memory.at(bias)] as const;
      exports.winograd(memory.out(y), ...inputs, scratch, block);
    },

    maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void {
      const block = memory.block(blocks.writePool2d, g);
      exports.maxPool2d(memory.out(y), memory.out(indices), memory.at(x), block);
    },

    avgPool2d(
      y: Tensor,
      x: Tensor,
      g: Pool2dGeometry,
      countIncludePad: boolean,
      divisor: number | null,
    ): void {
      const block = memory.block(blocks.writePool2d, g), padded = Number(countIncludePad);
      exports.avgPool2d(memory.out(y), memory.at(x), block, padded, divisor ?? 0);
    },

    adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void {
      const block = memory.block(blocks.writeAdaptive, g);
      exports.adaptiveAvgPool2d(memory.out(y), memory.at(x), block);
    },

    adaptiveMaxPool2d(
      y: Tensor,
      indices: Tensor<Int32Array> | null,
      x: Tensor,
      g: AdaptiveGeometry,
    ): void {
      const block = memory.block(blocks.writeAdaptive, g);
      exports.adaptiveMaxPool2d(memory.out(y), memory.out(indices), memory.at(x), block);
    },

    linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, activation: FusedKind): void {
      const [outF, inF] = weight.shape;
      linear(memory, exports, y, x, weight, bias, { n: x.size / inF, inF, outF }, activation);
    },

    matmul(y: Tensor, a: Tensor, b: Tensor, g: MatMulGeometry): void {
      const { m, n, k } = g;
      if (g.batch > 1 || g.transposeA) multiply(memory, exports, y, a, b, g);
      else if (g.transposeB) linear(memory, exports, y, a, b, null, { n: m, inF: k, outF: n });
      else linearBackwardInput(memory, exports, y, a, b, { n: m, inF: n, outF: k });
    },

    softmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
      const block = memory.block(blocks.writeAxis, g);
      exports.softmax(memory.out(y), memory.at(x), block);
    },

    logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void {
      const block = memory.block(blocks.writeAxis, g);
      exports.logSoftmax(memory.out(y), memory.at(x), block);
    },

    localResponseNorm(y: Tensor, x: Tensor, g: LocalResponseNormGeometry): void {
      const block = memory.block(blocks.writeLocalResponseNorm, g);
      exports.localResponseNorm(memory.out(y), memory.at(x), block);
    },

    batchNorm(
      y: Tensor,
      x: Tensor,
      tensors: BatchNormTensors,
      eps: number,
      activation: FusedKind,
    ): void {
      const { runningMean, runningVar, weight = null, bias = null } = tensors;
      const g = { ...channelGeometry(x), eps, activation };
      const block = memory.block(blocks.writeFusedBatchNorm, g);
      exports.batchNorm(
        memory.out(y),
        memory.at(x),
        memory.at(runningMean),
        memory.at(runningVar),
        memory.at(weight),
        memory.at(bias),
        block,
      );
    },

    foldBatchNorm(
      folded: Filters,
      weight: Tensor,
      bias: Tensor | null,
      tensors: BatchNormTensors,
      eps: number,
    ): void {
      const [c] = weight.shape;
      const block = memory.block(blocks.writeBatchNormFold, {
        n: 1,
        c,
        plane: weight.size / c,
        eps,
        mean: memory.at(tensors.runningMean),
        variance: memory.at(tensors.runningVar),
        weight: memory.at(tensors.weight ?? null),
        bias: memory.at(tensors.bias ?? null),
      });
      const results = [memory.out(folded.weight), memory.out(folded.bias)] as const;
      exports.foldBatchNorm(...results, memory.at(weight), memory.at(bias), block);
    },
  };
}

/** The geometry of a convolution and its epilogue. */
export function fusedGeometry(
  memory: WasmMemory,
  y: Tensor,
  g: Conv2dGeometry,
  { residual, activation, isExact = false }: Epilogue,
): blocks.FusedConv2dGeometry {
  return {
    ...g,
    addsResidual: residual !== null,
    residual: residual ? memory.at(residual) - memory.at(y) : 0,
    activation,
    isExact,
  };
}

/** y = x · weightᵀ + bias. Many rows repay packing the weights: 49 are as fast both ways. */
function linear(
  memory: WasmMemory,
  exports: Exports,
  y: Tensor,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  g: blocks.LinearGeometry,
  activation: FusedKind = "none",
): void {
  if (g.n >= 64) {
    const product = { m: g.n, n: g.outF, k: g.inF, transposeB: true };
    return multiply(memory, exports, y, x, weight, product, bias, activation);
  }
  const block = memory.block(blocks.writeLinear, g);
  const scratch = memory.scratch(exports.linearScratchSize(block));
  const inputs = [memory.at(x), memory.at(weight), memory.at(bias)] as const;
  exports.linear(memory.out(y), ...inputs, scratch, block, blocks.fusedKindCodes[activation]);
}

/** dx = dy · weight. Here, fewer rows repay packing the weights. */
export function linearBackwardInput(
  memory: WasmMemory,
  exports: Exports,
  dx: Tensor,
  dy: Tensor,
  weight: Tensor,
  g: blocks.LinearGeometry,
): void {
  if (g.n >= 20) {
    return multiply(memory, exports, dx, dy, weight, { m: g.n, n: g.inF, k: g.outF });
  }
  const block = memory.block(blocks.writeLinear, g);
  exports.linearBackwardInput(memory.out(dx), memory.at(dy), memory.at(weight), block);
}

/** y = activation(a · b + bias), or y += a · b, for one pair of matrices or more. */
export function multiply(
  memory: WasmMemory,
  exports: Exports,
  y: Tensor,
  a: Tensor,
  b: Tensor,
  g: Pick<MatMulGeometry, "m" | "n" | "k"> & Partial<MatMulGeometry>,
  bias: Tensor | null = null,
  activation: FusedKind = "none",
): void {
  const pair = { batch: 1, transposeA: false, transposeB: false, accumulate: false };
  const block = memory.block(blocks.writeMatMul, { ...pair, ...g });
  const scratch = memory.scratch(exports.matmulScratchSize(block));
  const inputs = [memory.at(a), memory.at(b), memory.at(bias)] as const;
  exports.matmul(memory.out(y), ...inputs, scratch, block, blocks.fusedKindCodes[activation]);
}

/** The sizes of a convolution's weights, [outC, inC/groups, (kH,) kW]. */
export function filterGeometry(weight: Tensor, groups: number): blocks.FilterGeometry {
  const [outC] = weight.shape;
  return { outC, filterSize: weight.size / outC, groups };
}

/** The sizes of a tensor [N, C, …]. */
export function channelGeometry({ shape: [n, c], size }: Tensor): blocks.ChannelGeometry {
  return { n, c, plane: size / (n * c) };
}
