/** Graphs for open sizes of images adapt to them, or refuse other sizes. */

import { type Backend, createBackend } from "../../../src/backend/mod.ts";
import { ArgumentError, FileError } from "../../../src/errors.ts";
import { imagenetPreprocessing } from "../../../src/image/mod.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { coordinates, Resize } from "../../../src/models/onnx/resize_layer.ts";
import { interpolate, maxPool2d } from "../../../src/ops/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";
import {
  floats,
  halves,
  integers,
  node,
  onnx,
  type Parts,
  port,
} from "../../weights/onnx/helpers.ts";
import { formula } from "./models.ts";

const tensors = [
  ...[integers("zero", 0), integers("one", 1), integers("two", 2), integers("last", -1)],
  ...[integers("eight", 8), integers("end", 2 ** 40), integers("start", -(2 ** 40))],
  ...[integers("sizes", 8, 8), integers("both", 2, 3)],
  ...[integers("three", 3), integers("features", -1, 192), floats("eps", [], 1e-3)],
  ...[halves("w", 2, 3, 3, 3), halves("up", 3, 3, 2, 2)],
];

/** The size of an axis of x, as `to`. */
const sizeOf = (axis: "one" | "two" | "three", to: string, from = "x") => [
  node("Shape", [from], [`${to} shape`]),
  node("Gather", [`${to} shape`, axis], [to], { axis: 0 }),
];

const relu = node("Relu", ["a"], ["y"]);

/** Runs a model with the sizes 8×8 by default for a larger image. Returns the output's shape. */
async function shapeFor(
  backend: Backend,
  nodes: Parts["nodes"] & object,
  shape: readonly number[] = [1, 3, 16, 8],
  opset = 13,
): Promise<readonly number[]> {
  const isLast = shape[3] === 3;
  const x = isLast ? port("x", "N", "H", 8, 3) : port("x", "N", 3, "H", 8);
  const model = { nodes, tensors, inputs: [x], outputs: [port("y")], opset };
  using network = await loadModel({ backend, weights: onnx(model) });
  using small = backend.upload(formula(network.inputShape(), 2), network.inputShape());
  network.forward(small).dispose();
  using input = backend.upload(formula(shape, 2), shape);
  using output = network.forward(input);
  return output.shape;
}

Deno.test("what is computed from the size of images binds a graph to it", async () => {
  using backend = await createBackend({ threads: 1 });
  const bound = async (nodes: Parts["nodes"] & object, shape = [1, 3, 16, 8], opset = 13) => {
    let error: unknown;
    await shapeFor(backend, nodes, shape, opset).catch((cause) => error = cause);
    assert(error instanceof ArgumentError, `${error}`);
    assert(error.message.startsWith("OnnxNetwork: the shape of x is [1, "), error.message);
  };
  const half = (axis: "one" | "two") => [
    ...sizeOf(axis, "h"),
    node("Div", ["h", "two"], ["half"]),
    node("Slice", ["x", "zero", "half", axis], ["a"]),
    relu,
  ];
  await bound(half("two"));
  await bound(half("one"), [1, 16, 8, 3]);
  // pads of 0 at 8×8, and pads that the convolution takes
  const pads = (name: string, ...before: Parts["nodes"] & object) => [
    ...before,
    node("Concat", ["zero", "zero", "zero", "zero", "zero", "zero", name, "zero"], ["pads"], {
      axis: 0,
    }),
    node("Pad", ["x", "pads"], ["a"]),
  ];
  await bound([...pads("h", ...sizeOf("two", "h")), node("Conv", ["a", "w"], ["y"])]);
  for (const by of ["eight", "three"]) {
    await bound([...pads("r", ...sizeOf("two", "h"), node("Mod", ["h", by], ["r"])), relu]);
  }
  const resize = [
    ...[...sizeOf("two", "h"), node("Sub", ["h", "one"], ["less"])],
    node("Concat", ["less", "eight"], ["to"], { axis: 0 }),
    ...[node("Resize", ["x", "", "", "to"], ["a"], { axes: [2, 3] }), relu],
  ];
  await bound(resize, [1, 3, 16, 8], 18);
  // a number of features, as LeNet has
  await bound([node("Reshape", ["x", "features"], ["a"]), relu]);
  // parts
  await bound([node("Split", ["x"], ["a", "b"], { axis: 2 }), relu]);
  await bound([node("Slice", ["x", "zero", "eight", "two"], ["a"]), relu]);
  await bound([node("Slice", ["x", "last", "start", "two", "last"], ["a"]), relu]);
  // repeated values, unless a layer repeats them itself
  const mean = [node("GlobalAveragePool", ["x"], ["p"]), node("Shape", ["x"], ["s"])];
  await bound([...mean, node("Expand", ["p", "s"], ["a"]), relu]);
  // a factor, and a limit
  const factor = [...sizeOf("two", "n"), node("Cast", ["n"], ["s"], { to: 1 })];
  await bound([...factor, node("Mul", ["x", "s"], ["y"])]);
  await bound([...factor, node("Min", ["x", "s"], ["y"])]);
  await bound([node("ReduceSum", ["x", "both"], ["y"])]);
});

