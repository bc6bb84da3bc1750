/** Explanations of classes, and what they refuse. */

import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { classIndex, explain } from "../../src/explain/explain.ts";
import { GradientGraph } from "../../src/explain/gradient_graph.ts";
import { stagesOf } from "../../src/explain/inspect.ts";
import { decodeImage } from "../../src/image/decode.ts";
import {
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  GroupNorm,
  type Layer,
  LayerNorm,
  Linear,
  PReLU,
  ReLU,
  Sequential,
  Tanh,
} from "../../src/layers/mod.ts";
import { Classifier, loadModel } from "../../src/models/mod.ts";
import { elements } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnFewBackends, testWithThreads } from "../backends.ts";
import { withOwnForward } from "../layers/own_forward.ts";

const preprocessing = { resize: 8, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const classes = [{ wnid: "", label: "a" }, { wnid: "", label: "b" }];

const photo = async (name: string) =>
  await decodeImage(await Deno.readFile(new URL(`../photos/${name}`, import.meta.url)));

Deno.test("an ONNX network with the channels last is explained by its last planes", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const weights = new URL("../fixtures/onnx/graphs/channels_last.onnx", import.meta.url);
  using model = await loadModel({ backend, weights });
  const data = Uint8Array.from({ length: 24 * 20 * 3 }, (_, i) => 128 + 127 * Math.sin(i));
  const image = { width: 24, height: 20, data };
  const { width, height } = await explain(model, image);
  assertEquals([width, height], [6, 5]); // neither padded nor pooled
  using x = backend.upload(model.preprocess(image), model.inputShape());
  const stages = await stagesOf(model, x);
  assertEquals(stages.map((stage) => [stage.channels, stage.height, stage.width]), [
    [4, 5, 6],
    [4, 6, 7],
    [4, 3, 3],
  ]);
});

testOnFewBackends("networks with a class token are explained by both methods", async (backend) => {
  const weights = new URL("../fixtures/onnx/attention/transformer_13.onnx", import.meta.url);
  using model = await loadModel({ backend, weights });
  const data = Uint8Array.from({ length: 6 * 6 * 3 }, (_, i) => 128 + 127 * Math.sin(i * i));
  const image = { width: 6, height: 6, data };
  for (const [method, side] of [["grad-cam", 3], ["saliency", 6]] as const) {
    const { heat, width, height } = await explain(model, image, { method });
    assertEquals([width, height], [side, side]);
    assert(heat.every(Number.isFinite) && heat.some((value) => value > 0), method);
  }
});

testOnFewBackends("a frozen network has the gradient of evaluation mode", async (backend) => {
  using net = new Sequential([
    new Conv2d(2, 6, 3, { padding: 1, groups: 2 }),
    new BatchNorm2d(6),
    new PReLU(6),
    new ConvTranspose2d(6, 4, 2, { stride: 2 }),
    new GroupNorm(2, 4),
    new Dropout(0.9),
    new LayerNorm([10, 10]),
    new Flatten(),
    new Linear(400, 3),
  ]).init(backend, { seed: 1 });
  const [mean, variance] = ["running_mean", "running_var"].map((key) =>
    net.stateDict().get(`1.${key}`)!
  );
  mean.write(Float32Array.from({ length: 6 }, (_, i) => i / 10 - 0.2));
  variance.write(Float32Array.from({ length: 6 }, (_, i) => 0.1 + i / 5));
  const values = Float32Array.from({ length: 50 }, (_, i) => Math.sin(i * i)), shape = [1, 2, 5, 5];
  const score = async (values: Float32Array) => {
    using x = backend.upload(values, shape);
    using y = net.forward(x);
    return (await y.read())[1];
  };
  using graph = await GradientGraph.make(net.expand().nodes, -1, net.expand().output);
  using x = backend.upload(values, shape);
  using gradient = graph.gradient(x, 1);
  const actual = await gradient.read(), step = 1e-2;
  for (const i of [0, 7, 24, 25, 31, 49]) {
    const up = await score(values.with(i, values[i] + step));
    const down = await score(values.with(i, values[i] - step));
    // float32 leaves three digits of the difference
    assertAllClose([actual[i]], [(up - down) / (2 * step)], { abs: 2e-3, name: `${i}` });
  }
  assert(actual.some((value) => Math.abs(value) > 0.05));
  assert([...net.stateDict().values()].every(({ grad }) => grad === undefined));
});

