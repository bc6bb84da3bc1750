/** Every operation with valid arguments, for tests that disturb the calls. */

import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import type { Tensor, Values } from "../../src/tensor.ts";
import { activationCases } from "../backend/activations.ts";
import type { Call } from "./hostile_arguments.ts";

/** The operations, and the tensors that they read. */
export interface OperationCalls {
  readonly calls: readonly Call[];
  readonly kept: readonly Tensor<Values>[];
}

/** The activations of single elements, with arguments. */
const activations = new Map(activationCases.map(({ op, args }) => [op, args]));

/** Creates arguments on a backend, and returns a call of each operation. */
export function operationCalls(backend: Backend): OperationCalls {
  const ones = (shape: number[]) =>
    backend.upload(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);
  const x = ones([2, 4, 4, 4]), w = ones([4, 2, 3, 3]), bias = ones([4]), dy = ones([2, 4, 4, 4]);
  const row = ones([2, 4, 6]), rowW = ones([4, 4, 3]), matrix = ones([2, 4]), dense = ones([3, 4]);
  const three = ones([2, 3]), kernel = ones([3]);
  const positions = backend.uploadIndices(new Int32Array(2 * 4 * 2 * 2), [2, 4, 2, 2]);
  const small = ones([2, 4, 2, 2]), rowOut = ones([2, 4, 6]);
  const prepared = ops.prepareConv(w, { groups: 2 }), quantized = ops.quantizeLinear(dense);
  const rounded = ops.quantizeConv(w, { groups: 2 });
  const statistics = ops.batchNormStatistics(x), pairs = { mean: ones([2]), rstd: ones([2]) };
  const conv = { stride: 1, padding: 1, dilation: 1, groups: 2, algorithm: "direct" };
  const conv1 = { stride: 1, padding: [1, 1], dilation: 1, groups: 1 };
  const transposed = { stride: 2, padding: 1, outputPadding: 1, dilation: 1, groups: 2 };
  const same = { padding: 1, groups: 2 };
  const pool = { kernelSize: 2, stride: 2, padding: 0, dilation: 1, ceilMode: false };
  const average = { ...pool, countIncludePad: true, divisorOverride: 3 };
  const lrn = { alpha: 1, beta: 0.5, k: 1 };
  const xShape = [2, 4, 4, 4], rowShape = [2, 4, 6];
  const calls: Call[] = [
    ["add", ops.add, [x, dy, { alpha: 1 }]],
    ["mul", ops.mul, [x, dy, {}]],
    ["cat", ops.cat, [[x, dy], 1, {}]],
    ["slice", ops.slice, [x, 1, 0, 2, { step: 1 }]],
    ["sliceBackward", ops.sliceBackward, [dy, [2, 6, 4, 4], 1, 1, 5, { step: 1 }]],
    ["permute", ops.permute, [x, [0, 2, 3, 1], {}]],
    ["inversePermutation", ops.inversePermutation, [[2, 0, 1]]],
    ["channelShuffle", ops.channelShuffle, [x, 2, {}]],
    ["pad", ops.pad, [x, [1, 1, 0, 0], { mode: "constant", value: 1 }]],
    ["padBackward", ops.padBackward, [dy, [2, 4, 3, 4], [0, 0, 1, 0], { mode: "reflect" }]],
    ["interpolate", ops.interpolate, [x, {
      scaleFactor: [2, 1.5],
      size: undefined,
      mode: "bilinear",
      alignCorners: false,
      recomputeScaleFactor: false,
    }]],
    ["interpolateBackward", ops.interpolateBackward, [dy, [2, 4, 2, 3], { size: [4, 4] }]],
    ["addBackward", ops.addBackward, [dy, [4, 1, 1], {}]],
    ["mulBackward", ops.mulBackward, [dy, x, [4, 1, 1], {}]],
    ["matmul", ops.matmul, [x, dy, { transposeA: true, transposeB: false }]],
    ["matmulBackward", ops.matmulBackward, [dy, x, dy, { transposeA: false, transposeB: true }]],
    ["prelu", ops.prelu, [x, bias, {}]],
    ["preluBackwardInput", ops.preluBackwardInput, [dy, x, bias, {}]],
    ["preluBackwardWeight", ops.preluBackwardWeight, [dy, x, [4], {}]],
    ...[...activations].flatMap(([name, args]): Call[] => {
      const forward = ops[name], backward = ops[`${name}Backward`];
      return [
        [name, forward as Call[1], [x, ...args, {}]],
        [`${name}Backward`, backward as Call[1], [dy, x, ...args, {}]],
      ];
    }),
    ["softmax", ops.softmax, [x, 1, {}]],
    ["logSoftmax", ops.logSoftmax, [x, 1, {}]],
    ["softmaxBackward", ops.softmaxBackward, [dy, x, 1, {}]],
    ["logSoftmaxBackward", ops.logSoftmaxBackward, [dy, x, 1, {}]],
    ["dropout", ops.dropout, [x, 0.5, 7, {}]],
    ["conv2d", ops.conv2d, [x, w, bias, { ...conv, activation: "relu" }]],
    ["conv2d prepared", ops.conv2d, [x, prepared, bias, conv]],
    ["conv1d", ops.conv1d, [row, rowW, bias, conv1]],
    ["prepareConv", ops.prepareConv, [w, { groups: 2 }]],
    ["foldConv", ops.foldConv, [w, bias, { runningMean: bias, runningVar: bias }, { eps: 1 }]],
    ["conv2dBackwardInput", ops.conv2dBackwardInput, [dy, w, xShape, conv]],
    ["conv1dBackwardInput", ops.conv1dBackwardInput, [rowOut, rowW, rowShape, conv1]],
    ["conv2dBackwardWeight", ops.conv2dBackwardWeight, [dy, x, [4, 2, 3, 3], conv]],
    ["conv1dBackwardWeight", ops.conv1dBackwardWeight, [rowOut, row, [4, 4, 3], conv1]],
    ["convTranspose2d", ops.convTranspose2d, [x, w, bias, transposed]],
    ["convTranspose1d", ops.convTranspose1d, [row, rowW, null, { stride: 2 }]],
    ["convTransposeBackwardInput", ops.convTransposeBackwardInput, [dy, w, xShape, same]],
    ["convTransposeBackwardWeight", ops.convTransposeBackwardWeight, [dy, x, [4, 2, 3, 3], same]],
    ["biasBackward", ops.biasBackward, [dy, {}]],
    ["conv1dMatrix", ops.conv1dMatrix, [[1, 2, 3], 6]],
    ["linear", ops.linear, [matrix, dense, kernel, { activation: "relu" }]],
    ["linear int8", ops.linear, [matrix, quantized, kernel, {}]],
    ["linearBackwardInput", ops.linearBackwardInput, [three, dense, {}]],
    ["linearBackwardWeight", ops.linearBackwardWeight, [three, matrix, {}]],
    ["quantizeLinear", ops.quantizeLinear, [dense]],
    ["quantizeConv", ops.quantizeConv, [w, { groups: 2 }]],
    ["conv2d int8", ops.conv2d, [x, rounded, bias, conv]],
    ["half", ops.half, [dense]],
    ["mseLoss", ops.mseLoss, [x, dy]],
    ["bceWithLogits", ops.bceWithLogits, [x, dy]],
    ["crossEntropy", ops.crossEntropy, [three, [0, 2], { labelSmoothing: 0.1 }]],
    ["maxPool2d", ops.maxPool2d, [x, pool]],
    ["maxPool1d", ops.maxPool1d, [row, pool]],
    ["maxPool2dWithIndices", ops.maxPool2dWithIndices, [x, pool]],
    ["maxPool1dWithIndices", ops.maxPool1dWithIndices, [row, pool]],
    ["maxPoolBackward", ops.maxPoolBackward, [small, positions, xShape, {}]],
    ["avgPool2d", ops.avgPool2d, [x, average]],
    ["avgPool1d", ops.avgPool1d, [row, average]],
    ["avgPool2dBackward", ops.avgPool2dBackward, [small, xShape, average]],
    ["avgPool1dBackward", ops.avgPool1dBackward, [rowOut, rowShape, { kernelSize: 1 }]],
    ["adaptiveAvgPool2d", ops.adaptiveAvgPool2d, [x, [2, 2], {}]],
    ["adaptiveMaxPool2d", ops.adaptiveMaxPool2d, [x, [2, 2], {}]],
    ["adaptiveMaxPool2dWithIndices", ops.adaptiveMaxPool2dWithIndices, [x, 2, {}]],
    ["adaptiveAvgPool1d", ops.adaptiveAvgPool1d, [row, 2, {}]],
    ["adaptiveAvgPoolBackward", ops.adaptiveAvgPoolBackward, [small, xShape, {}]],
    ["localResponseNorm", ops.localResponseNorm, [x, 3, lrn]],
    ["localResponseNormBackward", ops.localResponseNormBackward, [dy, x, 3, lrn]],
    ["batchNorm", ops.batchNorm, [x, { runningMean: bias, runningVar: bias }, { eps: 1 }]],
    ["layerNorm", ops.layerNorm, [matrix, [4], { weight: bias, bias, eps: 1, statistics: null }]],
    ["groupNorm", ops.groupNorm, [x, 2, { weight: bias, bias: null, eps: 1 }]],
    ["layerNormBackward", ops.layerNormBackward, [matrix, matrix, pairs, [4], {
      weight: bias,
      dweight: null,
      dbias: null,
    }]],
    ["groupNormBackward", ops.groupNormBackward, [dy, x, pairs, 1, { weight: bias }]],
    ["batchNormStatistics", ops.batchNormStatistics, [x]],
    ["batchNormBackward", ops.batchNormBackward, [dy, x, statistics, {
      weight: bias,
      dweight: null,
      dbias: null,
      eps: 1,
    }]],
  ];
  const kept = [x, w, bias, dy, row, rowW, matrix, dense, three, kernel, small, rowOut, positions];
  return { calls, kept };
}
