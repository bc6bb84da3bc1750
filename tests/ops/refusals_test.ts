/**
 * The error messages of operations for invalid arguments. The tensors have no memory: a call that
 * reaches a kernel or allocates fails with another error.
 */

import { ArgumentError } from "../../src/errors.ts";
import * as ops from "../../src/ops/mod.ts";
import { Tensor } from "../../src/tensor.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";
import { fakeBackend, fakeTensor } from "./fake_tensor.ts";

const x = fakeTensor([2, 4, 6, 5]), w = fakeTensor([8, 4, 3, 3]), bias = fakeTensor([8]);
const row = fakeTensor([2, 4, 9]), rowW = fakeTensor([8, 4, 3]);
const foreign = fakeTensor([8, 4, 3, 3], fakeBackend());
const prepared = new ops.PreparedConv([8, 2, 3, 3], fakeTensor([999]), { groups: 2 });
const vector = fakeTensor([4]), matrix = fakeTensor([3, 5]);

/** Passes a value of a wrong type, as plain JavaScript can. */
// deno-lint-ignore no-explicit-any
const any = (value: unknown) => value as any;

/** Error messages, and the calls that throw them. */
const invalidCalls: [string, () => unknown][] = [
  // shapes
  [
    "conv2d: the shape of x is [2, 4, 9], must be [N, C, H, W], each at least 1",
    () => ops.conv2d(row, w, null),
  ],
  [
    "conv2d: the shape of weight is [8, 4, 3], must be [outC, C/groups, kH, kW], each at least 1",
    () => ops.conv2d(x, rowW, null),
  ],
  [
    "conv2d: the shape of weight is [8, 4, 3, 3], must be [outC, 2, kH, kW] for x [2, 4, 6, 5] in 2 group(s)",
    () => ops.conv2d(x, w, null, { groups: 2 }),
  ],
  ["conv2d: the shape of bias is [4], must be [8]", () => ops.conv2d(x, w, vector)],
  [
    "conv2d: the shape of out is [2, 4, 6, 5], must be [2, 8, 4, 3]",
    () => ops.conv2d(x, w, bias, { out: x }),
  ],
  [
    "conv2d: the padded input is 6×5, must be at least 7×7, the extent of the kernel",
    () => ops.conv2d(x, w, bias, { dilation: 3 }),
  ],
  [
    "conv1d: the shape of x is [2, 4, 6, 5], must be [N, C, L], each at least 1",
    () => ops.conv1d(x, rowW, null),
  ],
  [
    "conv1d: the shape of weight is [8, 4, 3, 3], must be [outC, C/groups, K], each at least 1",
    () => ops.conv1d(row, w, null),
  ],
  ["conv1d: the shape of bias is [4], must be [8]", () => ops.conv1d(row, rowW, vector)],
  [
    "linear: the shape of weight is [4], must be [out, in], each at least 1",
    () => ops.linear(matrix, vector, null),
  ],
  [
    "linear: the shape of x is [4], must be […, 5] to match weight",
    () => ops.linear(vector, matrix, null),
  ],
  [
    "linear: the shape of bias is [4], must be [3]",
    () => ops.linear(fakeTensor([2, 5]), matrix, vector),
  ],
  [
    "maxPool2d: the shape of x is [2, 4, 9], must be [N, C, H, W], each at least 1",
    () => ops.maxPool2d(row, { kernelSize: 2 }),
  ],
  [
    "avgPool1d: the shape of x is [2, 4, 6, 5], must be [N, C, L], each at least 1",
    () => ops.avgPool1d(x, { kernelSize: 2 }),
  ],
  [
    "adaptiveAvgPool2d: the shape of x is [2, 4, 9], must be [N, C, H, W], each at least 1",
    () => ops.adaptiveAvgPool2d(row, 2),
  ],
  [
    "localResponseNorm: the shape of x is [3, 5], must be [N, C, …] with at least three axes",
    () => ops.localResponseNorm(matrix, 3),
  ],
  [
    "batchNorm: the shape of x is [4], must be [N, C, …]",
    () => ops.batchNorm(vector, { runningMean: vector, runningVar: vector }),
  ],
  [
    "batchNorm: the shape of runningVar is [8], must be [4]",
    () => ops.batchNorm(x, { runningMean: vector, runningVar: bias }),
  ],
  [
    "batchNorm: the shape of weight is [8], must be [4]",
    () => ops.batchNorm(x, { runningMean: vector, runningVar: vector, weight: bias }),
  ],

  // groups
  [
    "conv2d: groups is 3, must be a divisor of the 4 input channels",
    () => ops.conv2d(x, fakeTensor([9, 1, 3, 3]), null, { groups: 3 }),
  ],
  [
    "conv2d: groups is 2, must be a divisor of the 7 output channels",
    () => ops.conv2d(x, fakeTensor([7, 2, 3, 3]), null, { groups: 2 }),
  ],
  [
    "conv2d: groups is 4, must be 2, as in prepareConv()",
    () => ops.conv2d(fakeTensor([2, 8, 6, 5]), prepared, null, { groups: 4 }),
  ],
  [
    "prepareConv: groups is 3, must be a divisor of the 8 output channels",
    () => ops.prepareConv(w, { groups: 3 }),
  ],

  // numbers and names
  [
    'conv2d: padding is [0, -1], must be non-negative integers: [height, width], [top, left, bottom, right], "same" or "valid"',
    () => ops.conv2d(x, w, null, { padding: [0, -1] }),
  ],
  [
    'conv2d: stride is [2, 1], must be 1 with padding "same"',
    () => ops.conv2d(x, w, null, { padding: "same", stride: [2, 1] }),
  ],
  [
    'conv2d: activation is "gelu", must be "relu", "relu6", "hardswish" or "silu"',
    () => ops.conv2d(x, w, null, { activation: any("gelu") }),
  ],
  [
    'linear: activation is "gelu", must be "relu", "relu6", "hardswish" or "silu"',
    () => ops.linear(fakeTensor([2, 5]), matrix, null, { activation: any("gelu") }),
  ],
  [
    "maxPool2d: padding is [2, 2], must be such that every window overlaps the input (window 0 along the height does not)",
    () => ops.maxPool2d(x, { kernelSize: 2, padding: 2 }),
  ],
  [
    "maxPool1d: padding is [0, 3], must be such that every window overlaps the input (window 5 along the width does not)",
    () => ops.maxPool1d(row, { kernelSize: 2, stride: 2, padding: [0, 3] }),
  ],
  [
    "avgPool2d: the padded width of x is 5, must be at least 6, the extent of the window",
    () => ops.avgPool2d(x, { kernelSize: 6 }),
  ],
  ["softmax: dim is 4, must be an axis of x [2, 4, 6, 5]", () => ops.softmax(x, 4)],
  [
    "leakyRelu: negativeSlope is Infinity, must be a finite number",
    () => ops.leakyRelu(x, Infinity),
  ],
  ["hardtanh: minVal is NaN, must be a number", () => ops.hardtanh(x, NaN)],
  [
    "hardtanh: maxVal is -2, must be a number of at least minVal, -1",
    () => ops.hardtanh(x, -1, -2),
  ],
  ["hardsigmoid: beta is NaN, must be a finite number", () => ops.hardsigmoid(x, 1, NaN)],
  ['gelu: approximate is "erf", must be "none" or "tanh"', () => ops.gelu(x, any("erf"))],
  ["softplus: beta is 0, must be a number other than 0", () => ops.softplus(x, 0)],
  ["softplus: threshold is NaN, must be a finite number", () => ops.softplus(x, 1, NaN)],
  ["elu: alpha is -1, must be a non-negative number", () => ops.elu(x, -1)],
  [
    "matmul: the shape of b is [3, 5], must be [5, 5] for a [3, 5]",
    () => ops.matmul(matrix, matrix),
  ],
  [
    "matmul: the shape of b is [3, 5], must be [2, 4, 5, 5] for a [2, 4, 6, 5]",
    () => ops.matmul(x, matrix),
  ],
  [
    "matmul: the shape of a is [4], must be at least 2 positive integers",
    () => ops.matmul(fakeTensor([4]), matrix),
  ],
  [
    "matmul: transposeB is 1, must be true or false",
    () => ops.matmul(matrix, matrix, { transposeB: 1 as unknown as boolean }),
  ],
  ["prelu: the shape of weight is [8], must be [4] or [1]", () => ops.prelu(x, bias)],
  ["prelu: the shape of weight is [3, 5], must be [1]", () => ops.prelu(vector, matrix)],
  ["localResponseNorm: size is 4, must be odd", () => ops.localResponseNorm(x, 4)],
  [
    "localResponseNorm: beta is NaN, must be a finite number",
    () => ops.localResponseNorm(x, 5, { beta: NaN }),
  ],
  [
    "batchNorm: eps is -1, must be a non-negative number",
    () => ops.batchNorm(x, { runningMean: vector, runningVar: vector }, { eps: -1 }),
  ],

  // tensors
  [
    "conv2d: weight is on another backend, fake, must be on that of the other tensors",
    () => ops.conv2d(x, foreign, null),
  ],
  [
    "relu: out is on another backend, fake, must be on that of the other tensors",
    () => ops.relu(fakeTensor([8, 4, 3, 3]), { out: foreign }),
  ],
  ["conv2d: weight is null, must be a Tensor", () => ops.conv2d(x, any(null), null)],
  ["conv1d: x is undefined, must be a Tensor", () => ops.conv1d(any(undefined), rowW, null)],
  ["maxPool2d: x is 5, must be a Tensor", () => ops.maxPool2d(any(5), { kernelSize: 1 })],
];
for (const [message, call] of invalidCalls) {
  Deno.test(`${message.slice(0, message.indexOf(", must be"))}: rejected`, () => {
    assertEquals(assertThrows(call, ArgumentError).message, message);
  });
}

