import { runInNewContext } from "node:vm";
import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import {
  Conv2d,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  Softmax,
} from "../../src/layers/mod.ts";
import { Classifier } from "../../src/models/classifier.ts";
import { loadModel } from "../../src/models/load_model.ts";
import { createModel, networkNames } from "../../src/models/registry.ts";
import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnFewBackends } from "../backends.ts";
import { golden, images, loadNarrow, narrowNames } from "./narrow.ts";

Deno.test("replaceHead() gives every network other classes", () => {
  for (const name of networkNames) {
    using model = createModel(name);
    const before = [...model.stateDict().keys()];
    model.replaceHead(["ant", { wnid: "n1", label: "bee" }, "wasp"]);
    const input = model.inputShape(2);
    assertEquals(model.outputShape(input), [2, 3], name);
    assertEquals(model.classes.map(({ label }) => label), ["ant", "bee", "wasp"], name);
    assertEquals(model.numClasses, 3, name);
    assertEquals([...model.stateDict().keys()], before, name);
    const { weight, bias } = model.head.layer.parameters;
    assertEquals([weight.shape, bias!.shape], [[3, model.featureCount], [3]], name);
    model.replaceHead(["only one"]);
    assertEquals(model.outputShape(input), [2, 1], name);
  }
});

Deno.test("the features of networks have torchvision's sizes", () => {
  const counts = {
    alexnet: 4096,
    "alexnet-tiny": 512,
    "resnet-tiny": 384,
    bvlc_alexnet: 4096,
    squeezenet1_1: 512,
    resnet18: 512,
    resnet50: 2048,
    densenet121: 1024,
    googlenet: 1024,
    mobilenet_v2: 1280,
    mobilenet_v3_small: 1024,
    shufflenet_v2_x1_0: 1024,
    efficientnet_b0: 1280,
  } as const;
  for (const [name, count] of Object.entries(counts)) {
    using model = createModel(name as keyof typeof counts);
    assertEquals(model.featureCount, count, name);
  }
});

testOnFewBackends("features() computes what the last layer takes", async (backend) => {
  // compiling shaders takes seconds for each network
  const few = ["squeezenet1_1", "resnet18"] as const;
  for (const name of backend.device === "webgpu" ? few : narrowNames) {
    using model = await loadNarrow(name, backend);
    const { side } = golden.narrow[name], { featureCount } = model;
    using x = backend.upload(images(2, side), [2, 3, side, side]);
    using expected = model.forward(x), features = model.features(x);
    assertEquals(features.shape, [2, featureCount], name);
    const { weight, bias } = model.head.layer.parameters;
    const old = [await weight.tensor!.read(), await bias!.tensor!.read()];
    const isConv = model.head.layer instanceof Conv2d;
    model.replaceHead(Array.from({ length: 7 }, (_, i) => `class ${i}`), { seed: 1 });
    using again = model.features(x);
    assertEquals(await again.read(), await features.read(), name);
    const { parameters } = model.head.layer;
    parameters.weight.write(old[0]);
    parameters.bias!.write(old[1]);
    if (isConv) continue; // its ReLU is gone: see the test below
    using actual = model.forward(x);
    const values = await expected.read();
    for (const [i, value] of (await actual.read()).entries()) {
      assertAlmostEquals(value, values[i], 1e-5, `${name} ${i}`);
    }
  }
});

Deno.test("SqueezeNet's new head is linear in the averages", async () => {
  using backend = await createBackend({ device: "wasm" });
  using model = await loadNarrow("squeezenet1_1", backend);
  model.replaceHead(["a", "b"], { seed: 3 });
  const { side } = golden.narrow.squeezenet1_1, n = model.featureCount;
  using x = backend.upload(images(2, side), [2, 3, side, side]);
  using y = model.forward(x), features = model.features(x);
  const averages = await features.read(), logits = await y.read();
  const { weight, bias } = model.head.layer.parameters;
  const w = await weight.tensor!.read(), b = await bias!.tensor!.read();
  for (const [i, logit] of logits.entries()) {
    const row = Math.floor(i / 2), c = i % 2;
    let sum = b[c];
    for (let k = 0; k < n; k++) sum += w[c * n + k] * averages[row * n + k];
    assertAlmostEquals(logit, sum, 1e-4);
  }
});

