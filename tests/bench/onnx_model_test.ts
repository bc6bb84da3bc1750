import { assert, assertEquals } from "../assert.ts";
import {
  AdaptiveAvgPool2d,
  Add,
  AvgPool2d,
  BatchNorm2d,
  ChannelShuffle,
  Concat,
  Conv2d,
  Flatten,
  Graph,
  Hardsigmoid,
  Linear,
  MaxPool2d,
  Mul,
  ReLU6,
  SiLU,
  Slice,
} from "../../mod.ts";
import { networkModel } from "../../bench/peers/network_model.ts";
import { convModel } from "../../bench/peers/onnx_model.ts";
import { operationsOf } from "../../bench/peers/operations.ts";

Deno.test("convModel() returns an ONNX model of one convolution with its weights", () => {
  const weight = new Float32Array(200 * 3 * 5 * 5).map((_, i) => i);
  const model = fields(convModel({
    layer: { inChannels: 3, outChannels: 200, kernel: 5, stride: 2, padding: 1 },
    xShape: [1, 3, 9, 9],
    weightShape: [200, 3, 5, 5],
    yShape: [1, 200, 4, 4],
    x: new Float32Array(),
    weight,
    dy: new Float32Array(),
  }));
  assertEquals(only(model, 1), 8); // ir_version
  assertEquals(only(fields(only(model, 8)), 2), 17); // opset_import.version

  const graph = fields(only(model, 7));
  const node = fields(only(graph, 1));
  assertEquals(all(node, 1).map(string), ["input", "weight"]);
  assertEquals(string(only(node, 2)), "output");
  assertEquals(string(only(node, 4)), "Conv");
  const attributes = all(node, 5).map(fields).map((a) => [string(only(a, 1)), all(a, 8)]);
  assertEquals(Object.fromEntries(attributes), {
    kernel_shape: [5, 5],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });

  const tensor = fields(only(graph, 5));
  assertEquals(all(tensor, 1), [200, 3, 5, 5]); // 200 takes a varint of two bytes
  assertEquals(new Float32Array((only(tensor, 9) as Uint8Array).slice().buffer), weight);
  assertEquals(string(only(fields(only(graph, 11)), 1)), "input");
  assertEquals(string(only(fields(only(graph, 12)), 1)), "output");
});

/** The nodes of the ONNX model of a graph for images of this shape, as text. */
function nodesOf(graph: Graph, [, ...image]: readonly [number, number, number, number]): string[] {
  const model = networkModel({
    name: "alexnet",
    image,
    operations: operationsOf(graph, [1, ...image]),
    parameters: new Map(),
    forwardMacs: 0,
    trainingMacs: 0,
  });
  return all(fields(only(fields(model), 7)), 1).map(fields).map((node) =>
    `${string(only(node, 4))}(${all(node, 1).map(string)}) → ${string(only(node, 2))}`
  );
}

Deno.test("networkModel() writes each layer with its weights, and leaves out dropout", () => {
  using graph = new Graph([
    { name: "conv", layer: new Conv2d(3, 4, 3, { bias: false }) },
    { name: "norm", layer: new BatchNorm2d(4) },
    { name: "relu6", layer: new ReLU6() },
    { name: "max", layer: new MaxPool2d(2) },
    { name: "mean", layer: new AdaptiveAvgPool2d(1) },
    { name: "scale", layer: new Hardsigmoid() },
    { name: "mul", layer: new Mul(), inputs: ["max", "scale"] },
    { name: "add", layer: new Add(), inputs: ["mul", "max"] },
    { name: "cat", layer: new Concat(), inputs: ["add", "max"] },
    { name: "average", layer: new AvgPool2d(2) },
    { name: "same", layer: new AdaptiveAvgPool2d(2) },
    { name: "flatten", layer: new Flatten() },
    { name: "fc", layer: new Linear(32, 5) },
  ]);
  assertEquals(nodesOf(graph, [1, 3, 10, 10]), [
    "Conv(input,conv.weight) → conv",
    "BatchNormalization(conv,norm.weight,norm.bias,norm.running_mean,norm.running_var) → norm",
    "Clip(norm,relu6.0,relu6.6) → relu6",
    "MaxPool(relu6) → max",
    "GlobalAveragePool(max) → mean",
    "HardSigmoid(mean) → scale",
    "Mul(max,scale) → mul",
    "Add(mul,max) → add",
    "Concat(add,max) → cat",
    "AveragePool(cat) → average",
    "Flatten(average) → flatten",
    "Gemm(flatten,fc.weight,fc.bias) → fc",
  ]);
});

Deno.test("networkModel() composes SiLU, slices and channel shuffles", () => {
  using graph = new Graph([
    { name: "silu", layer: new SiLU() },
    { name: "slice", layer: new Slice(1, -2) },
    { name: "shuffle", layer: new ChannelShuffle(2) },
  ]);
  assertEquals(nodesOf(graph, [1, 6, 4, 4]), [
    "Sigmoid(input) → silu.sigmoid",
    "Mul(input,silu.sigmoid) → silu",
    "Slice(silu,slice.start,slice.end,slice.axis) → slice",
    "Reshape(slice,shuffle.split.shape) → shuffle.split",
    "Transpose(shuffle.split) → shuffle.swapped",
    "Reshape(shuffle.swapped,shuffle.shape) → shuffle",
  ]);
});

type Field = readonly [number: number, value: number | Uint8Array];

/** Parses a protobuf message. Nested messages are bytes. */
function fields(bytes: number | Uint8Array): Field[] {
  assert(bytes instanceof Uint8Array, "not a message");
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      value += (bytes[at] & 127) * scale;
      if (bytes[at++] < 128) return value;
    }
  };
  const result: Field[] = [];
  while (at < bytes.length) {
    const key = varint(), value = varint();
    if (key % 8 === 0) result.push([key >> 3, value]);
    else result.push([key >> 3, bytes.subarray(at, at += value)]);
  }
  assertEquals(at, bytes.length);
  return result;
}

function all(message: readonly Field[], number: number): (number | Uint8Array)[] {
  return message.filter(([n]) => n === number).map(([, value]) => value);
}

function only(message: readonly Field[], number: number): number | Uint8Array {
  const values = all(message, number);
  assertEquals(values.length, 1, `fields ${number}`);
  return values[0];
}

function string(value: number | Uint8Array): string {
  return new TextDecoder().decode(value as Uint8Array);
}