/** Values that are not positive integers. */
const notPositive = [
  0,
  -1,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  1e300,
  "2",
  null,
  [],
  [1, 2, 3],
  {},
];
/** Values that are not padding. */
const notPadding = [-1, 0.5, NaN, Infinity, 2 ** 31, 1e300, "full", {}, [], [1, 2, 3], [0, -1]];

/** Integer parameters: operation, parameter, invalid values and a call. */
const integers: [string, string, readonly unknown[], (value: unknown) => unknown][] = [
  ["conv2d", "padding", notPadding, (v) => ops.conv2d(x, w, bias, { padding: any(v) })],
  ["conv1d", "padding", notPadding, (v) => ops.conv1d(row, rowW, bias, { padding: any(v) })],
  ...(["stride", "dilation", "groups"] as const).flatMap((name) =>
    [
      ["conv2d", name, notPositive, (v) => ops.conv2d(x, w, bias, { [name]: v })],
      ["conv1d", name, notPositive, (v) => ops.conv1d(row, rowW, bias, { [name]: v })],
    ] as [string, string, unknown[], (value: unknown) => unknown][]
  ),
  ...[ops.maxPool2d, ops.maxPool2dWithIndices, ops.avgPool2d].flatMap((op) =>
    poolParameters(op, x)
  ),
  ...[ops.maxPool1d, ops.maxPool1dWithIndices, ops.avgPool1d].flatMap((op) =>
    poolParameters(op, row)
  ),
  [
    "avgPool2d",
    "divisorOverride",
    notPositive.slice(0, 8),
    (v) => ops.avgPool2d(x, { kernelSize: 2, divisorOverride: any(v) }),
  ],
  ["adaptiveAvgPool2d", "outputSize", notPositive, (v) => ops.adaptiveAvgPool2d(x, any(v))],
  ["adaptiveAvgPool1d", "outputSize", notPositive, (v) => ops.adaptiveAvgPool1d(row, any(v))],
  ["prepareConv", "groups", notPositive, (v) => ops.prepareConv(w, { groups: any(v) })],
  ["localResponseNorm", "size", notPositive, (v) => ops.localResponseNorm(x, any(v))],
  ["softmax", "dim", [4, -5, 0.5, NaN, "0", null], (v) => ops.softmax(x, any(v))],
  ["logSoftmax", "dim", [4, -5, 0.5, NaN, "0", null], (v) => ops.logSoftmax(x, any(v))],
];

