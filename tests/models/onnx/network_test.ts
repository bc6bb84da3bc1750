/** ONNX files as networks: ONNX Runtime's numbers, and what is refused. */

import { type Backend, createBackend } from "../../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../../src/errors.ts";
import { caffePreprocessing, decodeImage, imagenetPreprocessing } from "../../../src/image/mod.ts";
import { Dropout } from "../../../src/layers/mod.ts";
import { AlexNet, type Classifier, loadModel, loadWeights } from "../../../src/models/mod.ts";
import { logSoftmax } from "../../../src/ops/mod.ts";
import { writeOnnx } from "../../../src/weights/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";
import expected from "../../fixtures/onnx/expected.json" with { type: "json" };
import golden from "../../fixtures/models/golden.json" with { type: "json" };
import {
  type Attribute,
  floats,
  halves,
  integers,
  node,
  onnx,
  type Parts,
  port,
} from "../../weights/onnx/helpers.ts";

const fixture = (name: string) => new URL(`../../fixtures/onnx/${name}`, import.meta.url);
const picture = (name: string) => new URL(`../../fixtures/models/${name}`, import.meta.url);

/** The formula of make_expected.ts. */
function formula(shape: readonly number[], factor: number): Float32Array {
  const length = shape.reduce((a, b) => a * b);
  return Float32Array.from(
    { length },
    (_, i) => factor * (Number(BigInt(i) * 2654435761n % 2n ** 32n) / 2 ** 31 - 1),
  );
}

/** Logarithms of the probabilities that a model gives for the formula's input. */
async function logProbabilities(model: Classifier, shape: readonly number[], factor: number) {
  using x = model.backend.upload(formula(shape, factor), shape);
  using logits = model.forward(x);
  logSoftmax(logits, -1, { out: logits });
  return await logits.read();
}

/** What ONNX Runtime gives, as logarithms of probabilities. */
function asLogProbabilities(file: string, shape: readonly number[], output: number[]): number[] {
  if (file.startsWith("caffe")) return output.map(Math.log);
  const size = output.length / shape[0];
  return output.map((logit, i) => {
    const first = i - i % size, row = output.slice(first, first + size);
    return logit - Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
  });
}

const caffe3 = { ...expected.find(({ file }) => file === "caffe_9.onnx")!, file: "caffe_3.onnx" };
for (const { file, shape, factor, output } of [...expected, caffe3]) {
  testOnEveryBackend(`the network in ${file} gives ONNX Runtime's numbers`, async (backend) => {
    const wanted = asLogProbabilities(file, shape, output);
    const abs = 1e-6 * Math.max(...wanted.map(Math.abs));
    const model = await loadModel({ backend, weights: fixture(file) });
    assertAllClose(await logProbabilities(model, shape, factor), wanted, { abs });
    assertEquals(model.numClasses, output.length / shape[0]);
    model.dispose();
    assertEquals(backend.bytesInUse, 0);
  });
}

testOnEveryBackend("PyTorch's export gives PyTorch's logits for pictures", async (backend) => {
  using model = await loadModel({ backend, weights: fixture("torch.onnx") });
  assertEquals(model.preprocessing, imagenetPreprocessing);
  for (const { file, logits, top5, probabilities } of golden.pictures) {
    const image = await decodeImage(await Deno.readFile(picture(file)));
    using x = backend.upload(model.preprocess(image), model.inputShape());
    using y = model.forward(x);
    assertAllClose(await y.read(), logits, { abs: 1e-5 * Math.max(...logits.map(Math.abs)) });
    const predictions = await model.classify(image);
    assertEquals(predictions.map(({ index }) => index), top5);
    assertAllClose(predictions.map(({ probability }) => probability), probabilities, { abs: 1e-5 });
  }
});

testOnEveryBackend("ONNX weights in int8 stay within 1 % of f32", async (backend) => {
  for (const { file, shape, factor, output } of expected) {
    using model = await loadModel({ backend, weights: fixture(file), precision: "int8" });
    const wanted = asLogProbabilities(file, shape, output);
    const abs = 0.01 * Math.max(...wanted.map(Math.abs));
    assertAllClose(await logProbabilities(model, shape, factor), wanted, { abs, name: file });
    assert(model.stateDict().values().some((parameter) => !parameter.tensor));
  }
});

