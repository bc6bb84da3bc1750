/** Networks with one score for an image, which decides between two classes. */

import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import {
  AvgPool2d,
  Flatten,
  Linear,
  Sequential,
  Sigmoid,
  Softmax,
  Unflatten,
} from "../../src/layers/mod.ts";
import { AlexNet } from "../../src/models/alexnet.ts";
import { Classifier } from "../../src/models/classifier.ts";
import { classScores, type Prediction } from "../../src/models/classify.ts";
import { loadModel } from "../../src/models/load_model.ts";
import { createModel, type NetworkName } from "../../src/models/registry.ts";
import { saveModel } from "../../src/models/save_model.ts";
import { arrayDataset, evaluate, SGD, Trainer } from "../../src/train/mod.ts";
import { bytesSource, openWeights, writePth } from "../../src/weights/mod.ts";
import { describeWeights } from "../../src/models/recognize.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import expected from "../fixtures/onnx/binary/expected.json" with { type: "json" };
import { bytes } from "../weights/helpers.ts";
import { field, floats, node, tensor } from "../weights/onnx/helpers.ts";
import { images } from "./narrow.ts";
import { fixture, smallModel } from "./onnx/models.ts";

const cat = { wnid: "", label: "cat" }, dog = { wnid: "", label: "dog" };
const classes = [cat, dog];
const remedy = "its output has one score for an image; pass the names of two classes";

/** The probabilities of both classes, by index. */
function inOrder(predictions: readonly Prediction[]): number[] {
  assertEquals(predictions.length, 2);
  const [first, second] = predictions;
  assert(first.probability >= second.probability);
  return predictions.toSorted((a, b) => a.index - b.index).map(({ probability }) => probability);
}

testOnEveryBackend("a single score has the probabilities of PyTorch", async (backend) => {
  const all = images(3, 16), size = all.length / 3;
  const photos = [0, 1, 2].map((n) => all.slice(n * size, (n + 1) * size));
  for (const name of ["logit", "sigmoid", "squeezed"]) {
    using model = await loadModel({ backend, weights: fixture(`binary/${name}.onnx`), classes });
    assertEquals(model.numClasses, 2);
    const batch = await model.classifyBatch(photos);
    const probabilities = batch.map(inOrder);
    const [first, second] = [0, 1].map((index) => probabilities.map((row) => row[index]));
    assertAllClose(second, expected.probabilities, { abs: 1e-5, name });
    assertAllClose(first, expected.probabilities.map((p) => 1 - p), { abs: 1e-5, name });
    assertEquals(batch.map(([{ label }]) => label), ["cat", "dog", "dog"]);
    const [best, ...others] = await model.classify(photos[0], { topK: 1 });
    assertEquals([best.label, others], ["cat", []]);
  }
});

Deno.test("a single score without names is a probability if the network ends in a sigmoid", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const name of ["sigmoid", "squeezed"]) {
    using model = await loadModel({ backend, weights: fixture(`binary/${name}.onnx`) });
    assertEquals(model.classes.map(({ label }) => label), ["class 0", "class 1"]);
    assertEquals((await model.classify(images(1, 16)))[0].label, "class 0");
  }
  const weights = fixture("binary/logit.onnx");
  using model = await loadModel({ backend, weights });
  const error = await assertRejects(() => model.classify(images(1, 16)), PembrokeError);
  assertEquals(error.message, `OnnxNetwork: ${remedy}`);
  using single = await loadModel({ backend, weights, numClasses: 1 });
  assertEquals([single.numClasses, model.numClasses], [1, 1]);
  using numbered = await loadModel({ backend, weights, numClasses: 2 });
  assertEquals((await numbered.classify(images(1, 16)))[0].label, "class 0");
  for (const count of [1, 3]) {
    const names = [cat, dog, cat].slice(0, count);
    const wrong = await assertRejects(
      () => loadModel({ backend, weights, classes: names }),
      ArgumentError,
    );
    const end = `the number of classes is ${count}, must be 2, as in ${weights}`;
    assertEquals(wrong.message, `OnnxNetwork: ${end}`);
  }
});