Deno.test("a graph that pads squares by 0 takes nothing but squares", async () => {
  using backend = await createBackend({ threads: 1 });
  const nodes = [
    ...[...sizeOf("two", "h"), ...sizeOf("three", "v"), node("Sub", ["v", "h"], ["d"])],
    node("Concat", ["zero", "zero", "zero", "zero", "zero", "zero", "d", "zero"], ["pads"], {
      axis: 0,
    }),
    ...[node("Pad", ["x", "pads"], ["a"]), relu],
  ];
  const inputs = [port("x", "N", 3, "H", "W")], outputs = [port("y")];
  const weights = onnx({ nodes, tensors, inputs, outputs });
  using network = await loadModel({ backend, weights });
  using x = backend.upload(formula([1, 3, 8, 16], 2), [1, 3, 8, 16]);
  assertThrows(
    () => network.forward(x),
    ArgumentError,
    "must be [N, 3, 224, 224]; for others, load it with another preprocessing.crop",
  );
  const preprocessing = { ...imagenetPreprocessing, crop: 8 };
  using smaller = await loadModel({ backend, weights, preprocessing });
  using square = backend.upload(formula([1, 3, 8, 8], 2), [1, 3, 8, 8]);
  using y = smaller.forward(square);
  assertEquals(y.shape, [1, 3, 8, 8]);
});

Deno.test("what is too large for the size of images can be loaded for smaller ones", async () => {
  using backend = await createBackend({ threads: 1 });
  const weights = onnx({
    inputs: [port("x", "N", 3, "H", "W")],
    outputs: [port("y")],
    nodes: [
      ...[
        node("Reshape", ["x", "rows"], ["a"]),
        node("Transpose", ["a"], ["b"], { perm: [0, 2, 1] }),
      ],
      ...[node("MatMul", ["b", "a"], ["c"], {}, { name: "n" }), node("Softmax", ["c"], ["y"])],
    ],
    tensors: [integers("rows", 0, 3, -1)],
  });
  const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
  assertEquals(
    error.message,
    "weights: node n (MatMul): its output [N, 50176, 50176] is too large for inputs of this size: " +
      "load it with a smaller preprocessing.crop (default 224, for signals 4096)",
  );
  const preprocessing = { ...imagenetPreprocessing, crop: 8 };
  using network = await loadModel({ backend, weights, preprocessing });
  using x = backend.upload(new Float32Array(192), [1, 3, 8, 8]);
  using y = network.forward(x);
  assertEquals(y.shape, [1, 64, 64]);
});

