/** ONNX models in QDQ format. */

import { createBackend } from "../../../src/backend/mod.ts";
import type { Backend } from "../../../src/backend/mod.ts";
import { FileError } from "../../../src/errors.ts";
import { storedPrecision } from "../../../src/models/load.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { Conv2d } from "../../../src/layers/mod.ts";
import { FakeQuantize } from "../../../src/models/onnx/constant_layers.ts";
import { fileSource } from "../../../src/weights/io/file_source.ts";
import { ConvWeight } from "../../../src/layers/rounded_weight.ts";
import { openWeights } from "../../../src/weights/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";
import expected from "../../fixtures/onnx/quantized/expected.json" with { type: "json" };
import { field, floats, node, type Parts, tensor } from "../../weights/onnx/helpers.ts";
import { fixture, formula, smallModel } from "./models.ts";

/** Computes the output of a fixture. */
async function run(
  backend: Backend,
  { file, shape }: typeof expected[number],
  precision?: "f32" | "int8",
): Promise<Float32Array> {
  using network = await loadModel({ backend, weights: fixture(file), precision });
  using x = backend.upload(formula(shape, 2), shape);
  using y = network.forward(x);
  return await y.read();
}

for (const model of expected) {
  const { data } = model.outputs.output, largest = Math.max(...data.map(Math.abs));
  testOnEveryBackend(`${model.file} in f32 gives the results of ONNX Runtime`, async (backend) => {
    const actual = await run(backend, model, "f32");
    assertAllClose(actual, data, { abs: 1e-5 * largest, name: model.file });
  });

  testOnEveryBackend(`${model.file} gives results near those of ONNX Runtime`, async (backend) => {
    const actual = await run(backend, model);
    // Inputs of convolutions are rounded to 7 bits, where ONNX Runtime has 8. In torch_13 it has 7
    // for positive values, too: there the rounding of either is twice as coarse.
    const tolerance = model.file.includes("torch_13") ? 0.08 : 0.03;
    assertAllClose(actual, data, { abs: tolerance * largest, name: model.file });
  });
}

/** A tensor of bytes, U8 (2) or I8 (3). */
function integers(name: string, type: 2 | 3, shape: readonly number[], ...values: number[]) {
  return tensor(name, shape, type, field(9, Uint8Array.from(values)));
}

/** Integers from −127 to 127 in the order of a formula. */
const weight = Array.from({ length: 24 }, (_, i) => (i * 53) % 255 - 127);

/** A convolution of 1×1, between roundings to scale 1 / 8 from −8 on. */
const convolution: Parts = {
  nodes: [
    node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
    node("DequantizeLinear", ["q", "step", "zero"], ["f"]),
    node("DequantizeLinear", ["w_quantized", "scales"], ["w_float"], { axis: 0 }),
    node("Conv", ["f", "w_float"], ["y"]),
  ],
  tensors: [
    floats("step", [], 1 / 8),
    integers("zero", 2, [], 64),
    integers("w_quantized", 3, [8, 3, 1, 1], ...weight),
    floats("scales", [8], ...weight.slice(0, 8).map((_, i) => 0.1 / (i + 3))),
  ],
};

Deno.test("without a zero point, DequantizeLinear takes the integers that there are", async () => {
  using backend = await createBackend({ threads: 1 });
  const weights = smallModel({
    nodes: [
      node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
      node("DequantizeLinear", ["q", "step"], ["y"]),
    ],
    tensors: [floats("step", [], 0.5), integers("zero", 3, [], 0)],
  });
  using network = await loadModel({ backend, weights, precision: "f32" });
  using x = backend.upload(Float32Array.from({ length: 48 }, (_, i) => i - 20.1), [1, 3, 4, 4]);
  using y = network.forward(x);
  assertEquals([...await y.read()], Array.from({ length: 48 }, (_, i) => i - 20));
});