const oneByOne = { resize: 1, crop: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** One score from a 4×4 image, like Keras' `Dense(1)`. */
const score = [
  node("Flatten", ["x"], ["f"]),
  node("MatMul", ["f", "w"], ["m"]),
  node("Add", ["m", "b"], ["z"]),
];

const dense = [
  floats("w", [48, 1], ...Array.from({ length: 48 }, (_, i) => (i % 5 - 2) / 20)),
  floats("b", [1], 0.25),
];

const pixels = Float32Array.from({ length: 48 }, (_, i) => i % 5 === 0 ? 1 : i / 60);

/** The logit of `pixels`. */
const logit = pixels.reduce((sum, value, i) => sum + value * (i % 5 - 2) / 20, 0.25);

Deno.test("a sigmoid is found before rounding and views", async () => {
  using backend = await createBackend({ threads: 1 });
  const rounded = [
    node("QuantizeLinear", ["s", "scale", "zero"], ["q"]),
    node("DequantizeLinear", ["q", "scale", "zero"], ["r"]),
    node("Unsqueeze", ["r", "axis"], ["y"]),
  ];
  const weights = smallModel({
    nodes: [...score, node("Sigmoid", ["z"], ["s"]), ...rounded],
    tensors: [
      ...dense,
      floats("scale", [], 1 / 256),
      tensor("zero", [], 2, field(9, Uint8Array.of(0))),
      tensor("axis", [1], 7, field(7, Uint8Array.of(2))),
    ],
  });
  const probability = 1 / (1 + Math.exp(-logit));
  assert(Math.abs(probability - 0.5) > 0.05);
  for (const precision of ["f32", "int8"] as const) {
    using model = await loadModel({ backend, weights, precision });
    assertEquals(model.outputShape([2, 3, 4, 4]), [2, 1, 1]);
    const [first, second] = inOrder(await model.classify(pixels));
    assertAllClose([first, second], [1 - probability, probability], { abs: 0.01 });
    assertEquals(model.head.featureCount, 48);
    model.replaceHead(["ant", "bee", "wasp"]);
    const learned = await model.classify(pixels);
    assertAllClose([learned.reduce((sum, p) => sum + p.probability, 0)], [1], { abs: 1e-6 });
  }
});

Deno.test("a sigmoid may consist of its parts", async () => {
  using backend = await createBackend({ threads: 1 });
  const parts = [
    node("Neg", ["z"], ["n"]),
    node("Exp", ["n"], ["e"]),
    node("Add", ["one", "e"], ["a"]),
  ];
  const tensors = [...dense, floats("one", [], 1), floats("minus", [], -1)];
  for (
    const last of [
      node("Reciprocal", ["a"], ["y"]),
      node("Div", ["one", "a"], ["y"]),
      node("Pow", ["a", "minus"], ["y"]),
    ]
  ) {
    const weights = smallModel({ nodes: [...score, ...parts, last], tensors });
    using model = await loadModel({ backend, weights });
    assertEquals(model.leaves().map(([, { type }]) => type), ["Flatten", "Linear", "Sigmoid"]);
    const [first, second] = inOrder(await model.classify(pixels)),
      probability = 1 / (1 + Math.exp(-logit));
    assertAllClose([first, second], [1 - probability, probability], { abs: 1e-6 });
  }
});

Deno.test("the names of both classes may be in the file", async () => {
  using backend = await createBackend({ threads: 1 });
  const file = smallModel({ nodes: [...score, node("Identity", ["z"], ["y"])], tensors: dense });
  const names = field(14, field(1, "names"), field(2, '{0: "cat", 1: "dog"}'));
  using model = await loadModel({ backend, weights: bytes(file, names) });
  const [, second] = inOrder(await model.classify(pixels));
  assertEquals(model.classes, classes);
  assertAllClose([second], [1 / (1 + Math.exp(-logit))], { abs: 1e-6 });
  const three = field(14, field(1, "names"), field(2, "cat,dog,bird"));
  using others = await loadModel({ backend, weights: bytes(file, three) });
  const error = await assertRejects(() => others.classify(pixels), PembrokeError);
  assertEquals(error.message, `OnnxNetwork: ${remedy}`);
});

Deno.test("the softmax of a single score, which is always 1, decides nothing", async () => {
  using backend = await createBackend({ threads: 1 });
  const nodes = [...score, node("Softmax", ["z"], ["y"], { axis: -1 })];
  const weights = smallModel({ nodes, tensors: dense });
  using model = await loadModel({ backend, weights });
  assertEquals(model.numClasses, 0);
  const error = await assertRejects(() => model.classify(pixels), PembrokeError);
  const end = "because it outputs y [N, 1]: use forward() or outputsOf()";
  assertEquals(error.message, `OnnxNetwork: cannot classify images, ${end}`);
});

Deno.test("a single score that is neither a logit nor the result of a sigmoid is refused", async () => {
  using backend = await createBackend({ threads: 1 });
  const constants = [...dense, floats("one", [], 1), floats("zero", [], 0), floats("two", [], 2)];
  const sigmoid = node("Sigmoid", ["z"], ["s"]);
  const ends = {
    "node y (HardSigmoid)": [node("HardSigmoid", ["z"], ["y"])],
    "node s (Sigmoid)": [sigmoid, node("Sub", ["one", "s"], ["y"])],
    "node y (Clip)": [node("Clip", ["z", "zero", "one"], ["y"])],
    "node /last/Reciprocal (Reciprocal)": [
      ...[node("Exp", ["z"], ["e"]), node("Add", ["e", "two"], ["a"])],
      node("Reciprocal", ["a"], ["y"], {}, { name: "/last/Reciprocal" }),
    ],
  };
  const end = "so it is no logit; make Linear or Sigmoid its last layer, or use forward()";
  for (const [source, nodes] of Object.entries(ends)) {
    const weights = smallModel({ nodes: [...score, ...nodes], tensors: constants });
    for (const names of [classes, undefined]) {
      using model = await loadModel({ backend, weights, classes: names });
      const error = await assertRejects(() => model.classify(pixels), PembrokeError);
      assertEquals(
        error.message,
        `OnnxNetwork: its score for an image comes from ${source}, ${end}`,
      );
    }
  }
  const softmax = [new Flatten(), new Linear(3, 1), new Softmax(1)];
  using own = new Classifier(softmax, { preprocessing: oneByOne, classes }).init(backend);
  const error = await assertRejects(() => own.classify(Float32Array.of(1, 2, 3)), PembrokeError);
  assertEquals(error.message, `Classifier: its score for an image comes from Softmax, ${end}`);

  const scaled = [node("Mul", ["z", "two"], ["m2"]), node("Sub", ["m2", "one"], ["y"])];
  const weights = smallModel({ nodes: [...score, ...scaled], tensors: constants });
  using model = await loadModel({ backend, weights, classes });
  const [, second] = inOrder(await model.classify(pixels));
  assertAllClose([second], [1 / (1 + Math.exp(1 - 2 * logit))], { abs: 1e-6 });
});

Deno.test("a Linear with one output in place of a convolution takes the names of two classes", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = createModel("squeezenet1_1").init(backend, { seed: 1 });
  model.replaceHead(["ant"], { seed: 1 });
  const weights = await saveModel(model), x = images(1, 224);
  const alone = await assertRejects(() => model.classify(x), PembrokeError);
  assertEquals(alone.message, "squeezenet1_1: cannot classify with one class; use forward()");
  using input = backend.upload(x, model.inputShape()), output = model.forward(input);
  const [score] = await output.read();
  using same = await loadModel({ backend, weights, classes });
  assertEquals(same.outputShape(same.inputShape()), [1, 1]);
  const [, second] = inOrder(await same.classify(x));
  assertAllClose([second], [1 / (1 + Math.exp(-score))], { abs: 1e-6 });
  using again = await loadModel({ backend, weights: await saveModel(same) });
  assertEquals([again.classes, again.hasLinearHead], [classes, true]);
  assertEquals(await again.classify(x), await same.classify(x));
  same.replaceHead(["ant", "bee"]);
  assertEquals(same.outputShape(same.inputShape()), [1, 2]);
});