Deno.test("layers are called as their weights, PyTorch's modules or their nodes are", async () => {
  using backend = await createBackend({ threads: 1 });
  const names = async (file: string) => {
    using model = await loadModel({ backend, weights: fixture(file) });
    return model.leaves().map(([name]) => name).join(" ");
  };
  using alexnet = new AlexNet();
  const known = new Set(alexnet.leaves().map(([name]) => name));
  for (const name of (await names("torch_training.onnx")).split(" ")) {
    assert(known.has(name) || name === "/Flatten", name);
  }
  assertEquals(
    await names("caffe_9.onnx"),
    "conv1 n1 n2 n3 conv2 n5 n6 n7 conv3 n9 conv4 n11 conv5 n13 n14 n15 " +
      "fc6 n17 n18 fc7 n20 n21 fc8",
  );
  assertEquals(
    await names("layers.onnx"),
    "conv1 BatchNormalization Relu AveragePool conv2 MaxPool Reshape fc1 Relu_1 fc2",
  );
});

Deno.test("Caffe's networks are known by their layers, and take its preprocessing", async () => {
  using backend = await createBackend({ threads: 1 });
  using caffe = await loadModel({ backend, weights: fixture("caffe_12.onnx") });
  assertEquals(caffe.preprocessing, caffePreprocessing);
  const gold = {
    width: 300,
    height: 300,
    data: new Uint8Array(270_000).map((_, i) => [255, 200, 0][i % 3]),
  };
  const values = caffe.preprocess(gold), plane = 224 * 224;
  assertAllClose(
    [values[0], values[plane], values[2 * plane]],
    [0 - 103.939, 200 - 116.779, 255 - 123.68],
    { abs: 1e-4 },
  );
  const [best] = await caffe.classify(gold);
  assertEquals([best.wnid.length, best.label === ""], [9, false]); // ImageNet's, as there are 1000

  using plain = await loadModel({ backend, weights: fixture("layers.onnx") });
  assertEquals(plain.preprocessing, { ...imagenetPreprocessing, resize: 23, crop: 20 });
  const grouped = small({
    nodes: [node("Conv", ["x", "w"], ["c"], { group: 3 }), node("Flatten", ["c"], ["y"])],
    tensors: [halves("w", 3, 1, 4, 4)],
  });
  using groups = await loadModel({ backend, weights: grouped });
  assertEquals(groups.preprocessing, { ...caffePreprocessing, resize: 5, crop: 4 });
});

Deno.test("options go before what an ONNX file says, and must agree with it", async () => {
  using backend = await createBackend({ threads: 1 });
  const load = (options: Parameters<typeof loadModel>[0]) =>
    loadModel({ backend, weights: fixture("torch_training.onnx"), ...options });
  const classes = Array.from({ length: 10 }, (_, i) => ({ wnid: "", label: `thing ${i}` }));
  const preprocessing = { ...caffePreprocessing, resize: 224 };
  using model = await load({ classes, preprocessing, dropout: 0.25 });
  assertEquals([model.classes, model.preprocessing], [classes, preprocessing]);
  const dropouts = (model: Classifier) =>
    model.leaves().flatMap(([, layer]) => layer instanceof Dropout ? [layer.p] : []);
  assertEquals(dropouts(model), [0.25, 0.25]);
  using caffe = await loadModel({ backend, weights: fixture("caffe_12.onnx") });
  assertAllClose(dropouts(caffe), [0.4, 0.4], { abs: 1e-7 });

  const refused = async (options: Parameters<typeof load>[0], message: string) =>
    assertEquals((await assertRejects(() => load(options), ArgumentError)).message, message);
  const path = fixture("torch_training.onnx");
  const takes = `must be 10, as ${path} has`;
  await refused({ numClasses: 9 }, `OnnxNetwork: the number of classes is 9, ${takes}`);
  await refused({ classes: classes.slice(1) }, `OnnxNetwork: the number of classes is 9, ${takes}`);
  await assertRejects(
    () => load({ preprocessing: { ...imagenetPreprocessing, crop: 96 } }),
    ArgumentError,
    "OnnxNetwork: preprocessing.crop is 96, must be 224, as",
  );
});

