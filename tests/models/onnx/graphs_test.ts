/** ONNX models whose layers form graphs give the results of ONNX Runtime. */

import { createBackend } from "../../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../../src/errors.ts";
import type { Backend } from "../../../src/backend/mod.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { OnnxNetwork } from "../../../src/models/onnx/network.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";
import expected from "../../fixtures/onnx/graphs/expected.json" with { type: "json" };
import { node, typedPort } from "../../weights/onnx/helpers.ts";
import { fixture, formula, smallModel } from "./models.ts";

/** Loads a fixture. */
async function load(backend: Backend, file: string): Promise<OnnxNetwork> {
  const network = await loadModel({ backend, weights: fixture(file) });
  assert(network instanceof OnnxNetwork);
  return network;
}

/** The softmax of each row. */
function softmax(values: Float32Array, rows: number): number[] {
  const size = values.length / rows;
  return Array.from(values, (value, i) => {
    const row = values.subarray(i - i % size, i - i % size + size);
    return Math.exp(value) / row.reduce((sum, other) => sum + Math.exp(other), 0);
  });
}

/** Compares all outputs of a model with those of ONNX Runtime. */
async function check(backend: Backend, { file, shape, outputs }: typeof expected[number]) {
  using network = await load(backend, file);
  using x = backend.upload(formula(shape, 2), shape);
  const results = network.outputsOf(x, [...network.outputs.values()]);
  assertEquals([...network.outputs.keys()], Object.keys(outputs), file);
  for (const [i, { shape, data }] of Object.values(outputs).entries()) {
    assertEquals(results[i].shape, shape, file);
    const values = await results[i].read();
    const isSoftmax = file.includes("channels_last"); // a classifier returns logits
    const actual = isSoftmax ? softmax(values, shape[0]) : values;
    const abs = 1e-5 * Math.max(...data.map(Math.abs));
    assertAllClose(actual, data, { abs, name: file });
  }
  for (const result of results) result.dispose();
}

const onEveryBackend = ["blocks_11"];
for (const model of expected) {
  const name = /(\w+)\.onnx$/.exec(model.file)![1], { shape } = model;
  if (onEveryBackend.includes(name)) {
    testOnEveryBackend(
      `${name}.onnx gives the results of ONNX Runtime`,
      (backend) => check(backend, model),
    );
  } else {
    Deno.test(`${name}.onnx for [${shape}] gives the results of ONNX Runtime`, async () => {
      using backend = await createBackend({ threads: 1 });
      await check(backend, model);
      assertEquals(backend.bytesInUse, 0);
    });
  }
}

Deno.test("graphs of patterns become the layers that PyTorch has", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const name of ["blocks_11", "blocks_13", "blocks_17"]) {
    using network = await load(backend, `graphs/${name}.onnx`);
    assertEquals(
      network.nodes.map(({ layer }) => layer.type).join(" "),
      "Conv2d BatchNorm2d Hardswish AdaptiveAvgPool2d Conv2d ReLU Conv2d Hardsigmoid Mul Conv2d " +
        "ReLU6 Add Slice Slice Conv2d SiLU Concat ChannelShuffle MaxPool2d Conv2d Permute " +
        "LayerNorm Linear GELU Linear Permute ChannelAffine Add AdaptiveAvgPool2d Flatten Linear " +
        "LeakyReLU Linear",
      name,
    );
  }
  using keras = await load(backend, "graphs/channels_last.onnx");
  assertEquals(
    keras.nodes.map(({ layer }) => layer.type).join(" "),
    "Permute ChannelAffine ChannelAffine Conv2d ChannelAffine ReLU6 ZeroPad2d AvgPool2d Permute " +
      "Flatten Linear",
  );
});

const gray = { width: 20, height: 16, data: new Uint8Array(20 * 16 * 3).fill(99) };

Deno.test("classify() converts images for one channel, and for channels last", async () => {
  using backend = await createBackend({ threads: 1 });
  using one = await load(backend, "graphs/gray.onnx");
  assertEquals(one.inputShape(3), [3, 1, 8, 10]);
  const red = { ...gray, data: gray.data.map((_, i) => i % 3 === 0 ? 255 : 0) };
  const values = one.preprocess(red), luma = Math.round(0.299 * 255);
  assertEquals(values.length, 80);
  assertAllClose(values, Array(80).fill((luma / 255 - 0.449) / 0.226), { abs: 1e-6 });
  assertEquals((await one.classify(red)).length, 4);

  using last = await load(backend, "graphs/channels_last.onnx");
  assertEquals(last.inputShape(2), [2, 10, 12, 3]);
  const { mean, std } = last.preprocessing;
  const pixels = last.preprocess(red);
  assertEquals(pixels.length, 10 * 12 * 3);
  const expected = [1, 0, 0].map((value, i) => (value - mean[i]) / std[i]);
  assertAllClose(pixels.slice(-3), expected, { abs: 1e-6 });
  assertEquals((await last.classifyBatch([red, pixels])).length, 2);
});

Deno.test("networks with other outputs load, but do not classify", async () => {
  using backend = await createBackend({ threads: 1 });
  using network = await load(backend, "graphs/segmentation.onnx");
  assertEquals([network.classes, network.numClasses], [[], 0]);
  using x = backend.upload(formula([1, 3, 12, 16], 1), [1, 3, 12, 16]);
  using mask = network.forward(x);
  assertEquals(mask.shape, [1, 2, 12, 16]);
  const error = await assertRejects(() => network.classify(gray), PembrokeError);
  assertEquals(
    error.message,
    "OnnxNetwork: cannot classify images, because it outputs mask [N, 2, 12, 16], score [N, 3]: " +
      "use forward() or outputsOf()",
  );
  using signal = await load(backend, "graphs/signal.onnx");
  assertEquals(signal.inputShape(2), [2, 2, 20]);
  const other = await assertRejects(() => signal.classify(gray), PembrokeError);
  assertEquals(
    other.message,
    "OnnxNetwork: cannot classify images, because it takes [N, 2, 20]: use forward() or outputsOf()",
  );
});

testOnEveryBackend("networks that take bytes get the levels of photos", async (backend) => {
  const nodes = [
    node("Transpose", ["x"], ["t"], { perm: [0, 3, 1, 2] }),
    node("Cast", ["t"], ["f"], { to: 1 }),
    node("GlobalAveragePool", ["f"], ["g"]),
    node("Flatten", ["g"], ["y"]),
  ];
  const inputs = [typedPort(2, "x", "N", 8, 10, 3)];
  using network = await loadModel({ backend, weights: smallModel({ inputs, nodes }) });
  const image = { ...gray, data: gray.data.map((_, i) => [200, 7, 255][i % 3]) };
  const values = network.preprocess(image);
  assertAllClose(values, Array.from(values, (_, i) => [200, 7, 255][i % 3]), { rel: 1e-6 });
  using x = backend.upload(values, network.inputShape());
  using y = network.forward(x);
  assertAllClose(await y.read(), [200, 7, 255], { rel: 1e-6 });
});

Deno.test("other sizes of images are refused where the graph depends on them", async () => {
  using backend = await createBackend({ threads: 1 });
  using fixed = await load(backend, "graphs/blocks_13.onnx");
  using x = backend.upload(formula([2, 3, 24, 20], 1), [2, 3, 24, 20]);
  assertThrows(
    () => fixed.forward(x),
    ArgumentError,
    "OnnxNetwork: the shape of x is [2, 3, 24, 20], must be [N, 3, 20, 20]",
  );
});