Deno.test("AlexNet.load() reads weights with one output for two classes", async () => {
  using backend = await createBackend({ threads: 1 });
  const narrow = { channels: [2, 2, 2, 2, 2], hiddenFeatures: 4 } as const;
  using model = new AlexNet({ ...narrow, numClasses: 1, classes }).init(backend, { seed: 1 });
  const weights = await saveModel(model), x = images(1, 224);
  using same = await AlexNet.load({ ...narrow, backend, weights });
  assertEquals(same.classes, classes);
  assertEquals(await same.classify(x), await model.classify(x));
});

Deno.test("cross-entropy refuses a network with one score", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const layers of [[new Linear(3, 1)], [new Linear(3, 1), new Unflatten(1, [1, 1])]]) {
    using model = new Sequential(layers).init(backend);
    const data = arrayDataset(new Float32Array(6), [0, 0], [3]);
    using optimizer = new SGD(model, { lr: 1 });
    const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
    for (
      const [op, run] of [["Trainer", () => trainer.step()], [
        "evaluate",
        () => evaluate(model, data),
      ]] as const
    ) {
      const error = await assertRejects(run, PembrokeError);
      const advice = "call replaceHead() with two classes, or set the option loss";
      const reason = "one score for a sample, but cross-entropy needs one for each class";
      assertEquals(error.message, `${op}: the model has ${reason}; ${advice}`);
    }
    assertEquals(optimizer.steps, 0);
  }
});