Deno.test("a free size of images is the preprocessing's, or 224", async () => {
  using backend = await createBackend({ threads: 1 });
  const file = small({
    nodes: [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["y"])],
    tensors: [halves("unused", 1)],
    inputs: [port("x", "N", 3, "H", "W")],
  });
  using usual = await loadModel({ backend, weights: file });
  assertEquals(usual.inputShape(), [1, 3, 224, 224]);
  const preprocessing = { ...imagenetPreprocessing, crop: 96 };
  using other = await loadModel({ backend, weights: file, preprocessing });
  assertEquals(other.inputShape(), [1, 3, 96, 96]);
});

testOnEveryBackend("other networks take an ONNX file's tensors by name", async (backend) => {
  const narrow = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;
  using model = new AlexNet(narrow);
  await loadWeights(model, backend, fixture("torch.onnx"));
  using onnxModel = await loadModel({ backend, weights: fixture("torch.onnx") });
  for (const [name, { tensor }] of model.stateDict()) {
    assertEquals(await onnxModel.stateDict().get(name)!.tensor!.read(), await tensor!.read());
  }
  // and the other way round
  await loadWeights(onnxModel, backend, picture("narrow_alexnet.pth"));
  const lacks = await assertRejects(
    () => loadWeights(onnxModel, backend, fixture("caffe_9.onnx")),
    FileError,
  );
  assert(
    lacks.message.endsWith(
      "features.0.weight is missing (and 15 more): not weights for OnnxNetwork",
    ),
    lacks.message,
  );
});

testOnEveryBackend("an ONNX file of tensors alone is for AlexNet", async (backend) => {
  const narrow = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;
  using model = new AlexNet(narrow).init(backend, { seed: 5 });
  const tensors = await Promise.all(
    model.stateDict().entries().map(async ([name, { shape, tensor }]) => ({
      name,
      dtype: "F32" as const,
      shape,
      data: await tensor!.read(),
    })),
  );
  using copy = await AlexNet.load({ backend, weights: writeOnnx(tensors), ...narrow });
  assert(copy instanceof AlexNet);
  for (const { name, data } of tensors) {
    assertEquals(await copy.stateDict().get(name)!.tensor!.read(), data);
  }
});

testOnEveryBackend("an ONNX network with NaN weights names the tensor", async (backend) => {
  using model = await loadModel({ backend, weights: fixture("caffe_9.onnx") });
  model.stateDict().get("fc7.bias")!.write(new Float32Array([NaN]));
  const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
  await assertRejects(() => model.classify(image), PembrokeError, "fc7.bias holds NaN");
});

/** A file whose input is x [1, 3, 4, 4] and output y, unless told otherwise. */
function small(parts: Parts): Uint8Array<ArrayBuffer> {
  return onnx({ inputs: [port("x", 1, 3, 4, 4)], outputs: [port("y")], ...parts });
}

/** Asserts that a network is refused in these words, and leaves nothing behind. */
async function refused(backend: Backend, parts: Parts, reason: string): Promise<void> {
  const error = await assertRejects(
    () => loadModel({ backend, weights: small(parts) }),
    FileError,
  );
  assertEquals(error.message, `weights: ${reason}`);
  assertEquals(backend.bytesInUse, 0);
}