function poolParameters(
  op:
    | typeof ops.maxPool2d
    | typeof ops.maxPool2dWithIndices
    | typeof ops.avgPool2d
    | typeof ops.maxPool1d
    | typeof ops.maxPool1dWithIndices
    | typeof ops.avgPool1d,
  input: Tensor,
): [string, string, readonly unknown[], (value: unknown) => unknown][] {
  const call = (options: Record<string, unknown>) =>
    (op as typeof ops.maxPool2d)(input, any(options));
  return [
    [op.name, "kernelSize", [...notPositive, undefined], (v) => call({ kernelSize: v })],
    [op.name, "stride", notPositive, (v) => call({ kernelSize: 2, stride: v })],
    [op.name, "dilation", notPositive, (v) => call({ kernelSize: 2, dilation: v })],
    [op.name, "padding", notPadding, (v) => call({ kernelSize: 2, padding: v })],
  ];
}

for (const [op, parameter, values, call] of integers) {
  Deno.test(`${op}() rejects invalid values of ${parameter} with one line`, () => {
    for (const value of values) {
      // null stands for a missing option
      if (value === null && !["dim", "outputSize", "size", "kernelSize"].includes(parameter)) {
        continue;
      }
      const error = assertThrows(() => call(value), ArgumentError, "", `${parameter} ${value}`);
      assertEquals([error.op, error.parameter], [op, parameter], error.message);
      assert(Object.is(error.value, value), `${error.message}, but the value was ${value}`);
      assert(error.message.startsWith(`${op}: ${parameter} is `), error.message);
      assertEquals(error.message.split("\n").length, 1);
    }
  });
}

