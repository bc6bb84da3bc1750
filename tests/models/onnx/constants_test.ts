/**
 * Constants that a graph multiplies by and adds: the same in training, and in any size of images.
 */

import { type Backend, createBackend } from "../../../src/backend/mod.ts";
import { FileError } from "../../../src/errors.ts";
import { loadModel, loadWeights } from "../../../src/models/mod.ts";
import { onnxNetwork } from "../../../src/models/onnx/convert.ts";
import { OnnxNetwork } from "../../../src/models/onnx/network.ts";
import { bytesSource } from "../../../src/weights/io/source.ts";
import { OnnxFile } from "../../../src/weights/onnx/reader.ts";
import { openWeights } from "../../../src/weights/open.ts";
import { assert, assertAllClose, assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { assertQuick } from "../../quick.ts";
import {
  field,
  floats,
  integers,
  node,
  onnx,
  type Parts,
  port,
  tensor,
  varint,
} from "../../weights/onnx/helpers.ts";
import { formula, run } from "./models.ts";

/** Loads a model from x to y. */
async function load(backend: Backend, parts: Parts): Promise<OnnxNetwork> {
  const weights = onnx({ outputs: [port("y")], ...parts });
  const network = await loadModel({ backend, weights });
  assert(network instanceof OnnxNetwork);
  return network;
}

const types = (network: OnnxNetwork) => network.nodes.map(({ layer }) => layer.type).join(" ");

Deno.test("constants are the same in training mode, and are not trained", async () => {
  using backend = await createBackend({ threads: 1 });
  using network = await load(backend, {
    inputs: [port("x", "N", 3, 4, 4)],
    nodes: [
      node("Mul", ["x", "two"], ["a"]),
      node("Sub", ["a", "mean"], ["b"]),
      node("Conv", ["b", "w"], ["c"]),
      node("Mul", ["c", "two"], ["d"]),
      node("Relu", ["d"], ["y"]),
    ],
    tensors: [
      floats("two", [], 2),
      floats("mean", [3, 1, 1], 1, 0.5, -1),
      floats("w", [2, 3, 1, 1], 1, -2, 3, 0.5, 1, -1),
    ],
  });
  assertEquals(types(network), "ChannelAffine ChannelAffine Conv2d ChannelAffine ReLU");
  using x = backend.upload(formula([2, 3, 4, 4], 2), [2, 3, 4, 4]);
  using before = network.forward(x);
  const wanted = await before.read();
  using trained = network.train().forward(x);
  assertAllClose(await trained.read(), wanted, { abs: 1e-5 });
  using dx = network.backward(trained);
  assertEquals(dx.shape, x.shape);
  const learned = [...network.stateDict()].filter(([, { requiresGrad }]) => requiresGrad);
  assertEquals(learned.map(([name]) => name), ["Conv.weight"]);
  network.unfreeze().eval();
  using after = network.forward(x);
  assertEquals(await after.read(), wanted);
});

Deno.test("factors and means work with channels last in any size", async () => {
  using backend = await createBackend({ threads: 1 });
  const inputs = [port("x", "N", "H", 8, 3)];
  using scaled = await load(backend, {
    inputs,
    nodes: [
      node("Mul", ["x", "two"], ["a"]),
      node("Sub", ["a", "one"], ["b"]),
      node("Tanh", ["b"], ["y"]),
    ],
    tensors: [floats("two", [], 2), floats("one", [], 1)],
  });
  assertEquals(types(scaled), "Affine Tanh");
  const shape = [1, 16, 8, 3], values = formula(shape, 2);
  using x = backend.upload(values, shape);
  using y = scaled.train().forward(x);
  const expected = Array.from(values, (value) => Math.tanh(2 * value - 1));
  assertAllClose(await y.read(), expected, { abs: 1e-5 });
  using dy = backend.upload(new Float32Array(values.length).fill(1), shape);
  using dx = scaled.backward(dy);
  assertAllClose(await dx.read(), expected.map((y) => 2 * (1 - y * y)), { abs: 1e-5 });

  for (const keepdims of [0, 1]) {
    using means = await load(backend, {
      inputs,
      nodes: [node("ReduceMean", ["x"], ["y"], { axes: [1, 2], keepdims })],
      tensors: [floats("unused", [], 1)],
    });
    using mean = means.forward(x);
    assertEquals(mean.shape, keepdims ? [1, 1, 1, 3] : [1, 3]);
    const sums = [0, 0, 0];
    for (const [i, value] of values.entries()) sums[i % 3] += value / 128;
    assertAllClose(await mean.read(), sums, { abs: 1e-5 });
  }
});

Deno.test("a kernel in the file may be repeated for every channel", async () => {
  const channels = 500, kernel = [1, 2, 3, 4, 5, 6, 7, 8, -9], shape = [1, channels, 3, 3];
  const values = Array.from(formula(shape, 1));
  const sums = Array.from(
    { length: channels },
    (_, c) => kernel.reduce((sum, w, i) => sum + w * values[9 * c + i], 0),
  );
  const conv = (weight: string) => node("Conv", ["x", weight, "bias"], ["y"], { group: channels });
  const tensors = [
    floats("k", [1, 1, 3, 3], ...kernel),
    floats("turned", [3, 3, 1, 1], ...kernel.map((_, i) => 2 * kernel[3 * (i % 3) + i / 3 | 0])),
    ...[floats("half", [], 0.5), floats("one", [1], 1)],
    ...[integers("times", channels, 1, 1, 1), integers("size", channels)],
  ];
  const bias = node("Expand", ["one", "size"], ["bias"]);
  const chains = [
    [node("Tile", ["k", "times"], ["w"])],
    [node("Expand", ["k", "times"], ["w"])],
    [
      node("Transpose", ["turned"], ["t"], { perm: [2, 3, 1, 0] }),
      node("Mul", ["t", "half"], ["u"]),
      node("Expand", ["u", "times"], ["w"]),
    ],
  ];
  for (const chain of chains) {
    const y = await run({ nodes: [...chain, bias, conv("w")], tensors }, values, shape);
    assertEquals(y.shape, [1, channels, 1, 1]);
    assertAllClose(y.values, sums.map((sum) => sum + 1), { abs: 1e-4 });
  }
  // Three numbers instead of one for each input channel: [2, 3, 1, 1] of [2, 1, 1, 1].
  const y = await run(
    {
      nodes: [node("Expand", ["w", "size"], ["v"]), node("Conv", ["x", "v"], ["y"])],
      tensors: [floats("w", [2, 1, 1, 1], 2, -1), integers("size", 3, 1, 1)],
    },
    [1, 10, 100],
    [1, 3, 1, 1],
  );
  assertAllClose(y.values, [222, -111], { abs: 1e-3 });
});

/** A convolution with weight normalisation: w = g · v / ‖v‖, from more numbers than a shape has. */
const normalised = (...values: number[]): Parts => ({
  inputs: [port("x", "N", 3, 3, 3)],
  nodes: [
    node("ReduceL2", ["v"], ["norm"], { axes: [1, 2, 3], keepdims: 1 }),
    node("Div", ["v", "norm"], ["unit"]),
    node("Mul", ["unit", "g"], ["w"]),
    node("Conv", ["x", "w"], ["y"]),
  ],
  tensors: [floats("v", [4, 3, 3, 3], ...values), floats("g", [4, 1, 1, 1], 1, -2, 3, 0.5)],
});

Deno.test("weights are computed from tensors of the file", async () => {
  using backend = await createBackend({ threads: 1 });
  const values = [...formula([4, 27], 2)], x = [...formula([27], 1)];
  using network = await load(backend, normalised(...values));
  assertEquals(types(network), "Conv2d");
  using input = backend.upload(Float32Array.from(x), [1, 3, 3, 3]);
  using output = network.forward(input);
  const expected = [1, -2, 3, 0.5].map((g, row) => {
    const v = values.slice(27 * row, 27 * (row + 1));
    return g * v.reduce((sum, value, i) => sum + value * x[i], 0) / Math.hypot(...v);
  });
  assertAllClose(await output.read(), expected, { abs: 1e-5 });
  // They belong to this file: the tensors of another one would give other numbers.
  const other = onnx({ outputs: [port("y")], ...normalised(...formula([4, 27], 3)) });
  const error = await assertRejects(() => loadWeights(network, backend, other), FileError);
  assertMatch(error.message, /missing Conv\.weight/);
});

Deno.test("a weight may be computed from few numbers", async () => {
  const y = await run(
    {
      nodes: [
        node("ReduceL2", ["v"], ["norm"], { axes: [1], keepdims: 1 }),
        node("Div", ["v", "norm"], ["w"]),
        node("Gemm", ["x", "w"], ["y"], { transB: 1 }),
      ],
      tensors: [floats("v", [2, 2], 3, 4, 5, -12)],
    },
    [5, 10],
    [1, 2],
  );
  assertAllClose(y.values, [11, -95 / 13], { abs: 1e-5 });
});

Deno.test("constants that are small in the file take no unbounded work or memory", async () => {
  using backend = await createBackend({ threads: 1 });
  const ones = (shape: string, to: string) =>
    node("ConstantOfShape", [shape], [to], { value: floats("v", [1], 1) });
  const failing = Array.from({ length: 300 }, (_, i) => `q${i}`);
  const exps = Array.from({ length: 12 }, (_, i) => `e${i}`);
  const hostile: [string, Uint8Array<ArrayBuffer>[], RegExp][] = [
    [
      "Expand",
      [node("Expand", ["a", "large"], ["b"]), node("Exp", ["b"], ["c"])],
      /node c \(Exp\): it computes more than \d+ numbers: fold it with onnxsim first/,
    ],
    [
      "ReduceSum",
      [node("ReduceSum", ["empty", "one"], ["c"])],
      /node c \(ReduceSum\): its input \[300000000, 0\] is too large: damaged/,
    ],
    [
      "Tile",
      [node("Tile", ["none", "below"], ["c"])],
      /node c \(Tile\): its output \[-5\] is not a shape of up to 16 axes/,
    ],
    [ // an index for each of 16 axes: 2 GB
      "NonZero of a large constant",
      [ones("axes", "b"), node("NonZero", ["b"], ["c"])],
      /node c \(NonZero\): it computes more than \d+ numbers/,
    ],
    [
      "NonZero of a small constant",
      [ones("few", "b"), node("NonZero", ["b"], ["c"])],
      /node c \(NonZero\): its output \[16, 262144\] has more than \d+ numbers/,
    ],
    [ // 80 billion rows without elements
      "Concat",
      [
        ones("column", "b"),
        node("Concat", ["b", ...Array(20_000).fill("rows")], ["c"], { axis: 1 }),
      ],
      /node c \(Concat\): it computes more than \d+ numbers/,
    ],
    [ // each fails after it has read 60 000 numbers
      "Gather",
      [
        ones("line", "b"),
        ...failing.map((q) => node("Gather", ["b", "beyond"], [q])),
        node("Sum", failing, ["c"]),
      ],
      /\(Gather\): .* does not hold 0 values; .*\(Gather\): the graph computes too many numbers/,
    ],
    [ // 64 MB each
      "Exp",
      [ones("square", "b"), ...exps.map((e) => node("Exp", ["b"], [e])), node("Sum", exps, ["c"])],
      /nodes e0, e1, e2 and 9 more \(Exp\): it computes more than \d+ numbers/,
    ],
  ];
  const tensors = [
    ...[floats("a", [1], 1), floats("empty", [3e8, 0]), floats("none", [0])],
    ...[integers("large", 2 ** 36), integers("one", 1), integers("below", -5)],
    ...[integers("axes", ...Array(14).fill(1), 4096, 2048), floats("rows", [2 ** 22, 0])],
    ...[integers("few", ...Array(14).fill(1), 512, 512), integers("column", 2 ** 22, 1)],
    ...[integers("square", 4096, 4096), integers("line", 60_000), integers("beyond", -60_001)],
  ];
  for (const [op, nodes, message] of hostile) {
    const sum = [node("ReduceSum", ["c"], ["d"], { keepdims: 0 }), node("Add", ["x", "d"], ["y"])];
    const weights = onnx({
      inputs: [port("x", "N", 3)],
      outputs: [port("y")],
      nodes: [...nodes, ...sum],
      tensors,
    });
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    assertMatch(error.message, message, op);
  }
});

Deno.test("a file may have many indices, which are read for the nodes that take them", async () => {
  const indices = new BigInt64Array(6000).map((_, i) => BigInt(i % 3));
  const all = Array.from({ length: 90 }, (_, i) => `i${i}`);
  const { values } = await run(
    {
      nodes: [
        node("Reshape", ["i0", "shape"], ["square"]), // of more than are folded otherwise
        node("Gather", ["table", "square"], ["rows"]),
        node("ReduceSum", ["rows"], ["sum"], { keepdims: 0 }),
        node("Mul", ["x", "sum"], ["y"]),
      ],
      tensors: [
        ...[integers("shape", 60, 100), floats("table", [3], 1, 2, 4)],
        ...all.map((name) => tensor(name, [6000], 7, field(9, new Uint8Array(indices.buffer)))),
      ],
    },
    [1, 2, 3],
    [1, 3],
  );
  assertEquals(values, [14_000, 28_000, 42_000]);
});

Deno.test("an import makes no parts of a tensor that the graph does not name", async () => {
  const size = 65536, parts = Array.from({ length: 60 }, (_, i) => `p${i}`);
  using file = await openWeights(bytesSource(onnx({
    inputs: [port("x", "N", 3)],
    outputs: [port("y")],
    opset: 18,
    nodes: [
      node("ConstantOfShape", ["shape"], ["ones"], { value: floats("v", [1], 1) }),
      ...parts.map((part) => node("Split", ["ones"], [part], { axis: 0, num_outputs: size })),
      node("Concat", parts, ["all"], { axis: 0 }),
      node("ReduceSum", ["all"], ["sum"], { keepdims: 0 }),
      node("Mul", ["x", "sum"], ["y"]),
    ],
    tensors: [integers("shape", size)],
  })));
  assert(file instanceof OnnxFile);
  await assertQuick(2500, () => onnxNetwork(file)); // all parts took 15 s
});

Deno.test("scales of groups are not repeated for too many channels", async () => {
  using backend = await createBackend({ threads: 1 });
  const weights = onnx({
    inputs: [port("x", "N", 2 ** 23, 1)],
    outputs: [port("y")],
    opset: 18,
    nodes: [node("GroupNormalization", ["x", "scale", "scale"], ["y"], { num_groups: 2 })],
    tensors: [floats("scale", [2], 1, 2)],
  });
  const message = "node y (GroupNormalization): the graph uses its weights too many times";
  await assertQuick(250, async () => {
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    assertEquals(error.message, `weights: ${message}`);
  });
});

Deno.test("layers share a constant that takes no space in the file only within bounds", async () => {
  using backend = await createBackend({ threads: 1 });
  const layers = 4, size = 8192; // 256 MB for each layer
  const weights = onnx({
    inputs: [port("x0", "N", size)],
    outputs: [port(`x${layers}`)],
    nodes: [
      node("ConstantOfShape", ["shape"], ["w"]),
      ...Array.from({ length: layers }, (_, i) => node("Gemm", [`x${i}`, "w"], [`x${i + 1}`])),
    ],
    tensors: [integers("shape", size, size)],
  });
  const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
  assertEquals(
    error.message,
    "weights: node x2 (Gemm): the graph uses its weights too many times",
  );
});

Deno.test("a graph that computes weights can be converted twice", async () => {
  using file = await openWeights(bytesSource(onnx({
    inputs: [port("x", "N", 2)],
    outputs: [port("y")],
    nodes: [node("Exp", ["w"], ["e"]), node("MatMul", ["x", "e"], ["y"])],
    tensors: [floats("w", [2, 2], 0, 0, 0, 0)],
  })));
  assert(file instanceof OnnxFile);
  for (let i = 0; i < 2; i++) await onnxNetwork(file);
});

Deno.test("constants with more axes than the input are refused, even those of one element", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [
    ...[floats("one", [1, 1, 1, 1], 2), floats("mask", [3], 1, 0, 1)],
    floats("zero", [], 0),
  ];
  const before = [
    ...[node("Cast", ["mask"], ["m"], { to: 9 }), node("Greater", ["x", "zero"], ["c"])],
    node("Equal", ["one", "one"], ["always"]),
  ];
  const lists: [op: string, ...inputs: string[]][] = [
    ...[["Where", "m", "one", "x"], ["Where", "m", "x", "one"], ["Where", "c", "one", "x"]],
    ...[["Where", "c", "x", "one"], ["Where", "always", "x", "x"], ["Max", "x", "one"]],
    ...[["Min", "one", "x"], ["Pow", "x", "one"], ["Add", "x", "one"], ["Mul", "one", "x"]],
    ...[["Div", "one", "x"], ["Less", "one", "x"], ["Sum", "x", "one"]],
  ] as [string, ...string[]][];
  const parts = (op: string, inputs: string[]): Parts => ({
    ...{ inputs: [port("x", "N", 2, 3)], outputs: [port("y")], tensors, opset: 15 },
    nodes: [...before, node(op, inputs, ["y"], {}, { name: "n" })],
  });
  for (const [op, ...inputs] of lists) {
    const weights = onnx(parts(op, inputs));
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    const reason = "a constant [1, 1, 1, 1] has more axes than its input [N, 2, 3]: not supported";
    assertEquals(error.message, `weights: node n (${op}): ${reason}`, inputs.join());
  }
  const weights = onnx(parts("PRelu", ["x", "one"]));
  await assertRejects(() => loadModel({ backend, weights }), FileError, "its slope is");
  // the second input of CastLike is only a type
  const { shape } = await run(parts("CastLike", ["x", "one"]), Array(12).fill(1), [2, 2, 3]);
  assertEquals(shape, [2, 2, 3]);
});

Deno.test("classes of pixels become one mask for each class", async () => {
  const classes = tensor("classes", [1, 3, 1, 1], 7, field(7, ...[0, 1, 2].map(varint)));
  const nodes = [
    node("ArgMax", ["x"], ["i"], { axis: 1 }),
    node("Equal", ["i", "classes"], ["e"]),
    node("Cast", ["e"], ["y"], { to: 1 }),
  ];
  const x = [5, 1, 0, 2, 1, 7, 0, 2, 2, 2, 9, 3]; // the classes 0, 1, 2 and 2
  const { values } = await run({ nodes, tensors: [classes] }, x, [1, 3, 2, 2]);
  assertEquals(values.map((value) => value + 0), [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1]);
});