testWithThreads("int8 weights are explained almost as float32 ones", async (backend) => {
  const image = await photo("coffee.jpg");
  const [f32, int8] = [
    await loadModel({ backend, precision: "f32" }),
    await loadModel({ backend }),
  ];
  using _ = f32;
  using _int8 = int8;
  const a = await explain(f32, image), b = await explain(int8, image);
  assertEquals([a.label, a.width, a.height], ["espresso", 4, 4]);
  assertEquals(b.label, a.label);
  assertAllClose(b.heat, a.heat, { abs: 0.1 }); // heat is from 0 to 1
  assertEquals(Math.max(...a.heat), 1);
  const options = { class: "espresso", method: "saliency", noise: 0 } as const;
  const [c, d] = [await explain(f32, image, options), await explain(int8, image, options)];
  assertEquals([c.width, c.height, d.heat.length], [64, 64, 4096]);
  const difference = d.heat.reduce((sum, value, i) => sum + Math.abs(value - c.heat[i]), 0) / 4096;
  assert(difference < 0.05, `${difference}`);
});

testWithThreads("classes have an index, a label, one of its names, or an id", async (backend) => {
  using model = await loadModel({ backend, precision: "f32" });
  const image = { width: 80, height: 64, data: new Uint8Array(80 * 64 * 3).fill(90) };
  const { index, wnid, label } = await explain(model, image, { class: 3 });
  assertEquals([index, label], [3, model.classes[3].label]);
  for (const name of [label, label.toUpperCase(), label.split(", ").at(-1)!, wnid]) {
    assertEquals((await explain(model, image, { class: name })).index, 3);
  }
  // labels may be numbers
  const numbers = ["1", "2", "300"].map((label) => ({ wnid: "n", label }));
  assertEquals(classIndex({ classes: numbers }, "1"), 0);
  assertEquals(classIndex({ classes: numbers }, 1), 1);
  assertEquals(classIndex({ classes: numbers }, "300"), 2);
  assertEquals(classIndex(model, "3"), 3);
  assertEquals(classIndex({ classes: [{ wnid: "Taxon-7", label: "fox" }] }, "Taxon-7"), 0);
  for (const wrong of ["unicorn", "200", 200, -1, 0.5, ""]) {
    await assertRejects(() => explain(model, image, { class: wrong }), ArgumentError, "class");
  }
  for (const wrong of [null, {}, true, 1n] as unknown as string[]) {
    await assertRejects(() => explain(model, image, { class: wrong }), ArgumentError, "class");
  }
  const unnamed = ["a", "b"].map((label) => ({ wnid: "", label }));
  assertThrows(() => classIndex({ classes: unnamed }, ""), ArgumentError, 'class is ""');
});

testWithThreads("explain() refuses other models, methods and options", async (backend) => {
  using model = await loadModel({ backend, precision: "f32" });
  const image = { width: 80, height: 64, data: new Uint8Array(80 * 64 * 3).fill(90) };
  for (const other of [null, {}, new Flatten()] as unknown as Classifier[]) {
    await assertRejects(() => explain(other, image), ArgumentError, "explain: model is");
  }
  const method = "magic" as "saliency";
  await assertRejects(() => explain(model, image, { method }), ArgumentError, "method");
  for (const options of [{ samples: 0 }, { noise: -1 }, { noise: NaN }]) {
    const [[name, value]] = Object.entries(options),
      all = { ...options, method: "saliency" } as const;
    await assertRejects(
      () => explain(model, image, all),
      ArgumentError,
      `explain: ${name} is ${value}`,
    );
  }
  model.train();
  await assertRejects(() => explain(model, image), PembrokeError, "training mode");
});

testWithThreads("a network without a map of features has saliency only", async (backend) => {
  const small = { ...preprocessing, resize: 4, crop: 4 },
    layers = [new Flatten(), new Linear(48, 2)];
  using model = new Classifier(layers, { preprocessing: small, classes });
  model.init(backend, { seed: 1 });
  const image = { width: 4, height: 4, data: new Uint8Array(48).fill(50) };
  await assertRejects(() => explain(model, image), PembrokeError, "use saliency");
  // the gradient of a linear layer is its weights
  const { heat } = await explain(model, image, { class: 1, method: "saliency", noise: 0 });
  const weight = (await model.stateDict().get("1.weight")!.tensor!.read()).slice(48);
  const largest = Array.from({ length: 16 }, (_, i) => {
    return Math.max(...[0, 16, 32].map((plane) => Math.abs(weight[plane + i])));
  });
  const limit = largest.toSorted((a, b) => a - b)[Math.floor(0.99 * 15)];
  assertAllClose(heat, largest.map((value) => Math.min(value / limit, 1)), { abs: 1e-6 });
});