Deno.test("sizes whose sums overflow 32 bits are rejected", () => {
  const tiny = fakeTensor([1, 1, 3, 3]), line = fakeTensor([1, 1, 3]);
  const huge = 2 ** 31 - 1;
  const calls: (() => unknown)[] = [
    () => ops.conv2d(tiny, tiny, null, { padding: [2 ** 30, 0, 2 ** 30, 0], stride: 2 ** 29 }),
    () => ops.conv2d(tiny, tiny, null, { padding: "same", dilation: huge }),
    () => ops.conv2d(tiny, tiny, null, { padding: "same", dilation: 2 ** 29 + 1 }),
    () => ops.conv2d(tiny, tiny, null, { stride: huge }),
    () => ops.maxPool1d(line, { kernelSize: 1, dilation: huge }),
    () => ops.maxPool1d(line, { kernelSize: 2, dilation: huge, padding: [huge, 0], stride: 1 }),
    () => ops.avgPool1d(line, { kernelSize: 3, dilation: huge, padding: 2 ** 32 - 2 }),
  ];
  for (const call of calls) assertThrows(call, ArgumentError, " is ", String(call));
});

Deno.test("an output that overlaps an input is rejected", () => {
  const square = fakeTensor([2, 2]), plane = fakeTensor([1, 1, 1, 1]), statistics = fakeTensor([1]);
  const other = fakeTensor([2, 2]), otherPlane = fakeTensor([1, 1, 1, 1]);
  const calls: (() => unknown)[] = [
    () => ops.linear(square, other, null, { out: square }),
    () => ops.linear(square, other, null, { out: other }),
    () => ops.conv2d(plane, otherPlane, null, { out: plane }),
    () => ops.conv2d(plane, otherPlane, null, { out: otherPlane }),
    () => ops.conv2d(plane, otherPlane, statistics, { out: statistics.view([1, 1, 1, 1]) }),
    () =>
      ops.conv1d(plane.view([1, 1, 1]), statistics.view([1, 1, 1]), null, {
        out: plane.view([1, 1, 1]),
      }),
    () => ops.maxPool2d(plane, { kernelSize: 1, out: plane }),
    () => ops.avgPool2d(plane, { kernelSize: 1, out: plane.view([1, 1, 1, 1]) }),
    () => ops.adaptiveAvgPool2d(plane, 1, { out: plane }),
    () => ops.localResponseNorm(plane, 1, { out: plane }),
    () =>
      ops.batchNorm(plane, { runningMean: statistics, runningVar: statistics }, {
        out: statistics.view([1, 1, 1, 1]),
      }),
  ];
  for (const call of calls) {
    const error = assertThrows(call, ArgumentError, "must be another tensor", String(call));
    assertEquals(error.parameter, "out");
  }
});

Deno.test("messages name the class of an argument, and say when to await it", () => {
  const values: [unknown, string][] = [
    [vector, "[object Tensor]"],
    [{ shape: [4] }, "[object Object]"],
    [new Float32Array(4), "[object Float32Array]"],
    [() => vector, "a function"],
    [assert, "the function assert"],
  ];
  for (const [value, text] of values) {
    const message = `conv2d: stride is ${text}, must be `;
    assertThrows(() => ops.conv2d(x, w, null, { stride: any(value) }), ArgumentError, message);
  }
  const later = any(Promise.resolve(1));
  assertThrows(() => ops.conv2d(x, w, null, { stride: later }), ArgumentError, "; await it first");
});

Deno.test("a tensor is printed as its shape and its backend", () => {
  assertEquals(Deno.inspect(x), "Tensor [2, 4, 6, 5] on fake");
});

Deno.test("errors keep the value that was passed, and describe it in words", () => {
  const x = fakeTensor([2, 2]), foreign = fakeTensor([2, 2], fakeBackend());
  const integers = new Tensor(x.backend, [2, 2], x.storage, Int32Array) as unknown as typeof x;
  const cases: [() => unknown, unknown, string][] = [
    [() => ops.add(x, foreign), foreign, "on another backend, fake"],
    [() => ops.add(x, integers), integers, "a tensor of Int32Array"],
    [() => ops.linear(x, fakeTensor([2, 2]), null, { out: x }), x, "the memory of an input"],
    [() => ops.add(x, fakeTensor([3]), {}), [3], "[3]"],
    [() => ops.relu("on fake" as unknown as Tensor), "on fake", '"on fake"'],
  ];
  for (const [call, value, found] of cases) {
    const error = assertThrows(call, ArgumentError, ` is ${found}, must be `);
    assertEquals(error.found, found);
    assert(error.value === value || Array.isArray(value), found);
  }
});