Deno.test("the seed decides on the initial values, which are those of Linear", async () => {
  using backend = await createBackend({ device: "wasm" });
  using linear = new Linear(512, 2).init(backend, { seed: 5 });
  using model = createModel("alexnet-tiny").init(backend).replaceHead(["a", "b"], { seed: 5 });
  const { weight } = model.head.layer.parameters;
  assertEquals(await weight.tensor!.read(), await linear.parameters.weight.tensor!.read());
  const before = backend.bytesInUse;
  model.replaceHead(["a", "b"]);
  assertEquals(backend.bytesInUse, before); // the old head is freed
});

testOnFewBackends("graphs around a network take its new head", async (backend) => {
  const inner = await loadNarrow("resnet18", backend), { side } = golden.narrow.resnet18;
  using outer = new Sequential([new Sequential([inner]), new Softmax()]);
  using x = backend.upload(images(2, side), [2, 3, side, side]);
  outer.forward(x).dispose(); // makes a plan
  inner.replaceHead(["a", "b", "c"], { seed: 1 });
  assertEquals(outer.outputShape(x.shape), [2, 3]);
  assertEquals(outer.stateDict().get("0.0.fc.weight")?.shape, [3, inner.featureCount]);
  const check = async () => {
    using y = outer.forward(x), logits = inner.forward(x), expected = new Softmax().forward(logits);
    assertEquals(await y.read(), await expected.read());
  };
  await check();

  using dy = backend.upload(new Float32Array(4).fill(1), [2, 2]);
  outer.train().forward(x).dispose();
  inner.replaceHead(["a", "b"], { seed: 2 });
  const early = () => outer.backwardParameters(dy);
  assertThrows(early, PembrokeError, "Sequential: backward() needs a forward pass");
  using _y = outer.forward(x);
  outer.backwardParameters(dy);
  assertEquals(outer.stateDict().get("0.0.fc.weight")?.grad?.shape, [2, inner.featureCount]);
  outer.eval();
  await check();
});

Deno.test("replaceHead() works for ONNX networks", async () => {
  using backend = await createBackend({ device: "wasm" });
  for (const name of ["squeezenet1_1", "resnet18", "vgg11_bn"] as const) {
    const weights = new URL(`../fixtures/networks/${name}.onnx`, import.meta.url);
    using model = await loadModel({ weights, backend });
    using narrow = await loadNarrow(name, backend);
    using x = backend.upload(new Float32Array(model.inputShape().reduce((a, b) => a * b)), [
      ...model.inputShape(),
    ]);
    using a = model.features(x), b = narrow.features(x);
    const expected = await b.read();
    for (const [i, value] of (await a.read()).entries()) {
      assertAlmostEquals(value, expected[i], 1e-4, name);
    }
    model.replaceHead(["a", "b", "c"]);
    using y = model.forward(x);
    assertEquals(y.shape, [1, 3]);
  }
});

