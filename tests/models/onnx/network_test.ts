/** ONNX models give the results of ONNX Runtime and PyTorch. */

import { createBackend } from "../../../src/backend/mod.ts";
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
import { halves, node, port } from "../../weights/onnx/helpers.ts";
import { fixture, formula, smallModel } from "./models.ts";

const picture = (name: string) => new URL(`../../fixtures/models/${name}`, import.meta.url);

/** Computes the log-probabilities of a model for the input of the formula. */
async function logProbabilities(model: Classifier, shape: readonly number[], factor: number) {
  using x = model.backend.upload(formula(shape, factor), shape);
  using logits = model.forward(x);
  logSoftmax(logits, -1, { out: logits });
  return await logits.read();
}

/** Converts the outputs of ONNX Runtime to log-probabilities. */
function toLogProbabilities(file: string, shape: readonly number[], output: number[]): number[] {
  if (file.startsWith("caffe")) return output.map(Math.log);
  const size = output.length / shape[0];
  return output.map((logit, i) => {
    const first = i - i % size, row = output.slice(first, first + size);
    return logit - Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
  });
}

const caffe3 = { ...expected.find(({ file }) => file === "caffe_9.onnx")!, file: "caffe_3.onnx" };
for (const { file, shape, factor, output } of [...expected, caffe3]) {
  testOnEveryBackend(`${file} gives the results of ONNX Runtime`, async (backend) => {
    const wanted = toLogProbabilities(file, shape, output);
    const abs = 1e-6 * Math.max(...wanted.map(Math.abs));
    const model = await loadModel({ backend, weights: fixture(file) });
    assertAllClose(await logProbabilities(model, shape, factor), wanted, { abs });
    assertEquals(model.numClasses, output.length / shape[0]);
    model.dispose();
    assertEquals(backend.bytesInUse, 0);
  });
}