Deno.test("what no layer does is refused, and the node is named", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [
    ...[halves("w", 2, 3, 3, 3), halves("b", 2), halves("m", 4, 48), halves("c", 4)],
    ...[halves("line", 2, 3, 3), integers("to", 1, 48), integers("rows", 3, 16)],
    ...[halves("scale", 3), integers("whole", 1, 2)],
  ];
  const say = async (
    op: string,
    inputs: string[],
    attributes: Record<string, Attribute>,
    reason: string,
    domain = "",
  ) => {
    const nodes = [node(op, ["x", ...inputs], ["y"], attributes, { name: "n", domain })];
    await refused(backend, { nodes, tensors }, `node n (${op}): ${reason}`);
  };
  await refused(
    backend,
    { nodes: [node("Sigmoid\n", ["x"], ["y"])], tensors },
    "node y (Sigmoid\\u{a}): this operation is not supported, only AveragePool, " +
      "BatchNormalization, Conv, Dropout, Flatten, Gemm, GlobalAveragePool, Identity, LRN, MaxPool, " +
      "Relu, Reshape",
  );
  await say("Relu", [], {}, "of com.microsoft, which is not supported", "com.microsoft");
  await say("Relu", [], { slope: 2 }, "its attribute slope is not supported");

  const conv = (attributes: Record<string, Attribute>, reason: string) =>
    say("Conv", ["w", "b"], attributes, reason);
  await conv(
    { auto_pad: "SAME_UPPER" },
    "auto_pad SAME_UPPER is not supported, only explicit pads",
  );
  await conv({ pads: [1, 1] }, "its pads are not for height and width: not supported");
  await conv({ strides: [1] }, "its strides are not for height and width: not supported");
  await conv({ strides: 1 }, "its strides is no list of numbers: damaged");
  await conv({ kernel_shape: [5, 5] }, "its kernel_shape is [5, 5], its weight [2, 3, 3, 3]");
  await conv({ group: 2 }, "Conv2d: groups is 2, must be a divisor of the 3 input channels");
  await conv({ group: [1] }, "its group is no number: damaged");
  await conv(
    { pads: [-1, 0, 0, 0] },
    'Conv2d: padding is [-1, 0, 0, 0], must be non-negative integers: [height, width], [top, left, bottom, right], "same" or "valid"',
  );
  await conv(
    { pads: [30000, 30000, 30000, 30000] },
    "it gives [1, 2, 60002, 60002], too many values",
  );
  await say(
    "Conv",
    ["line"],
    {},
    "its weight is [2, 3, 3]: only convolutions of images are supported",
  );
  await say(
    "Conv",
    ["elsewhere"],
    {},
    "its weight elsewhere is computed or given, not in the file: not supported",
  );
  await say("Conv", [], {}, "it has no weight: damaged");
  await say("Conv", ["w", "c"], {}, "its bias is [4], only [2] is supported");

  await say(
    "MaxPool",
    [],
    { kernel_shape: [2, 2], storage_order: 1 },
    "storage_order 1 is not supported, only 0",
  );
  await say(
    "AveragePool",
    [],
    { kernel_shape: [2, 2], dilations: [2, 2] },
    "dilations are not supported",
  );
  await say("LRN", [], { size: 4 }, "LocalResponseNorm: size is 4, must be odd");
  await say("Flatten", [], { axis: 2 }, "axis 2 is not supported, only 1");
  await say("Reshape", ["rows"], {}, "[1, 3, 4, 4] to [3, 16] is not supported, only [N, 48]");
  await say("Reshape", ["w"], {}, "its shape w is F32 [2, 3, 3, 3]: not supported");
  await say("Gemm", ["m"], {}, "it multiplies [1, 3, 4, 4] by [4, 48]: no two matrices");
  const norm = ["scale", "scale", "scale", "scale"];
  await say(
    "BatchNormalization",
    norm,
    { training_mode: 1 },
    "training_mode 1 is not supported, only 0",
  );
  await say(
    "BatchNormalization",
    ["c", "c", "c", "c"],
    {},
    "its scale is [4], only [3] is supported",
  );
  await say(
    "Softmax",
    [],
    { axis: 1 },
    "axis 1 of [1, 3, 4, 4] is not supported, only of [N, classes]",
  );
  await say("Dropout", ["c"], {}, "its ratio c is F32 [4]: not supported");

  const flat = node("Reshape", ["x", "to"], ["f"]);
  const after = (...nodes: Uint8Array<ArrayBuffer>[]) => ({ nodes: [flat, ...nodes], tensors });
  await refused(
    backend,
    after(node("Gemm", ["f", "m"], ["y"], {}, { name: "g" })),
    "node g (Gemm): Linear: the shape of x is [1, 48], must be […, 4]",
  );
  await refused(
    backend,
    after(node("Gemm", ["f", "m"], ["y"], { transA: 1, transB: 1 }, { name: "g" })),
    "node g (Gemm): transA 1 is not supported, only 0",
  );
  await refused(
    backend,
    after(node("Softmax", ["f"], ["s"]), node("Relu", ["s"], ["y"], {}, { name: "r" })),
    "node r (Relu): it comes after Softmax, which must be the end",
  );
  await refused(
    backend,
    after(node("Gemm", ["f", "whole"], ["y"])),
    "node y (Gemm): it multiplies [1, 48] by [2]: no two matrices",
  );
});