Deno.test("what adapts to the size of images takes any", async () => {
  using backend = await createBackend({ threads: 1 });
  const check = async (
    nodes: Parts["nodes"] & object,
    wanted: readonly number[],
    shape?: readonly number[],
    opset?: number,
  ) => assertEquals(await shapeFor(backend, nodes, shape, opset), wanted);
  await check([node("Gather", ["x", "last"], ["a"], { axis: 2 }), relu], [1, 3, 1, 8]);
  await check([node("Slice", ["x", "one", "end", "two"], ["a"]), relu], [1, 3, 15, 8]);
  await check([node("Slice", ["x", "zero", "end", "zero"], ["a"]), relu], [1, 3, 16, 8]);
  for (const sizes of ["sizes", "both"]) { // in the file: those of the images at first, or others
    const resize = node("Resize", ["x", "", "", sizes], ["a"], { axes: [2, 3] });
    const plane = sizes === "both" ? [2, 3] : [8, 8];
    await check([resize, relu], [1, 3, ...plane], undefined, 18);
  }
  // a U-Net pads by the difference of two sizes
  await check([
    node("MaxPool", ["x"], ["p"], { kernel_shape: [2, 2], strides: [2, 2] }),
    node("ConvTranspose", ["p", "up"], ["u"], { strides: [2, 2] }),
    ...sizeOf("two", "h"),
    ...sizeOf("two", "g", "u"),
    node("Sub", ["h", "g"], ["d"]),
    node("Div", ["d", "two"], ["before"]),
    node("Concat", ["zero", "zero", "before", "zero", "zero", "zero", "d", "zero"], ["pads"], {
      axis: 0,
    }),
    node("Pad", ["u", "pads"], ["padded"]),
    node("Concat", ["x", "padded"], ["y"], { axis: 1 }),
  ], [1, 6, 16, 8]);
  // blocks of pixels, as networks for super-resolution have
  await check([
    node("SpaceToDepth", ["x"], ["a"], { blocksize: 2 }),
    node("DepthToSpace", ["a"], ["y"], { blocksize: 2, mode: "CRD" }),
  ], [1, 3, 16, 8]);
  // a channel shuffle, and the gate of a squeeze-and-excitation
  await check([
    node("GlobalAveragePool", ["x"], ["p"]),
    ...sizeOf("one", "c"),
    node("Concat", ["last", "c", "one", "one"], ["gate"], { axis: 0 }),
    node("Reshape", ["p", "gate"], ["g"]),
    node("Mul", ["x", "g"], ["y"]),
  ], [1, 3, 16, 8]);
  await check([
    ...[node("GlobalAveragePool", ["x"], ["p"]), node("Shape", ["x"], ["s"])],
    ...[node("Expand", ["p", "s"], ["e"]), node("Add", ["e", "x"], ["y"])],
  ], [1, 3, 16, 8]);
  // a grey image in three channels
  await check([
    ...[node("ReduceMean", ["x", "one"], ["g"], { keepdims: 1 }), node("Shape", ["x"], ["s"])],
    ...[node("Expand", ["g", "s"], ["a"]), relu],
  ], [1, 3, 16, 8]);
  // instance normalisation by its parts
  await check([
    ...[node("ReduceMean", ["x"], ["m"], { axes: [2, 3] }), node("Sub", ["x", "m"], ["d"])],
    ...[node("Mul", ["d", "d"], ["q"]), node("ReduceMean", ["q"], ["v"], { axes: [2, 3] })],
    ...[node("Add", ["v", "eps"], ["e"]), node("Sqrt", ["e"], ["r"])],
    node("Div", ["d", "r"], ["y"]),
  ], [1, 3, 16, 8]);
  const pixels = [node("Shape", ["x"], ["s"]), node("Reshape", ["x", "s"], ["a"]), relu];
  await check(pixels, [1, 3, 16, 8]);
});

Deno.test("a value is resized to the planes of another one, in images of any size", async () => {
  using backend = await createBackend({ threads: 1 });
  const linear = { mode: "linear", coordinate_transformation_mode: "pytorch_half_pixel" };
  const nodes = [
    ...[node("MaxPool", ["x"], ["m"], { kernel_shape: [2, 2], strides: [2, 2] })],
    ...[node("Shape", ["x"], ["s"]), node("Slice", ["s", "two", "end", "zero"], ["plane"])],
    ...[node("Shape", ["m"], ["t"]), node("Slice", ["t", "zero", "two", "zero"], ["lead"])],
    node("Concat", ["lead", "plane"], ["to"], { axis: 0 }),
    node("Resize", ["m", "", "", "to"], ["y"], linear),
  ];
  assertEquals(await shapeFor(backend, nodes, [2, 3, 13, 8]), [2, 3, 13, 8]);
  const model = { nodes, tensors, inputs: [port("x", "N", 3, "H", "W")], outputs: [port("y")] };
  using network = await loadModel({ backend, weights: onnx(model) });
  for (const shape of [[1, 3, 9, 6], [2, 3, 4, 12]]) {
    using x = backend.upload(formula(shape, 2), shape);
    using y = network.forward(x);
    using pooled = maxPool2d(x, { kernelSize: 2 });
    using expected = interpolate(pooled, { size: shape.slice(2), mode: "bilinear" });
    assertAllClose(await y.read(), await expected.read(), { abs: 1e-5 });
  }
  // the size is that of x, minus one: that is no plane of a value
  const smaller = nodes.with(2, node("Slice", ["less", "two", "end", "zero"], ["plane"]))
    .toSpliced(2, 0, node("Sub", ["s", "one"], ["less"]));
  const error = await shapeFor(backend, smaller).catch((error) => error);
  assert(error instanceof ArgumentError && error.message.startsWith("OnnxNetwork: the shape of x"));
});