Deno.test("weights with one output take the names of two classes", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const name of ["alexnet-tiny", "squeezenet1_1", "resnet-tiny"] satisfies NetworkName[]) {
    using model = createModel(name, { numClasses: 1, classes }).init(backend, { seed: 1 });
    assertEquals(model.outputShape(model.inputShape(2)), [2, 1], name);
    model.temperature = 2;
    const x = images(1, model.preprocessing.crop);
    using input = backend.upload(x, model.inputShape());
    using output = model.forward(input);
    const [score] = await output.read();
    const tensors = [...model.stateDict()].map(async ([name, { shape, tensor }]) => ({
      ...{ name, shape, dtype: "F32" as const },
      data: await tensor!.read(),
    }));
    const pth = writePth(await Promise.all(tensors));
    const check = async (weights: Uint8Array<ArrayBuffer>, temperature: number) => {
      using same = await loadModel({ backend, weights, classes });
      assertEquals(same.classes, classes);
      const [first, second] = inOrder(await same.classify(x));
      const expected = 1 / (1 + Math.exp(-score / temperature));
      assertAllClose([first, second], [1 - expected, expected], { abs: 1e-6, name });
      same.replaceHead(["ant", "bee"]);
      assertEquals(same.outputShape(same.inputShape()), [1, 2]);
    };
    await check(pth, 1);
    await check(await saveModel(model), 2);

    using unnamed = await loadModel({ backend, weights: pth });
    const error = await assertRejects(() => unnamed.classify(x), PembrokeError);
    assertEquals(error.message, `${model.type}: ${remedy}`);
    await check(await saveModel(unnamed), 1);
    using file = await openWeights(bytesSource(pth));
    assertEquals(describeWeights(file)?.classes.length, 1);
    const three = [...classes, { wnid: "", label: "bird" }];
    const wrong = await assertRejects(
      () => loadModel({ backend, weights: pth, classes: three }),
      FileError,
    );
    assert(wrong.message.endsWith(": its last layer has 1 outputs"), wrong.message);
    const alone = await assertRejects(() => saveModel(model, { headOnly: true }), PembrokeError);
    assert(alone.message.endsWith("call replaceHead() first"), alone.message);
  }
});

Deno.test("the scores of both classes stay exact for certain images", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const isSigmoid of [false, true]) {
    const layers = [new AvgPool2d(1), new Flatten(), new Linear(3, 1)];
    const all = isSigmoid ? [...layers, new Sigmoid()] : layers;
    using model = new Classifier(all, { preprocessing: oneByOne, classes }).init(backend);
    const { weight, bias } = model.head.layer.parameters;
    weight.write(Float32Array.of(1, 0, 0));
    bias!.write(Float32Array.of(0));
    for (const z of [-300, -20, 0, 20, 300]) {
      const [first, second] = inOrder(await model.classify(Float32Array.of(z, 0, 0)));
      const expected = [1 / (1 + Math.exp(z)), 1 / (1 + Math.exp(-z))];
      assertAllClose([second], [expected[1]], { rel: 1e-5, abs: 1e-38 });
      assertAllClose([first], [expected[0]], isSigmoid ? { abs: 1e-7 } : { rel: 1e-6, abs: 1e-38 });
    }
    const outputs = Float32Array.of(0.25, 1);
    const scores = isSigmoid ? [0.75, 0.25, 0, 1] : [0, 0.25, 0, 1];
    assertEquals([...classScores(outputs, 2, isSigmoid)], scores);
    assertEquals(classScores(outputs, 1, isSigmoid), outputs);
  }
});

Deno.test("one output takes one name or two, and no others", () => {
  for (const name of ["alexnet", "resnet18", "resnet-tiny"] satisfies NetworkName[]) {
    for (const count of [1, 2]) {
      const names = classes.slice(0, count);
      using model = createModel(name, { numClasses: 1, classes: names });
      assertEquals([model.numClasses, model.outputShape(model.inputShape())], [count, [1, 1]]);
    }
    const three = [...classes, { wnid: "", label: "bird" }];
    assertThrows(() => createModel(name, { numClasses: 1, classes: three }), ArgumentError);
    assertThrows(() => createModel(name, { numClasses: 2, classes: three }), ArgumentError);
  }
});

Deno.test("classify() returns the probabilities of its pass, whatever follows", async () => {
  using backend = await createBackend({ threads: 1 });
  const layers = [new Flatten(), new Linear(3, 1), new Sigmoid()];
  using model = new Classifier(layers, { preprocessing: oneByOne, classes }).init(backend);
  const pixel = Float32Array.of(1, 2, 3), forward = model.forward.bind(model);
  const expected = await model.classify(pixel);
  model.forward = (x) => {
    const y = forward(x), read = y.read.bind(y);
    y.read = () => {
      model.replaceHead(["ant", "bee"]);
      return read();
    };
    return y;
  };
  assertEquals(await model.classify(pixel), expected);
});
