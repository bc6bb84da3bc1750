/** Every operation, and every method of tensors and backends, with arguments of wrong types. */

import { createBackend } from "../../src/backend/mod.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import * as ops from "../../src/ops/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { type Call, checkHostile } from "./hostile_arguments.ts";

Deno.test("operations refuse arguments of every wrong type, and leave tensors alone", async () => {
  using backend = new WasmBackend();
  const ones = (shape: number[]) =>
    backend.upload(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);
  const x = ones([2, 4, 4, 4]), w = ones([4, 2, 3, 3]), bias = ones([4]), dy = ones([2, 4, 4, 4]);
  const row = ones([2, 4, 6]), rowW = ones([4, 4, 3]), matrix = ones([2, 4]), dense = ones([3, 4]);
  const three = ones([2, 3]), kernel = ones([3]);
  const positions = backend.uploadIndices(new Int32Array(2 * 4 * 2 * 2), [2, 4, 2, 2]);
  const small = ones([2, 4, 2, 2]), rowOut = ones([2, 4, 6]);
  const prepared = ops.prepareConv(w, { groups: 2 }), quantized = ops.quantizeLinear(dense);
  const statistics = ops.batchNormStatistics(x);
  const conv = { stride: 1, padding: 1, dilation: 1, groups: 2, algorithm: "direct" };
  const conv1 = { stride: 1, padding: [1, 1], dilation: 1, groups: 1 };
  const pool = { kernelSize: 2, stride: 2, padding: 0, dilation: 1, ceilMode: false };
  const average = { ...pool, countIncludePad: true, divisorOverride: 3 };
  const lrn = { alpha: 1, beta: 0.5, k: 1 };
  const xShape = [2, 4, 4, 4], rowShape = [2, 4, 6];
  const calls: Call[] = [
    ["add", ops.add, [x, dy, { alpha: 1 }]],
    ["mul", ops.mul, [x, dy, {}]],
    ["relu", ops.relu, [x, {}]],
    ["reluBackward", ops.reluBackward, [dy, x, {}]],
    ["softmax", ops.softmax, [x, 1, {}]],
    ["logSoftmax", ops.logSoftmax, [x, 1, {}]],
    ["softmaxBackward", ops.softmaxBackward, [dy, x, 1, {}]],
    ["logSoftmaxBackward", ops.logSoftmaxBackward, [dy, x, 1, {}]],
    ["dropout", ops.dropout, [x, 0.5, 7, {}]],
    ["conv2d", ops.conv2d, [x, w, bias, { ...conv, activation: "relu" }]],
    ["conv2d prepared", ops.conv2d, [x, prepared, bias, conv]],
    ["conv1d", ops.conv1d, [row, rowW, bias, conv1]],
    ["prepareConv", ops.prepareConv, [w, { groups: 2 }]],
    ["conv2dBackwardInput", ops.conv2dBackwardInput, [dy, w, xShape, conv]],
    ["conv1dBackwardInput", ops.conv1dBackwardInput, [rowOut, rowW, rowShape, conv1]],
    ["conv2dBackwardWeight", ops.conv2dBackwardWeight, [dy, x, [4, 2, 3, 3], conv]],
    ["conv1dBackwardWeight", ops.conv1dBackwardWeight, [rowOut, row, [4, 4, 3], conv1]],
    ["biasBackward", ops.biasBackward, [dy, {}]],
    ["conv1dMatrix", ops.conv1dMatrix, [kernel, 6, { stride: 1, padding: 1 }]],
    ["linear", ops.linear, [matrix, dense, kernel, { activation: "relu" }]],
    ["linear int8", ops.linear, [matrix, quantized, kernel, {}]],
    ["linearBackwardInput", ops.linearBackwardInput, [three, dense, {}]],
    ["linearBackwardWeight", ops.linearBackwardWeight, [three, matrix, {}]],
    ["quantizeLinear", ops.quantizeLinear, [dense]],
    ["half", ops.half, [dense]],
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
    ["adaptiveAvgPool1d", ops.adaptiveAvgPool1d, [row, 2, {}]],
    ["adaptiveAvgPoolBackward", ops.adaptiveAvgPoolBackward, [small, xShape, {}]],
    ["localResponseNorm", ops.localResponseNorm, [x, 3, lrn]],
    ["localResponseNormBackward", ops.localResponseNormBackward, [dy, x, 3, lrn]],
    ["batchNorm", ops.batchNorm, [x, { runningMean: bias, runningVar: bias }, { eps: 1 }]],
    ["batchNormStatistics", ops.batchNormStatistics, [x]],
    ["batchNormBackward", ops.batchNormBackward, [dy, x, statistics, {
      weight: bias,
      dweight: null,
      dbias: null,
      eps: 1,
    }]],
  ];
  const names = new Set(calls.map(([name]) => name.split(" ")[0]));
  const untested = Object.entries(ops).filter(([name, op]) =>
    typeof op === "function" && !/^[A-Z]/.test(name) && !names.has(name)
  );
  assertEquals(untested.map(([name]) => name), []);
  const kept = [x, w, bias, dy, row, rowW, matrix, dense, three, kernel, small, rowOut, positions];
  const succeeded = await checkHostile(backend, calls, kept);
  if (Deno.env.get("SHOW")) console.log(succeeded.join("\n"));
});

