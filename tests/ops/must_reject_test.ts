/**
 * The calls that must throw according to TensorFlow.js's own tests. Shapes are converted from NHWC
 * and HWIO to NCHW and OIHW. A missing batch axis becomes 1, and a wrong rank stays wrong.
 */

import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError } from "../../src/errors.ts";
import * as ops from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assertAllClose, assertEquals, assertStringIncludes, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { readMustReject, type RejectCase } from "../cases.ts";
import * as reference from "../reference.ts";
import { fakeTensor } from "./fake_tensor.ts";

const cases = readMustReject();

/** Calls that only TensorFlow.js rejects. They are valid here, as in PyTorch. */
const validCases = cases.filter((c) => c.policy?.startsWith("tfjs-only restriction"));

/** Parts of case ids, and the parameter that the error must name. */
const expectedParameters: [string, string][] = [
  ["x-is-not-rank", "the shape of x"],
  ["weights-is-not-rank", "the shape of weight"],
  ["depth-does-not-match", "the shape of weight"],
  ["stride", "stride"],
  ["dilation", "dilation"],
  ["invalid-input", "the shape of x"],
  ["invalid-radius", "size"],
];

/** Converts NWC to NCW, NHWC to NCHW and HWC to 1CHW. */
function activation(shape: Shape, op: string): Shape {
  if (op === "conv1d" && shape.length === 3) return [shape[0], shape[2], shape[1]];
  if (op === "conv1d" || op.startsWith("maxPool")) return shape;
  const [n, h, w, c] = shape.length === 3 ? [1, ...shape] : shape;
  return shape.length < 3 ? shape : [n, c, h, w];
}

/** Converts WIO to OIW and HWIO to OIHW. */
function weight(shape: Shape, op: string): Shape {
  const rank = op === "conv1d" ? 3 : 4;
  return shape.length === rank ? [shape[rank - 1], shape[rank - 2], ...shape.slice(0, -2)] : shape;
}

/** Converts padding: a number, a name, or a list of [before, after]. */
function padding(pad: unknown): number | "same" {
  return Array.isArray(pad) ? 0 : pad as number | "same";
}

function call({ op, attrs, inputs }: RejectCase): unknown {
  const nchw = attrs.dataFormat === "NCHW";
  const x = fakeTensor(nchw ? [1, ...inputs.x.shape] : activation(inputs.x.shape, op));
  const w = inputs.w && fakeTensor(weight(inputs.w.shape, op));
  const options = {
    stride: attrs.stride as number,
    dilation: attrs.dilation as number | undefined,
    padding: padding(attrs.pad),
  };
  switch (op) {
    case "conv1d":
      return ops.conv1d(x, w, null, options);
    case "conv2d":
      return ops.conv2d(x, w, null, options);
    case "maxPool":
      return ops.maxPool2d(x, { kernelSize: attrs.kernel as number, stride: 1 });
    case "maxPoolWithArgmax":
      return ops.maxPool2dWithIndices(x, { kernelSize: attrs.kernel as number, stride: 1 });
    case "localResponseNormalization":
      return ops.localResponseNorm(x, 2 * (attrs.depthRadius as number) + 1);
  }
  throw new Error(`unknown operation ${op}`);
}

for (const c of cases.filter((c) => !validCases.includes(c))) {
  Deno.test(`${c.op} rejects ${c.id} before it computes anything`, () => {
    const error = assertThrows(() => call(c), ArgumentError);
    const [, parameter] = expectedParameters.find(([part]) => c.id.includes(part))!;
    assertEquals(error.parameter, parameter, error.message);
    assertEquals(error.message.split("\n").length, 1);
  });
}

Deno.test("must_reject.json has 17 invalid calls and 2 that only TensorFlow.js rejects", () => {
  assertEquals(cases.length, 19);
  assertEquals(validCases.map((c) => c.op), ["softmax", "depthwiseConv2d"]);
});

testOnEveryBackend(
  "softmax() supports axis 0, which TensorFlow.js rejects",
  async (backend) => {
    const x = { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 0, -6) };
    using tx = backend.upload(x.data, x.shape);
    using y = ops.softmax(tx, 0);
    assertAllClose(await y.read(), reference.softmax(x, 0).data, { abs: 1e-6 });
  },
);

testOnEveryBackend(
  "conv2d() supports depthwise convolution with dilation, which TensorFlow.js rejects",
  async (backend) => {
    // x NHWC [2, 2, 2, 3] and w HWIO [2, 2, 3, 2] are [2, 3, 2, 2] and [6, 1, 2, 2] in 3 groups
    const wave = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1));
    const x = { shape: [2, 3, 2, 2], data: wave(24) }, w = { shape: [6, 1, 2, 2], data: wave(24) };
    using tx = backend.upload(x.data, x.shape), tw = backend.upload(w.data, w.shape);
    using y = ops.conv2d(tx, tw, null, { padding: "same", dilation: 2, groups: 3 });
    const expected = reference.conv2d(x, w, null, {
      padding: [1, 1, 1, 1],
      dilation: [2, 2],
      groups: 3,
    });
    assertEquals(y.shape, [2, 6, 2, 2]);
    assertAllClose(await y.read(), expected.data, { abs: 1e-6 });
  },
);

Deno.test("an output of width 0, which crashes TensorFlow.js's Wasm, is rejected", () => {
  const x = fakeTensor([1, 1, 4, 2]), w = fakeTensor([1, 1, 3, 3]);
  const conv = assertThrows(() => ops.conv2d(x, w, null), ArgumentError);
  assertStringIncludes(conv.message, "conv2d: the padded input is ");
  const pool = { kernelSize: 3, stride: 1 };
  for (const op of [ops.maxPool2d, ops.maxPool2dWithIndices, ops.avgPool2d]) {
    assertThrows(
      () => op(x, pool),
      ArgumentError,
      "the padded width of x is 2, must be at least 3",
    );
  }
  using backend = new WasmBackend();
  assertThrows(() => backend.upload([], [1, 1, 4, 0]), ArgumentError, "shape is [1, 1, 4, 0]");
});