testOnEveryBackend("a model exported from PyTorch gives PyTorch's logits", async (backend) => {
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

testOnEveryBackend("ONNX models in int8 are within 2 % of f32", async (backend) => {
  for (const { file, shape, factor, output } of expected) {
    using model = await loadModel({ backend, weights: fixture(file), precision: "int8" });
    const wanted = toLogProbabilities(file, shape, output);
    // these convolutions have few channels, whose inputs round to 7 bits
    const abs = 0.02 * Math.max(...wanted.map(Math.abs));
    assertAllClose(await logProbabilities(model, shape, factor), wanted, { abs, name: file });
    assert(model.stateDict().values().some((parameter) => !parameter.tensor));
  }
});

Deno.test("layers are named after their weights, PyTorch modules or nodes", async () => {
  using backend = await createBackend({ threads: 1 });
  const names = async (file: string) => {
    using model = await loadModel({ backend, weights: fixture(file) });
    return model.leaves().map(([name]) => name).join(" ");
  };
  using alexnet = new AlexNet();
  const alexnetNames = new Set(alexnet.leaves().map(([name]) => name));
  for (const name of (await names("torch_training.onnx")).split(" ")) {
    assert(alexnetNames.has(name) || name === "/Flatten", name);
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

Deno.test("networks with layers typical of Caffe use Caffe's preprocessing", async () => {
  using backend = await createBackend({ threads: 1 });
  using caffe = await loadModel({ backend, weights: fixture("caffe_12.onnx") });
  assertEquals(caffe.preprocessing, caffePreprocessing);
  const image = {
    width: 300,
    height: 300,
    data: new Uint8Array(270_000).map((_, i) => [255, 200, 0][i % 3]),
  };
  const values = caffe.preprocess(image), plane = 224 * 224;
  assertAllClose(
    [values[0], values[plane], values[2 * plane]],
    [0 - 103.939, 200 - 116.779, 255 - 123.68],
    { abs: 1e-4 },
  );
  const [best] = await caffe.classify(image);
  assertEquals([best.wnid.length, best.label === ""], [9, false]); // one of ImageNet's 1000 classes

  using plain = await loadModel({ backend, weights: fixture("layers.onnx") });
  assertEquals(plain.preprocessing, { ...imagenetPreprocessing, resize: 23, crop: 20 });
});

Deno.test("options override an ONNX file, but must not contradict it", async () => {
  using backend = await createBackend({ threads: 1 });
  const load = (options: Parameters<typeof loadModel>[0]) =>
    loadModel({ backend, weights: fixture("torch_training.onnx"), ...options });
  const classes = Array.from({ length: 10 }, (_, i) => ({ wnid: "", label: `thing ${i}` }));
  const preprocessing = { ...caffePreprocessing, resize: 224 };
  const labels = classes.map(({ label }) => label);
  using model = await load({ classes: labels, preprocessing, dropout: 0.25 });
  assertEquals([model.classes, model.preprocessing], [classes, preprocessing]);
  const dropouts = (model: Classifier) =>
    model.leaves().flatMap(([, layer]) => layer instanceof Dropout ? [layer.p] : []);
  assertEquals(dropouts(model), [0.25, 0.25]);
  using caffe = await loadModel({ backend, weights: fixture("caffe_12.onnx") });
  assertAllClose(dropouts(caffe), [0.4, 0.4], { abs: 1e-7 });

  const assertError = async (options: Parameters<typeof load>[0], message: string) =>
    assertEquals((await assertRejects(() => load(options), ArgumentError)).message, message);
  const path = fixture("torch_training.onnx");
  const message = `OnnxNetwork: the number of classes is 9, must be 10, as in ${path}`;
  await assertError({ numClasses: 9 }, message);
  await assertError({ classes: classes.slice(1) }, message);
  await assertRejects(
    () => load({ preprocessing: { ...imagenetPreprocessing, crop: 96 } }),
    ArgumentError,
    "OnnxNetwork: preprocessing.crop is 96, must be 224, as in",
  );
});

Deno.test("models for any image size use the size of the preprocessing, or 224", async () => {
  using backend = await createBackend({ threads: 1 });
  const file = smallModel({
    nodes: [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["y"])],
    tensors: [halves("unused", 1)],
    inputs: [port("x", "N", 3, "H", "W")],
  });
  using model = await loadModel({ backend, weights: file });
  assertEquals(model.inputShape(), [1, 3, 224, 224]);
  const preprocessing = { ...imagenetPreprocessing, crop: 96 };
  using other = await loadModel({ backend, weights: file, preprocessing });
  assertEquals(other.inputShape(), [1, 3, 96, 96]);
});

testOnEveryBackend("loadWeights() loads the tensors of an ONNX file by name", async (backend) => {
  const narrow = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;
  using model = new AlexNet(narrow);
  await loadWeights(model, backend, fixture("torch.onnx"));
  using onnxModel = await loadModel({ backend, weights: fixture("torch.onnx") });
  for (const [name, { tensor }] of model.stateDict()) {
    assertEquals(await onnxModel.stateDict().get(name)!.tensor!.read(), await tensor!.read());
  }
  // and the other way round
  await loadWeights(onnxModel, backend, picture("narrow_alexnet.pth"));
  const error = await assertRejects(
    () => loadWeights(onnxModel, backend, fixture("caffe_9.onnx")),
    FileError,
  );
  assert(
    error.message.endsWith(
      "missing features.0.weight, features.0.bias, features.3.weight (and 13 more): " +
        "the names must be those of stateDict() of OnnxNetwork",
    ),
    error.message,
  );
});

testOnEveryBackend("AlexNet.load() loads an ONNX file without layers", async (backend) => {
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

testOnEveryBackend(
  "classify() of an ONNX model names the weights that are NaN",
  async (backend) => {
    using model = await loadModel({ backend, weights: fixture("caffe_9.onnx") });
    model.stateDict().get("fc7.bias")!.write(new Float32Array([NaN]));
    const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
    await assertRejects(() => model.classify(image), PembrokeError, "fc7.bias holds NaN");
  },
);