Deno.test("tensors and backends refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  const x = backend.upload([1, 2, 3, 4], [2, 2]), copy = backend.upload([0, 0, 0, 0], [4]);
  const calls: Call[] = [
    ["view", (shape) => x.view(shape), [[4]]],
    ["upload", (values, shape) => backend.upload(values, shape), [[1, 2], [2]]],
    ["uploadIndices", (values, shape) => backend.uploadIndices(values, shape), [
      Int32Array.of(1, 2),
      [2],
    ]],
    ["empty", (shape) => backend.empty(shape), [[2]]],
    ["emptyIndices", (shape) => backend.emptyIndices(shape), [[2]]],
    ["emptyInt8", (shape) => backend.emptyInt8(shape), [[2]]],
    ["read", (tensor) => backend.read(tensor), [x]],
  ];
  await checkHostile(backend, calls, [x]);

  // these calls change whichever tensor they are given, if it is a float32 tensor of the backend
  const write: Call = [
    "write",
    (values, offset) => backend.write(copy, values, offset),
    [new Float32Array([1]), 3],
  ];
  const fill: Call = ["fill", (value) => backend.fill(copy, value), [1]];
  await checkHostile(backend, [write, fill], [x]);
  const integers = backend.uploadIndices(Int32Array.of(1, 2), [2]);
  for (const tensor of [integers, null, undefined, 3, {}, "x"]) {
    assertThrows(() => backend.write(tensor as Tensor, new Float32Array(1)), ArgumentError);
    assertThrows(() => backend.fill(tensor as Tensor, 1), ArgumentError);
    if (tensor !== integers) assertThrows(() => backend.free(tensor as Tensor), ArgumentError);
  }
  assertEquals([...await integers.read()], [1, 2]);
});

Deno.test("adopt() takes only a shape of as many elements", async () => {
  using backend = new WasmBackend();
  using x = backend.upload([1, 2, 3, 4], [4]);
  using neighbour = backend.upload([5, 6, 7, 8], [4]);
  const shapes = [[40], [3], [], [2, 2, 2], [-2, -2], [4.5], [NaN], [2 ** 31, 2 ** 31], Array(1)];
  for (const shape of [...shapes, null, undefined, "4", 4, {}, [["4"]]]) {
    assertThrows(() => x.adopt(shape as number[]), ArgumentError, "adopt: shape is ");
  }
  assertEquals([...await x.adopt([2, 2]).read()], [1, 2, 3, 4]);
  assertEquals([...await neighbour.read()], [5, 6, 7, 8]);
  x.dispose();
  assertThrows(() => x.adopt([4]), PembrokeError, "already disposed");
});

Deno.test("createBackend() refuses options of every wrong type", async () => {
  // deno-lint-ignore no-explicit-any
  const wrong: any[] = [
    null,
    3,
    "wasm",
    ...[null, "cuda", 3, {}].map((device) => ({ device })),
    ...[null, 3, "f", {}].map((onFallback) => ({ device: "wasm", onFallback })),
    ...[null, 3, {}, new Uint8Array(8)].map((module) => ({ device: "wasm", module })),
  ];
  for (const options of wrong) await assertRejects(() => createBackend(options), ArgumentError);
});