Deno.test("replaceHead() refuses other networks and invalid classes", () => {
  const preprocessing = { resize: 8, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const classes = [{ wnid: "", label: "a" }];
  const endings = [
    [new Conv2d(3, 1, 1), new Flatten(), new Softmax(1)],
    [new Conv2d(3, 1, 8), new Flatten()],
    [new Conv2d(3, 1, 1), new MaxPool2d(8), new Flatten()],
    [new Flatten(), new Linear(192, 1), new ReLU()],
  ];
  for (const layers of endings) {
    using model = new Classifier(layers, { preprocessing, classes });
    const error = assertThrows(() => model.replaceHead(["b"]), PembrokeError);
    assertEquals(
      error.message,
      "Classifier: has no head to replace: it must end in a Linear, or in a 1×1 Conv2d and an " +
        "average over the image",
    );
  }
  using model = createModel("alexnet-tiny");
  for (const bad of [[], [""], [1], "ab", [{ label: "a" }], null, ["a", "a"], Array(2)]) {
    assertThrows(() => model.replaceHead(bad as string[]), ArgumentError);
  }
  assertEquals(model.numClasses, 200);
});

/** A classifier of single pixels. */
function ofPixels(outputs: number, classes: readonly string[]): Classifier {
  const preprocessing = { resize: 1, crop: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const layers = [new Conv2d(3, 4, 1), new Flatten(), new Linear(4, outputs)];
  return new Classifier(layers, {
    preprocessing,
    classes: classes.map((label) => ({ wnid: "", label })),
  });
}

const pixel = Float32Array.of(0.5, -2, 3);

Deno.test("classify() and scales of weights may come from another realm", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = ofPixels(2, ["a", "b"]).init(backend, { seed: 1 });
  const foreign: Float32Array = runInNewContext("Float32Array.of(0.5, -2, 3)");
  assertEquals(await model.classify(foreign), await model.classify(pixel));
  const conv = new Conv2d(1, 3, 1);
  conv.weightScales = runInNewContext("Float32Array.of(1, 2, 3)");
  assertEquals([...conv.weightScales!], [1, 2, 3]);
});

Deno.test("classify() returns what the model was in its pass, whatever follows", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = ofPixels(2, ["ant", "bee"]).init(backend, { seed: 1 });
  model.temperature = 3;
  const expected = await model.classify(pixel), forward = model.forward.bind(model);
  model.forward = (x) => {
    const y = forward(x), read = y.read.bind(y);
    y.read = () => {
      model.replaceHead(["cat", "dog", "eel"]);
      return read();
    };
    return y;
  };
  assertEquals(await model.classify(pixel), expected);
  assertEquals([model.numClasses, model.temperature], [3, 1]);
});

Deno.test("predictions of one network can be the classes of another", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = ofPixels(3, ["ant", "bee", "cow"]).init(backend, { seed: 1 });
  const classes = (await model.classify(pixel, { topK: 2 })).toReversed();
  model.replaceHead(classes, { seed: 2 });
  for (const { index, label, ...other } of await model.classify(pixel)) {
    assertEquals([label, Object.keys(other)], [classes[index].label, ["wnid", "probability"]]);
  }
});

Deno.test("a network that is disposed of while it classifies leaves no memory in use", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const predictions = model.classify({ width: 1, height: 1, data: new Uint8Array(3) });
  await null;
  model.dispose();
  await assertRejects(() => predictions, PembrokeError, "no values yet");
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("classify() rejects with the reason of its signal", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = ofPixels(2, ["ant", "bee"]).init(backend, { seed: 1 });
  const { signal } = new AbortController(), gone = AbortSignal.abort(new Error("gone"));
  assertEquals(await model.classify(pixel, { topK: 1, signal }), [
    (await model.classify(pixel))[0],
  ]);
  await assertRejects(() => model.classify(pixel, { signal: gone }), Error, "gone");
});

Deno.test("classify() refuses a model that training begins with meanwhile", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = ofPixels(2, ["ant", "bee"]).init(backend, { seed: 1 });
  const predictions = model.classify(pixel);
  model.train();
  await assertRejects(() => predictions, PembrokeError, "call eval() first");
});

Deno.test("classify() refuses a model with more scores than classes, or fewer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  for (const outputs of [3, 4]) {
    const model = ofPixels(outputs, ["ant", "bee"]).init(backend, { seed: 1 });
    const error = await assertRejects(() => model.classifyBatch([pixel, pixel]), PembrokeError);
    assertEquals(
      error.message,
      `Classifier: its output has ${outputs} scores for an image, but 2 classes; ` +
        "pass a name for each score",
    );
    model.dispose();
    assertEquals(backend.bytesInUse, 0);
  }
});

Deno.test("classify() refuses one score for one class, whose probability would always be 100 %", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = ofPixels(1, ["ant"]).init(backend, { seed: 1 });
  const error = await assertRejects(() => model.classify(pixel), PembrokeError);
  assertEquals(
    error.message,
    "Classifier: cannot classify with one class; use forward()",
  );
});
