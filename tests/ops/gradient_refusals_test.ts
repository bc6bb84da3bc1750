/**
 * The error messages of gradients for invalid arguments. The tensors have no memory: a call that
 * reaches a kernel or allocates fails with another error.
 */

import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as ops from "../../src/ops/mod.ts";
import { type Shape, Tensor } from "../../src/tensor.ts";
import { assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { fakeBackend, fakeTensor } from "./fake_tensor.ts";

const x = fakeTensor([2, 4, 6, 5]), w = fakeTensor([8, 4, 3, 3]), dy = fakeTensor([2, 8, 4, 3]);
const row = fakeTensor([2, 4, 9]), rowW = fakeTensor([8, 4, 3]), rowDy = fakeTensor([2, 8, 7]);
const matrix = fakeTensor([3, 5]), vector = fakeTensor([4]), flat = fakeTensor([2, 3]);
const foreign = fakeTensor([2, 8, 4, 3], fakeBackend());
const positions = indices([2, 8, 4, 3]);
const statistics = { mean: vector, variance: vector };

function indices(shape: Shape): Tensor<Int32Array> {
  const { backend, storage } = fakeTensor(shape);
  return new Tensor(backend, shape, storage, Int32Array);
}

/** Error messages, and the calls that throw them. */
const invalidCalls: [string, () => unknown][] = [
  [
    "matmulBackward: the shape of dy is [2, 3], must be [3, 3]",
    () => ops.matmulBackward(flat, matrix, matrix, { transposeB: true }),
  ],
  [
    "matmulBackward: the shape of b is [3, 5], must be [5, 5] for a [3, 5]",
    () => ops.matmulBackward(matrix, matrix, matrix),
  ],
  [
    "conv2dBackwardInput: the shape of dy is [2, 4, 6, 5], must be [2, 8, 4, 3]",
    () => ops.conv2dBackwardInput(x, w, x.shape),
  ],
  [
    "conv2dBackwardInput: the shape of dy is [2, 8, 4, 3], must be [2, 8, 6, 5]",
    () => ops.conv2dBackwardInput(dy, w, x.shape, { padding: 1 }),
  ],
  [
    "conv2dBackwardInput: the shape of x is [2, 4, 6], must be [N, C, H, W], each at least 1",
    () => ops.conv2dBackwardInput(dy, w, [2, 4, 6]),
  ],
  [
    "conv2dBackwardInput: the shape of x is [2, 4, 0, 5], must be [N, C, H, W], each at least 1",
    () => ops.conv2dBackwardInput(dy, w, [2, 4, 0, 5]),
  ],
  [
    "conv2dBackwardInput: the shape of out is [2, 8, 4, 3], must be [2, 4, 6, 5]",
    () => ops.conv2dBackwardInput(dy, w, x.shape, { out: fakeTensor(dy.shape) }),
  ],
  [
    "conv2dBackwardInput: weight is on another backend, fake, must be on that of the other tensors",
    () => ops.conv2dBackwardInput(foreign, w, x.shape),
  ],
  [
    "conv2dBackwardWeight: the shape of dy is [2, 8, 4, 3], must be [2, 8, 2, 2]",
    () => ops.conv2dBackwardWeight(dy, x, w.shape, { stride: 2 }),
  ],
  [
    "conv2dBackwardWeight: the shape of weight is [8, 4, 3], must be [outC, C/groups, kH, kW], each at least 1",
    () => ops.conv2dBackwardWeight(dy, x, [8, 4, 3]),
  ],
  [
    "conv2dBackwardWeight: the shape of into is [8, 4, 3, 2], must be [8, 4, 3, 3]",
    () => ops.conv2dBackwardWeight(dy, x, w.shape, { into: fakeTensor([8, 4, 3, 2]) }),
  ],
  [
    "conv2dBackwardWeight: stride is 0, must be one positive integer, or one for each of 2 axes",
    () => ops.conv2dBackwardWeight(dy, x, w.shape, { stride: 0 }),
  ],
  [
    "conv1dBackwardInput: the shape of dy is [2, 4, 9], must be [2, 8, 7]",
    () => ops.conv1dBackwardInput(row, rowW, row.shape),
  ],
  [
    "conv1dBackwardInput: the shape of x is [2, 4, 6, 5], must be [N, C, L], each at least 1",
    () => ops.conv1dBackwardInput(rowDy, rowW, x.shape),
  ],
  [
    "conv1dBackwardWeight: the shape of dy is [2, 4, 9], must be [2, 8, 7]",
    () => ops.conv1dBackwardWeight(row, row, rowW.shape),
  ],
  [
    "biasBackward: the shape of dy is [4], must be [N, C, …]",
    () => ops.biasBackward(vector),
  ],
  [
    "biasBackward: the shape of into is [4], must be [8]",
    () => ops.biasBackward(dy, { into: vector }),
  ],
  [
    "linearBackwardInput: the shape of dy is [4], must be […, 3] to match weight",
    () => ops.linearBackwardInput(vector, matrix),
  ],
  [
    "linearBackwardInput: the shape of weight is [4], must be [out, in], each at least 1",
    () => ops.linearBackwardInput(matrix, vector),
  ],
  [
    "linearBackwardWeight: the shape of x is [3, 5], must be […, in] with as many rows as dy [2, 3]",
    () => ops.linearBackwardWeight(flat, matrix),
  ],
  [
    "linearBackwardWeight: the shape of into is [3, 5], must be [3, 3]",
    () => ops.linearBackwardWeight(flat, flat, { into: matrix }),
  ],
  [
    "maxPoolBackward: the shape of indices is [2, 8, 4, 3], must be [2, 4, 9]",
    () => ops.maxPoolBackward(row, positions, row.shape),
  ],
  [
    "maxPoolBackward: inputShape is [2, 4, 6, 5], must be a shape with 16 planes (N · C), like dy",
    () => ops.maxPoolBackward(dy, positions, x.shape),
  ],
  [
    "maxPoolBackward: the shape of the input is [2, 8, 9], must be [N, C, H, W], each at least 1",
    () => ops.maxPoolBackward(dy, positions, [2, 8, 9]),
  ],
  [
    "maxPoolBackward: the shape of dy is [2, 3], must be [N, C, H, W], each at least 1",
    () => ops.maxPoolBackward(flat, indices([2, 3]), [2, 3, 2, 2]),
  ],
  [
    "maxPoolBackward: indices is a tensor of Float32Array, must be a tensor of int32 indices",
    () => ops.maxPoolBackward(dy, dy as unknown as Tensor<Int32Array>, dy.shape),
  ],
  [
    "reluBackward: y is a tensor of Int32Array, must be a tensor of float32",
    () => ops.reluBackward(dy, positions as unknown as Tensor),
  ],
  [
    "avgPool2dBackward: the shape of dy is [2, 8, 4, 3], must be [2, 4, 3, 2]",
    () => ops.avgPool2dBackward(dy, x.shape, { kernelSize: 2 }),
  ],
  [
    "avgPool1dBackward: the shape of dy is [2, 4, 9], must be [2, 4, 4]",
    () => ops.avgPool1dBackward(row, row.shape, { kernelSize: 2 }),
  ],
  [
    "avgPool2dBackward: divisorOverride is 0, must be a positive integer",
    () =>
      ops.avgPool2dBackward(fakeTensor([2, 4, 3, 2]), x.shape, {
        kernelSize: 2,
        divisorOverride: 0,
      }),
  ],
  [
    "adaptiveAvgPoolBackward: the shape of dy is [2, 8, 4, 3], must be [2, 4, 4, 3]",
    () => ops.adaptiveAvgPoolBackward(dy, x.shape),
  ],
  [
    "adaptiveAvgPoolBackward: the shape of dy is [2, 3], must be [N, C, H, W], each at least 1",
    () => ops.adaptiveAvgPoolBackward(flat, [2, 3, 2, 2]),
  ],
  [
    "adaptiveAvgPoolBackward: the shape of dy is [1, 1, 2, 2, 3], must be [N, C, H, W], each at least 1",
    () => ops.adaptiveAvgPoolBackward(fakeTensor([1, 1, 2, 2, 3]), [1, 1, 4, 4]),
  ],
  [
    "reluBackward: the shape of y is [3, 5], must be [2, 3]",
    () => ops.reluBackward(flat, matrix),
  ],
  [
    "sigmoidBackward: the shape of y is [3, 5], must be [2, 3]",
    () => ops.sigmoidBackward(flat, matrix),
  ],
  [
    "siluBackward: the shape of x is [3, 5], must be [2, 3]",
    () => ops.siluBackward(flat, matrix),
  ],
  [
    "hardtanhBackward: maxVal is 0, must be a number of at least minVal, 1",
    () => ops.hardtanhBackward(flat, flat, 1, 0),
  ],
  [
    "preluBackwardInput: the shape of x is [3, 5], must be [2, 3]",
    () => ops.preluBackwardInput(flat, matrix, vector),
  ],
  [
    "preluBackwardWeight: the shape of weight is [2], must be [3] or [1]",
    () => ops.preluBackwardWeight(flat, flat, [2]),
  ],
  [
    "mulBackward: shape is [2, 0], must be positive integers",
    () => ops.mulBackward(flat, flat, [2, 0]),
  ],
  [
    "addBackward: the shape of b is [2, 2], must be [2, 3], or 1 along a run of axes or along all others",
    () => ops.addBackward(flat, [2, 2]),
  ],
  [
    "softmaxBackward: dim is 2, must be an axis of x [2, 3]",
    () => ops.softmaxBackward(flat, fakeTensor([2, 3]), 2),
  ],
  [
    "logSoftmaxBackward: the shape of y is [3, 5], must be [2, 3]",
    () => ops.logSoftmaxBackward(flat, matrix, 0),
  ],
  [
    "localResponseNormBackward: size is 4, must be odd",
    () => ops.localResponseNormBackward(x, x, 4),
  ],
  [
    "localResponseNormBackward: the shape of dy is [2, 8, 4, 3], must be [2, 4, 6, 5]",
    () => ops.localResponseNormBackward(dy, x, 5),
  ],
  [
    "batchNormStatistics: the shape of x is [4], must be [N, C, …]",
    () => ops.batchNormStatistics(vector),
  ],
  [
    "batchNormBackward: the shape of x is [2, 4, 6, 5], must be [2, 8, 4, 3]",
    () => ops.batchNormBackward(dy, x, statistics),
  ],
  [
    "batchNormBackward: the shape of mean is [4], must be [8]",
    () => ops.batchNormBackward(dy, dy, statistics),
  ],
  [
    "batchNormBackward: the shape of dweight is [3, 5], must be [4]",
    () => ops.batchNormBackward(x, x, statistics, { dweight: matrix }),
  ],
  [
    "batchNormBackward: eps is -1, must be a non-negative number",
    () => ops.batchNormBackward(x, x, statistics, { eps: -1 }),
  ],
  ["dropout: p is 1.5, must be between 0 and 1", () => ops.dropout(x, 1.5, 1)],
  ["dropout: p is -0.1, must be between 0 and 1", () => ops.dropout(x, -0.1, 1)],
  ["dropout: p is NaN, must be between 0 and 1", () => ops.dropout(x, NaN, 1)],
  ["dropout: seed is NaN, must be an integer of 32 bits", () => ops.dropout(x, 0.5, NaN)],
  [
    "dropout: seed is 1099511627776, must be an integer of 32 bits",
    () => ops.dropout(x, 0.5, 2 ** 40),
  ],
];

for (const [message, call] of invalidCalls) {
  Deno.test(message, () => {
    assertEquals(assertThrows(call, ArgumentError).message, message);
  });
}

Deno.test("a gradient that overlaps an input is rejected", () => {
  const square = fakeTensor([2, 2]), other = fakeTensor([2, 2]);
  const image = fakeTensor([2, 2, 1, 1]), kernel = fakeTensor([2, 2, 1, 1]);
  const line = fakeTensor([2, 2, 1]), pooled = fakeTensor([1, 2, 2, 2]);
  const channel = { mean: fakeTensor([2]), variance: fakeTensor([2]) }, gamma = fakeTensor([2]);
  // the first elements of a larger tensor's memory
  const part = new Tensor(pooled.backend, [2], pooled.storage, Float32Array);
  const calls: (() => unknown)[] = [
    () => ops.conv2dBackwardInput(image, kernel, image.shape, { out: image }),
    () => ops.conv2dBackwardInput(image, kernel, image.shape, { out: kernel }),
    () => ops.conv2dBackwardWeight(image, kernel, image.shape, { into: image }),
    () => ops.conv2dBackwardWeight(image, kernel, image.shape, { into: kernel }),
    () => ops.conv1dBackwardWeight(line, line, line.shape, { into: line }),
    () => ops.biasBackward(pooled, { into: part }),
    () => ops.linearBackwardInput(square, other, { out: square }),
    () => ops.linearBackwardInput(square, other, { out: other }),
    () => ops.linearBackwardWeight(square, other, { into: square }),
    () => ops.linearBackwardWeight(square, other, { into: other }),
    () => ops.avgPool2dBackward(pooled, pooled.shape, { kernelSize: 1, out: pooled }),
    () => ops.adaptiveAvgPoolBackward(pooled, pooled.shape, { out: pooled }),
    () => ops.reluBackward(square, other, { out: other }),
    () => ops.geluBackward(square, other, "none", { out: other }),
    () => ops.preluBackwardInput(square, other, fakeTensor([2]), { out: other }),
    () => ops.softmaxBackward(square, other, 1, { out: other }),
    () => ops.logSoftmaxBackward(square, other, 1, { out: other }),
    () => ops.localResponseNormBackward(line, fakeTensor(line.shape), 1, { out: line }),
    () => ops.batchNormBackward(square, other, channel, { out: other }),
    () => ops.batchNormBackward(pooled, fakeTensor(pooled.shape), channel, { dbias: part }),
    () => ops.batchNormBackward(fakeTensor(pooled.shape), pooled, channel, { dweight: part }),
    () => ops.batchNormBackward(square, other, channel, { dbias: channel.mean }),
    () => ops.batchNormBackward(square, other, channel, { weight: gamma, dweight: gamma }),
  ];
  for (const call of calls) {
    assertThrows(call, ArgumentError, "the memory of an input", String(call));
  }
  const both = { dweight: gamma, dbias: gamma };
  const error = assertThrows(() => ops.batchNormBackward(square, other, channel, both));
  assertEquals(
    error.message,
    "batchNormBackward: dbias is the memory of dweight, must be another tensor",
  );
});

testOnEveryBackend("losses leak no memory when an allocation fails", (backend) => {
  using x = backend.empty([1, 1]);
  // Too large for any memory: the loss is allocated, and the gradient is not.
  const huge = new Tensor(backend, [2, 2 ** 29], x.storage, Float32Array);
  const before = backend.bytesInUse;
  assertThrows(() => ops.crossEntropy(huge, [0, 0]), PembrokeError, "out of memory");
  for (const loss of [ops.mseLoss, ops.bceWithLogits]) {
    assertThrows(() => loss(huge, huge), PembrokeError, "out of memory");
  }
  assertEquals(backend.bytesInUse, before);
});

testOnEveryBackend(
  "uploadIndices() rejects a number of values that does not fit the shape",
  (backend) => {
    for (const values of [[], [1], [1, 2, 3, 4]]) {
      assertThrows(() => backend.uploadIndices(Int32Array.from(values), [3]), ArgumentError);
      assertEquals(backend.bytesInUse, 0);
    }
  },
);