Deno.test("convolutions keep the integers and scales of the file", async () => {
  using backend = await createBackend({ threads: 1 });
  using network = await loadModel({ backend, weights: smallModel(convolution) });
  const [{ layer: clamp }, { layer: conv, name }] = network.nodes;
  assertEquals([clamp.type, conv.type, name], ["Hardtanh", "Conv2d", "Conv"]);
  assert(conv instanceof Conv2d);
  assert(conv.parameters.weight instanceof ConvWeight);
  const { quantized } = conv.parameters.weight;
  assert(quantized);
  assertEquals([...await quantized.read()], weight);
  const scales = Array.from({ length: 8 }, (_, i) => Math.fround(0.1 / (i + 3)));
  assertEquals([...await quantized.scale.read()], scales);
  using float = await loadModel({ backend, weights: smallModel(convolution), precision: "f32" });
  assert(float.nodes[0].layer instanceof FakeQuantize);
  assertAllClose(
    await float.stateDict().get("Conv.weight")!.tensor!.read(),
    weight.map((value, i) => value * scales[Math.floor(i / 3)]),
    { rel: 1e-6 },
  );
});

Deno.test("values outside of the file's range are clamped in every precision", async () => {
  using backend = await createBackend({ threads: 1 });
  const x = Array.from({ length: 48 }, (_, i) => (i % 2 ? -1 : 1) * (i + 0.0625));
  for (const precision of ["f32", "int8", undefined] as const) {
    const nodes = [...convolution.nodes!.slice(0, 2), node("Add", ["f", "f"], ["y"])];
    const weights = smallModel({ ...convolution, nodes });
    using network = await loadModel({ backend, weights, precision });
    using input = backend.upload(Float32Array.from(x), [1, 3, 4, 4]);
    using output = network.forward(input);
    const round = precision === "int8" ? (v: number) => v : (v: number) => {
      const down = Math.floor(v * 8), rest = v * 8 - down;
      return (rest > 0.5 || rest === 0.5 && down % 2 !== 0 ? down + 1 : down) / 8;
    };
    const expected = x.map((v) => 2 * Math.min(Math.max(round(v), -8), 23.875));
    assertEquals([...await output.read()], expected, precision);
  }
});

Deno.test("quantised tensors of ONNX files are listed as what they stand for", async () => {
  using file = await openWeights(await fileSource(fixture("quantized/per_channel_13.onnx")));
  const { dtype, shape, quantized } = file.entries.get("stem.weight")!;
  assertEquals({ dtype, shape, quantized }, { dtype: "I8", shape: [8, 3, 3, 3], quantized: true });
  assertEquals(file.entries.size, 14);
  assertEquals(storedPrecision(file), "int8");
  using floats = await openWeights(await fileSource(fixture("quantized/torch_13.onnx")));
  assertEquals([...floats.entries.keys()].toSorted(), [...file.entries.keys()].toSorted());
});

Deno.test("integers may be pooled, joined and moved", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const precision of ["f32", "int8"] as const) {
    const nodes = [
      node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
      node("MaxPool", ["q"], ["p"], { kernel_shape: [2, 2], strides: [2, 2] }),
      node("Concat", ["p", "p"], ["c"], { axis: 1 }),
      node("DequantizeLinear", ["c", "step", "zero"], ["y"]),
    ];
    const weights = smallModel({ ...convolution, nodes });
    using network = await loadModel({ backend, weights, precision });
    const x = Float32Array.from({ length: 48 }, (_, i) => i - 24);
    using input = backend.upload(x, [1, 3, 4, 4]);
    using output = network.forward(input);
    const pooled = [5, 7, 13, 15, 21, 23, 29, 31, 37, 39, 45, 47]
      .map((i) => Math.min(Math.max(i - 24, -8), 23.875));
    assertEquals([...await output.read()], [...pooled, ...pooled], precision);
  }
});

/** What replaces a part of the convolution's file. */
interface Change {
  readonly tensors?: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
  /** Attributes of the weight's DequantizeLinear. */
  readonly attributes?: Record<string, number>;
  readonly nodes?: readonly Uint8Array<ArrayBuffer>[];
}