Deno.test("explain() refuses a network that changes before the explanation is complete", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const image = { width: 8, height: 8, data: Uint8Array.from({ length: 192 }, (_, i) => 37 * i) };
  const make = (precision: "f32" | "int8") => {
    const conv = new Conv2d(3, 4, 2, { stride: 2, precision }), norm = new BatchNorm2d(4);
    const layers = [conv, norm, new Flatten(), new Linear(64, 2, { precision })];
    return new Classifier(layers, { preprocessing, classes }).init(backend, { seed: 1 });
  };
  const write = (name: string) => (model: Classifier) => {
    const parameter = model.stateDict().get(name)!;
    parameter.write(new Float32Array(elements(parameter.shape)).fill(0.5));
  };
  const changes = [
    ...["0.weight", "1.running_mean", "3.weight"].map(write),
    (model: Classifier) => model.init(backend, { seed: 2 }),
    (model: Classifier) => model.replaceHead(["c", "d"]),
  ];
  const read = backend.read.bind(backend);
  let onRead = () => {};
  backend.read = (tensor) => {
    onRead();
    return read(tensor);
  };
  for (const method of ["grad-cam", "saliency"] as const) {
    for (const precision of ["f32", "int8"] as const) {
      const options = { class: 1, method, samples: 2 };
      using model = make(precision);
      let reads = 0;
      onRead = () => void reads++;
      await explain(model, image, options);
      for (const at of [1, reads]) {
        for (const change of changes) {
          using model = make(precision);
          let left = at;
          onRead = () => void (--left === 0 && change(model));
          const line = "Classifier got other weights or layers meanwhile";
          await assertRejects(() => explain(model, image, options), PembrokeError, line);
        }
      }
    }
  }
});

Deno.test("explain() frees what it allocates, also when a read fails", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const read = backend.read.bind(backend);
  let left = Infinity;
  backend.read = (tensor) => --left < 0 ? Promise.reject(new Error("lost")) : read(tensor);
  const image = { width: 8, height: 8, data: Uint8Array.from({ length: 192 }, (_, i) => 37 * i) };
  for (const precision of ["f32", "int8"] as const) {
    const conv = new Conv2d(3, 4, 2, { stride: 2, precision }), norm = new BatchNorm2d(4);
    const layers = [conv, norm, new Flatten(), new Linear(64, 2, { precision })];
    using model = new Classifier(layers, { preprocessing, classes }).init(backend, { seed: 1 });
    for (const method of ["grad-cam", "saliency"] as const) {
      const run = () => explain(model, image, { class: 1, method, samples: 2 });
      await run(); // plans stay
      const before = backend.bytesInUse;
      for (let reads = 0;; reads++) {
        left = reads;
        const failed = await run().then(() => false, () => true);
        assertEquals(backend.bytesInUse, before, `${precision}, ${method}, ${reads} reads`);
        if (!failed) break;
      }
      assert(left === 0, "all reads failed once");
      left = Infinity;
    }
  }
});

Deno.test("an explanation refuses layers with a forward pass and no known gradient", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const image = { width: 8, height: 8, data: new Uint8ClampedArray(192).fill(90) };
  const explained = async (layer: Layer, last: Layer = new Linear(256, 2)) => {
    const layers = [new Conv2d(3, 4, 1), layer, new Flatten(), last];
    using model = new Classifier(layers, { preprocessing, classes }).init(backend, { seed: 1 });
    return await explain(model, image, { method: "saliency", noise: 0 });
  };
  const block = new (withOwnForward(Sequential))([new Dropout(), new ReLU()]);
  const own = [
    block,
    new (withOwnForward(Conv2d))(4, 4, 1),
    new (withOwnForward(BatchNorm2d))(4),
    new (withOwnForward(GroupNorm))(2, 4),
    new (withOwnForward(Dropout))(),
  ];
  const calls = own.map((layer) => [layer, () => explained(layer)] as const);
  const last = new (withOwnForward(Linear))(256, 2);
  for (const [layer, call] of [...calls, [last, () => explained(new Tanh(), last)] as const]) {
    await assertRejects(
      call,
      PembrokeError,
      `explain: the class ${layer.constructor.name} has a forward() of its own, and its gradient in ` +
        "evaluation mode is unknown; use a class of this library",
    );
  }
  const { heat } = await explained(new (withOwnForward(ReLU))()),
    expected = await explained(new ReLU());
  assertEquals(heat, expected.heat); // its own backward() computes the gradient
});