Deno.test("a graph that is no chain from images to classes is refused", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [floats("a", [1], 1)];
  const relu = (from: string, to: string) => node("Relu", [from], [to], {}, { name: `to ${to}` });
  const flat = node("Flatten", ["x"], ["f"]);
  await refused(
    backend,
    { nodes: [flat, relu("f", "g"), relu("f", "y")], tensors },
    "node to y (Relu): it takes f, not what comes before: only chains are supported",
  );
  await refused(
    backend,
    { nodes: [flat, relu("f", "g")], tensors },
    "gives y, which is not what its last node gives",
  );
  await refused(
    backend,
    { nodes: [relu("x", "y")], tensors },
    "gives [1, 3, 4, 4], a classifier gives [N, classes]",
  );
  const nodes = [node("Flatten", ["x"], ["y"])];
  const count = (inputs: number, outputs: number) =>
    `has ${inputs} inputs and ${outputs} outputs, must have one of each`;
  const x = port("x", 1, 3, 4, 4);
  await refused(backend, { nodes, tensors, inputs: [] }, count(0, 1));
  await refused(backend, { nodes, tensors, inputs: [x, port("z", 1)] }, count(2, 1));
  await refused(backend, { nodes, tensors, outputs: [port("y"), port("z")] }, count(1, 2));
  await refused(backend, { nodes, tensors, outputs: [] }, count(1, 0));
  for (
    const [shape, said] of [
      [[1, 4, 4, 3], "1, 4, 4, 3"],
      [["N", 3, 4, 5], "any, 3, 4, 5"],
      [["N", 3, "H", 5000], "any, 3, any, 5000"],
      [[1, 3, 0, 0], "1, 3, 0, 0"],
      [[3, 4, 4], "3, 4, 4"],
      [[], ""],
    ] as const
  ) {
    await refused(
      backend,
      { nodes, tensors, inputs: [port("x", ...shape)] },
      `takes [${said}], only square images are supported: [N, 3, side, side]`,
    );
  }
});

Deno.test("a weight that is no float is refused", async () => {
  using backend = await createBackend({ threads: 1 });
  const parts = {
    nodes: [
      node("Flatten", ["x"], ["f"]),
      node("Gemm", ["f", "m"], ["g"], { transB: 1 }, { name: "fc" }),
      node("BatchNormalization", ["g", "n", "n", "n", "n"], ["y"]),
    ],
    tensors: [halves("m", 2, 48), integers("n", 1, 2)],
  };
  await refused(
    backend,
    parts,
    "BatchNormalization.weight is I64, OnnxNetwork expects F32, F16, BF16, F64 or I8 with a scale (and 3 more)",
  );
});

Deno.test("layers.onnx, cut at every length and with every byte wrong, is refused or a network", async () => {
  using backend = await createBackend({ threads: 1 });
  const whole = await Deno.readFile(fixture("layers.onnx"));
  const image = { width: 20, height: 20, data: new Uint8Array(1200).fill(99) };
  let networks = 0;
  const attempt = async (bytes: Uint8Array<ArrayBuffer>) => {
    try {
      using model = await loadModel({ backend, weights: bytes });
      networks++;
      await model.classify(image);
    } catch (error) {
      if (!(error instanceof PembrokeError)) throw error;
      assert(/^[^\n]{1,600}$/.test(error.message), error.message);
    }
    assertEquals(backend.bytesInUse, 0);
  };
  for (let length = 0; length < whole.length; length++) await attempt(whole.subarray(0, length));
  for (let at = 0; at < whole.length; at++) {
    const bytes = whole.slice();
    bytes[at] ^= 1 << at % 8;
    await attempt(bytes);
  }
  assert(networks > whole.length / 2, `${networks}`); // half of the bytes are those of weights
});