Deno.test("invalid quantised tensors and activations give one clear error", async () => {
  using backend = await createBackend({ threads: 1 });
  const all = {
    step: floats("step", [], 1 / 8),
    zero: integers("zero", 2, [], 64),
    w: integers("w", 3, [8, 3, 1, 1], ...weight),
    scales: floats("scales", [8], ...weight.map(() => 0.1).slice(16)),
    zeros: integers("zeros", 3, [8], 0, 0, 0, 0, 0, 0, 0, 0),
  };
  const refuse = async (reason: string, { tensors, attributes = {}, nodes }: Change) => {
    const file = smallModel({
      nodes: nodes ?? [
        node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "step", "zero"], ["f"]),
        node("DequantizeLinear", ["w", "scales", "zeros"], ["v"], { axis: 0, ...attributes }),
        node("Conv", ["f", "v"], ["y"]),
      ],
      tensors: Object.values({ ...all, ...tensors }),
    });
    const error = await assertRejects(() => loadModel({ backend, weights: file }), FileError);
    assertEquals(error.message, `weights: node ${reason}`);
    assertEquals(backend.bytesInUse, 0);
  };
  const weights = (reason: string, change: Change) =>
    refuse(`v (DequantizeLinear): ${reason}`, change);
  await weights("it has no axis 4 of 4: damaged", { attributes: { axis: 4 } });
  await weights("it has no axis -5 of 4: damaged", { attributes: { axis: -5 } });
  await weights("its scale [8] does not fit axis 1 of [8, 3, 1, 1]: damaged", {
    attributes: { axis: 1 },
  });
  await weights("its scale [2, 4] does not fit axis 0 of [8, 3, 1, 1]: damaged", {
    tensors: { scales: floats("scales", [2, 4], 1, 1, 1, 1, 1, 1, 1, 1) },
  });
  await weights("a scale for each block is not supported", { attributes: { block_size: 3 } });
  for (
    const [value, text] of [[NaN, "NaN"], [0, "0"], [-1, "-1"], [Infinity, "Infinity"]] as const
  ) {
    await weights(`its scale is ${text}, must be positive: damaged`, {
      tensors: { scales: floats("scales", [8], 1, 1, 1, value, 1, 1, 1, 1) },
    });
    await refuse(`q (QuantizeLinear): its scale is ${text}, must be positive: damaged`, {
      tensors: { step: floats("step", [], value) },
    });
  }
  await weights("its scale is I8, must be floats: damaged", {
    tensors: { scales: integers("scales", 3, [8], 1, 1, 1, 1, 1, 1, 1, 1) },
  });
  await weights("its zero point is U8, but its integers are I8: damaged", {
    tensors: { zeros: integers("zeros", 2, [8], 0, 0, 0, 0, 0, 0, 0, 0) },
  });
  await weights("its zero point is [2], but its scale [8]: damaged", {
    tensors: { zeros: integers("zeros", 3, [2], 0, 0) },
  });
  await weights("it converts from I64: not supported", {
    tensors: { w: tensor("w", [1], 7, field(7, [1])) },
  });
  await weights("its zero point must be 0 for I32: damaged", {
    tensors: {
      w: tensor("w", [8], 6, field(5, [0, 0, 0, 0, 0, 0, 0, 0])),
      zeros: tensor("zeros", [8], 6, field(5, [0, 0, 0, 0, 1, 0, 0, 0])),
    },
  });
  await refuse("again (QuantizeLinear): it rounds integers again: not supported", {
    nodes: [
      node("DequantizeLinear", ["w", "scales", "zeros"], ["v"], { axis: 0 }),
      node("QuantizeLinear", ["v", "step"], ["again"]),
    ],
  });
  const activations = (reason: string, ...nodes: Uint8Array<ArrayBuffer>[]) =>
    refuse(reason, { nodes });
  const q = node("QuantizeLinear", ["x", "step", "zero"], ["q"]);
  await activations(
    "y (DequantizeLinear): its scale or zero point is not that of QuantizeLinear: not supported",
    q,
    node("DequantizeLinear", ["q", "step"], ["y"]),
  );
  await activations(
    "y (DequantizeLinear): its input is not computed by QuantizeLinear",
    node("DequantizeLinear", ["x", "step"], ["y"]),
  );
  await activations(
    "y (QuantizeLinear): a scale for each channel is only supported for constants",
    node("QuantizeLinear", ["x", "scales"], ["y"]),
  );
  await activations(
    "y (Relu): its input q holds integers: not supported",
    q,
    node("Relu", ["q"], ["y"]),
  );
  for (const op of ["QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"]) {
    await activations(
      `y (${op}): this operation is not supported: export the model in QDQ format`,
      node(op, ["x", "w"], ["y"]),
    );
  }
  const output = smallModel({
    nodes: [node("QuantizeLinear", ["x", "step", "zero"], ["y"])],
    tensors: Object.values(all),
  });
  const error = await assertRejects(() => loadModel({ backend, weights: output }), FileError);
  assertEquals(error.message, "weights: its output y holds integers: not supported");
});