testOnEveryBackend(
  "the gradient of resizing to another value is that of resizing",
  async (backend) => {
    const mode = { coordinates: coordinates.get("asymmetric")!, rounding: Math.floor };
    using layer = new Resize([{ out: 9 }, { out: 9 }], mode).train();
    for (const plane of [[2, 4], [4, 2]]) {
      const like = [1, 5, ...plane];
      using x = backend.upload(Float32Array.of(1, 2, 3, 4), [1, 1, 2, 2]);
      using other = backend.upload(new Float32Array(40), like);
      using y = layer.forwardFrom([x, other]);
      assertEquals(y.shape, [1, 1, ...plane]);
      assertEquals(layer.outputShapeOf([x.shape, [1, 5, 7, 3]]), [1, 1, 7, 3]); // keeps the other
      using dy = backend.upload(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), y.shape);
      const [dx, dother] = layer.backwardInto(dy);
      const isWide = plane[1] === 4;
      assertEquals(
        [...await y.read()],
        isWide ? [1, 1, 2, 2, 3, 3, 4, 4] : [1, 2, 1, 2, 3, 4, 3, 4],
      );
      assertEquals([...await dx.read()], isWide ? [3, 7, 11, 15] : [4, 6, 12, 14]);
      assertEquals(dother.shape, like);
      assertEquals([...await dother.read()], Array(40).fill(0));
      for (const tensor of [dx, dother]) tensor.dispose();
    }
  },
);

Deno.test("signals may have any length that suits the network", async () => {
  using backend = await createBackend({ threads: 1 });
  const all = [...tensors, floats("k", [1, 2, 3], 1, -1, 2, 0.5, 1, -2)];
  const load = async (nodes: Parts["nodes"], shape: (string | number)[], crop?: number) => {
    const model = { nodes, tensors: all, inputs: [port("x", ...shape)], outputs: [port("y")] };
    const preprocessing = crop === undefined ? undefined : { ...imagenetPreprocessing, crop };
    return await loadModel({ backend, weights: onnx(model), preprocessing });
  };
  const conv = [node("Conv", ["x", "k"], ["c"]), node("GlobalAveragePool", ["c"], ["y"])];
  using network = await load(conv, ["N", 2, "L"]);
  assertEquals(network.inputShape(), [1, 2, 4096]);
  using x = backend.upload(Float32Array.of(1, 2, 3, 4, 5, 4, 3, 2, 1, 0), [1, 2, 5]);
  using y = network.forward(x);
  assertEquals([y.shape, await y.read()], [[1, 1, 1], Float32Array.of((6 + 8.5 + 11) / 3)]);
  // channels last, and a reshape that suits one length
  const fixed = [node("Flatten", ["x"], ["f"]), node("Relu", ["f"], ["y"])];
  using last = await load(fixed, ["N", "L", 2]);
  assertEquals(last.inputShape(3), [3, 4096, 2]);
  const count = [
    ...sizeOf("one", "n"),
    node("ConstantOfShape", ["n"], ["z"]),
    node("Add", ["x", "z"], ["y"]),
  ];
  using bound = await load(count, ["N", "L"], 64);
  assertEquals(bound.inputShape(), [1, 64]);
  using short = backend.upload(new Float32Array(5), [1, 5]);
  const error = assertThrows(() => bound.forward(short), ArgumentError);
  assertEquals(
    error.message,
    "OnnxNetwork: the shape of x is [1, 5], must be [N, 64]; for others, load it with another preprocessing.crop",
  );
});
