/** torchvision's networks: names, weights, logits and initial values. */

import { crc32 } from "../../src/io/crc32.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { type Backend, createBackend } from "../../src/backend/mod.ts";
import type { Preprocessing } from "../../src/image/preprocess.ts";
import { Flatten } from "../../src/layers/mod.ts";
import {
  AlexNet,
  AlexNetTiny,
  Classifier,
  type ClassName,
  createModel,
  loadModel,
  type NetworkOptions,
  saveModel,
  summarize,
} from "../../src/models/mod.ts";
import { classCount, describeWeights, recognize } from "../../src/models/recognize.ts";
import { type NetworkName, networkNames, networks } from "../../src/models/registry.ts";
import { elements, type Shape } from "../../src/tensor.ts";
import { type TensorToWrite, type WeightsFile, writePth } from "../../src/weights/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnBuilds, testOnFewBackends, testOnWasm } from "../backends.ts";
import { bits } from "../backend/harness.ts";
import { hasHighMemory } from "../backend/high_memory.ts";
import { hasGpu } from "../webgpu.ts";
import {
  golden,
  images,
  loadNarrow,
  type NarrowName,
  narrowNames,
  narrowNetwork,
} from "./narrow.ts";

/** torchvision's networks: those of the golden file. */
const torchvision = Object.keys(golden.networks) as (NetworkName & keyof typeof golden.networks)[];

/** Those that are tested on WebGPU: in software, those that need the fewest pipelines. */
const onWebGpu: readonly NarrowName[] = hasGpu
  ? narrowNames
  : ["resnext", "shufflenet", "efficientnet_b0"];

for (const name of narrowNames) {
  const compare = async (backend: Backend) => {
    const { side, logits } = golden.narrow[name];
    using model = await loadNarrow(name, backend);
    using x = backend.upload(images(2, side), [2, 3, side, side]);
    using y = model.forward(x);
    const largest = Math.max(...logits.map(Math.abs));
    assertAllClose(await y.read(), logits, { abs: 1e-4 * largest });
  };
  testOnBuilds(`a narrow ${name} gives PyTorch's logits`, compare);
  if (onWebGpu.includes(name)) {
    testOnFewBackends(`a narrow ${name} gives PyTorch's logits`, compare);
  }
}

/** Logits in 8 bits of each narrow network on the first backend that computed them. */
const firstLogits = new Map<string, Float32Array>();

testOnWasm("narrow networks in int8 give the same bits on every build", async (backend) => {
  if (hasHighMemory(backend)) return;
  for (const name of narrowNames) {
    const { side } = golden.narrow[name], pixels = images(2, side), size = pixels.length / 2;
    using model = (await loadNarrow(name, backend)).quantize();
    using x = backend.upload(pixels, [2, 3, side, side]);
    using y = model.forward(x);
    const values = await y.read(), first = firstLogits.get(name);
    if (!first) firstLogits.set(name, values);
    else assertEquals(bits(values), bits(first), name);
    using one = backend.upload(pixels.subarray(size), [1, 3, side, side]);
    using alone = model.forward(one);
    assertEquals(bits(await alone.read()), bits(values.slice(values.length / 2)), name);
  }
});

testOnBuilds(
  "int8 changes logits by less than 7 % where there are enough channels",
  async (backend) => {
    // rounding errors grow in the others, which have one to three channels in many layers
    for (
      const name of ["vgg11_bn", "squeezenet1_1", "resnet18", "resnext", "shufflenet"] as const
    ) {
      const { side, logits } = golden.narrow[name];
      using model = (await loadNarrow(name, backend)).quantize();
      using x = backend.upload(images(2, side), [2, 3, side, side]);
      using y = model.forward(x);
      assertAllClose(await y.read(), logits, { abs: 0.07 * Math.max(...logits.map(Math.abs)) });
    }
  },
);

Deno.test("networks have the names, shapes and counts of torchvision's", () => {
  const missing = networkNames.filter((name) => !(name in golden.networks));
  assertEquals(missing, ["alexnet", "alexnet-tiny", "resnet-tiny", "bvlc_alexnet"]);
  for (const name of torchvision) {
    const model = createModel(name), tensors = [...model.stateDict()];
    const text = tensors.map(([key, { shape }]) => `${key} ${shape.join()}\n`).join("");
    const parameters = tensors.filter(([, { requiresGrad }]) => requiresGrad)
      .reduce((sum, [, { shape }]) => sum + elements(shape), 0);
    const expected = golden.networks[name];
    assertEquals([name, parameters], [name, expected.parameters]);
    assertEquals([name, crc32(new TextEncoder().encode(text))], [name, expected.crc32]);
    assertEquals(model.outputShape(model.inputShape(2)), [2, 1000]);
    assertEquals([model.type, model.network], [name, name]);
  }
});

testOnBuilds("init() draws the values that torchvision draws", async (backend) => {
  for (const name of narrowNames) {
    using model = narrowNetwork(name).init(backend, { seed: 0 });
    for (const [key, drawn] of Object.entries(golden.narrow[name].drawn)) {
      const values = await model.stateDict().get(key)!.tensor!.read();
      const sum = values.reduce((a, b) => a + b, 0);
      assertAllClose([values.at(-1)!], [drawn[1]], { abs: 1e-6, name: `${name} ${key}` });
      assertAllClose([sum / values.length], [drawn[0] / values.length], { abs: 1e-6, name: key });
    }
  }
});

Deno.test("createModel() names the networks that it knows", () => {
  assertThrows(
    () => createModel("zzz" as NetworkName),
    ArgumentError,
    'createModel: name is "zzz", must be one of alexnet, alexnet-tiny, resnet-tiny, ',
  );
  for (
    const [name, ...similar] of [
      ["resnet_tiny", "resnet-tiny"],
      ["ResNet50", "resnet50"],
      ["efficientnet-b0", "efficientnet_b0"],
      ["mobilenet_v3", "mobilenet_v3_large", "mobilenet_v3_small"],
      ["resnet19", "resnet18", "resnet101", "resnet152"],
      ["alexent", "alexnet", "alexnet-tiny", "bvlc_alexnet"],
    ]
  ) {
    const text = `createModel: name is "${name}", must be a name in docs/networks.md, such as `;
    const call = () => createModel(name as NetworkName);
    assertEquals(assertThrows(call, ArgumentError).message, text + similar.join(", "));
  }
  const odd = [undefined, null, 1, Symbol("x"), Object.create(null), "a".repeat(1e6)];
  for (const name of ["constructor", "__proto__", "", ...odd]) {
    assertThrows(
      () => createModel(name as unknown as NetworkName),
      ArgumentError,
      "must be one of",
    );
  }
  assertThrows(() => createModel("vgg11", { numClasses: 0 }), ArgumentError, "vgg11: numClasses");
  assertThrows(() => createModel("vgg11", { dropout: 2 }), ArgumentError, "p is 2");
});

Deno.test("networks take options and classes in the right form only", async () => {
  const wrong = [
    3,
    "abc",
    ["a", 1],
    [{ label: "a" }],
    [null],
    Array(2),
  ] as unknown as ClassName[][];
  for (const name of ["alexnet", "alexnet-tiny", "resnet-tiny", "bvlc_alexnet", "vgg11"] as const) {
    for (const classes of wrong) {
      assertThrows(
        () => createModel(name, { classes }),
        ArgumentError,
        "a list of names, or of { wnid, label }",
      );
    }
    using named = createModel(name, { classes: ["cat", { wnid: "n1", label: "dog" }] });
    assertEquals(named.classes, [{ wnid: "", label: "cat" }, { wnid: "n1", label: "dog" }]);
    for (const options of [null, 7] as unknown as NetworkOptions[]) {
      assertThrows(() => createModel(name, options), ArgumentError, "options is ");
    }
  }
  for (const Network of [AlexNet, AlexNetTiny]) {
    assertThrows(() => new Network(null as unknown as NetworkOptions), ArgumentError, "options is");
  }
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("resnet-tiny").init(backend);
  const { preprocessing } = model, image = { width: 1, height: 1, data: new Uint8Array(3) };
  for (const classes of wrong) {
    assertThrows(() => new Classifier([], { preprocessing, classes }), ArgumentError, "classes is");
  }
  const base = await saveModel(model), weights = await saveModel(model, { headOnly: true });
  const load = () => loadModel({ backend, weights, base, classes: Array(200).fill(7) });
  await assertRejects(load, ArgumentError, "loadModel: classes is");
  for (const images of [image, model.preprocess(image), undefined] as unknown as never[][]) {
    await assertRejects(() => model.classifyBatch(images), ArgumentError, "a list of images");
  }
  for (const other of [null, new Flatten()] as unknown as Classifier[]) {
    await assertRejects(() => saveModel(other), ArgumentError, "saveModel: model is");
    assertThrows(() => summarize(other, [1, 3, 64, 64]), ArgumentError, "summarize: model is");
  }
});

Deno.test("networks refuse options that they would ignore, and those of wrong types", async () => {
  // deno-lint-ignore no-explicit-any
  const any = (value: unknown) => value as any;
  const one = { resize: 8, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  using model = new Classifier([], { preprocessing: one, classes: [] });
  const refused: [string, () => unknown][] = [
    ["preprocessing is null", () => createModel("resnet-tiny", { preprocessing: any(null) })],
    ["preprocessing.crop is undefined", () => createModel("vgg11", { preprocessing: any({}) })],
    ['preprocessing: an option is "filter"', () => {
      return createModel("vgg11", { preprocessing: any({ ...one, filter: "bicubic" }) });
    }],
    ['an option is "weights"', () => createModel("resnet18", any({ weights: "DEFAULT" }))],
    ['an option is "seed"', () => createModel("alexnet", any({ seed: 1 }))],
    ['an option is "batch_norm"', () => new AlexNetTiny(any({ batch_norm: true }))],
    ['batchNorm is "no"', () => new AlexNetTiny({ batchNorm: any("no") })],
    ["channels is 64", () => new AlexNet({ channels: any(64) })],
    ['an option is "class"', () => new Classifier([], any({ class: [] }))],
    ["options is undefined", () => new Classifier([], any(undefined))],
    ['an option is "topk"', () => model.classifyBatch([], any({ topk: 1 }))],
    ["signal is [object AbortController]", () => {
      return model.classify(new Float32Array(1), any({ signal: new AbortController() }));
    }],
    ["options is null", () => model.classify(new Float32Array(1), any(null))],
    ['an option is "precision"', () => saveModel(model, any({ precision: "int8" }))],
    ['metadata is "a"', () => saveModel(model, { metadata: any("a") })],
    ["metadata is [object Map]", () => saveModel(model, { metadata: any(new Map()) })],
    ['headOnly is "no"', () => saveModel(model, { headOnly: any("no") })],
  ];
  for (const [text, call] of refused) {
    await assertRejects(async () => await call(), ArgumentError, text, text);
  }
});

Deno.test("all networks take the options of networks", () => {
  const classes = ["a", "b", "c"].map((label) => ({ wnid: "", label }));
  const options = { classes, dropout: 0.9, algorithm: "winograd", keepPacked: false } as const;
  for (const name of networkNames) {
    for (const all of [options, { ...options, algorithm: "direct", precision: "int8" } as const]) {
      const model = createModel(name, all);
      assertEquals(model.outputShape(model.inputShape()), [1, 3]);
      assertEquals(model.classes, classes);
    }
  }
});

/** A file with these tensors and nothing in them. */
function fileOf(tensors: Iterable<readonly [name: string, shape: Shape]>): WeightsFile {
  const entries = new Map(
    [...tensors].map(([name, shape]) => [name, { name, shape: [...shape], dtype: "F32" as const }]),
  );
  return {
    name: "x",
    format: "pth",
    metadata: new Map(),
    entries,
    order: [...entries.keys()],
    read: () => Promise.reject(new Error("not read")),
    close() {},
    [Symbol.dispose]() {},
  };
}

/** The names and shapes of a network. */
function tensorsOf(name: NetworkName, numClasses?: number): [string, Shape][] {
  const tensors = createModel(name, { numClasses }).stateDict();
  return [...tensors].map(([key, { shape }]) => [key, shape]);
}

Deno.test("files are recognised by their names and shapes, with any number of classes", () => {
  for (const name of networkNames) {
    for (const numClasses of name === "alexnet" ? [undefined, 5] : [5]) {
      const file = fileOf(tensorsOf(name, numClasses));
      assertEquals(recognize(file), name);
      assertEquals(classCount(file, name), numClasses ?? createModel(name).numClasses);
      assertEquals(describeWeights(file)?.architecture, name);
    }
  }
});

Deno.test("files with tensors that the network does not use are recognised", () => {
  const file = fileOf([...tensorsOf("vgg11", 5), ["extra", [1]]]);
  assertEquals(recognize(file), "vgg11");
  assertEquals(describeWeights(file), undefined);
  const without = fileOf(tensorsOf("vgg13_bn").slice(20));
  assertEquals(recognize(without), "vgg13_bn");
});

Deno.test("published files may have other names, and tensors that are left out", () => {
  const densenet = tensorsOf("densenet121").map(([key, shape]): [string, Shape] => [
    key.replace(/(denselayer\d+\.(norm|relu|conv))([12])/, "$1.$3"),
    shape,
  ]);
  assert(densenet.some(([key]) => key === "features.denseblock1.denselayer1.norm.1.weight"));
  const googlenet: [string, Shape][] = [...tensorsOf("googlenet", 5), ["aux1.conv.bn.bias", [9]]];
  for (const [name, tensors] of [["densenet121", densenet], ["googlenet", googlenet]] as const) {
    assertEquals(recognize(fileOf(tensors)), name);
    assertEquals(describeWeights(fileOf(tensors))?.architecture, name);
    using model = createModel(name);
    const { entries, order } = model.mapWeights(fileOf(tensors));
    assertEquals([...entries.keys()], [...model.stateDict().keys()]);
    assertEquals(order, [...entries.keys()]);
  }
});

Deno.test("null stands for the default classes, as for the default number", () => {
  using model = createModel("alexnet-tiny", { classes: null as never, numClasses: 3 });
  assertEquals(model.classes.map(({ label }) => label), ["class 0", "class 1", "class 2"]);
});

Deno.test("networks are saved with a description, and recognised without one", async () => {
  using backend = await createBackend({ threads: 1 });
  const classes = ["cat", "dog"].map((label) => ({ wnid: "", label }));
  using model = createModel("shufflenet_v2_x0_5", { classes }).init(backend, { seed: 1 });
  const photo = { width: 90, height: 70, data: new Uint8Array(90 * 70 * 3).map((_, i) => i * 7) };
  const expected = await model.classify(photo);
  using saved = await loadModel({ backend, weights: await saveModel(model) });
  assertEquals([saved.network, saved.classes], [model.network, classes]);
  assertEquals(await saved.classify(photo), expected);
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    tensors.push({ name, dtype: "F32", shape, data: await tensor!.read() });
  }
  using unnamed = await loadModel({ backend, weights: writePth(tensors) });
  assertEquals([unnamed.network, unnamed.numClasses], [model.network, 2]);
  const labelled = expected.map(({ index, ...rest }) => ({
    ...rest,
    index,
    label: `class ${index}`,
  }));
  assertEquals(await unnamed.classify(photo), labelled);
  await assertRejects(
    () => loadModel({ backend, weights: writePth(tensors), model: "vgg11" }),
    FileError,
    "its first tensor is conv1.0.weight, vgg11 starts with features.0.weight: " +
      "not weights for vgg11; export other networks as ONNX",
  );
});

Deno.test("saveModel() refuses weights that change meanwhile", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny", { numClasses: 2 }).init(backend);
  const { bias } = model.head.layer.parameters;
  for (const headOnly of [false, true]) {
    const saved = saveModel(model, { headOnly });
    bias!.write(Float32Array.of(1, 2));
    await assertRejects(() => saved, PembrokeError, "the weights changed meanwhile");
  }
  await saveModel(model);
});

Deno.test("saveModel() refuses preprocessing that loadModel() would refuse", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const usual = { resize: 64, crop: 64, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const mean = new Float32Array(3) as unknown as [number, number, number];
  for (const wrong of [{ mean }, { std: [-1, 1, 1] as const }, { resize: 5000 }]) {
    const options = { numClasses: 2, preprocessing: { ...usual, ...wrong } };
    using model = createModel("alexnet-tiny", options).init(backend);
    const name = `preprocessing.${Object.keys(wrong)[0]} is `;
    await assertRejects(() => saveModel(model), ArgumentError, name);
  }
});

Deno.test("networks have the preprocessing of torchvision's weights", () => {
  const sizes = (
    { resize, crop, interpolation = "bilinear" }: Preprocessing,
  ) => [resize, crop, interpolation];
  const others: Partial<Record<NetworkName, unknown[]>> = {
    efficientnet_b0: [256, 224, "bicubic"],
    efficientnet_b1: [256, 240, "bicubic"],
    efficientnet_b2: [288, 288, "bicubic"],
    efficientnet_b3: [320, 300, "bicubic"],
  };
  for (const name of torchvision) {
    const { preprocessing } = createModel(name);
    assertEquals(sizes(preprocessing), others[name] ?? [256, 224, "bilinear"]);
    assertEquals(preprocessing, networks.get(name)!.preprocessing);
    const mean = name === "googlenet" ? [0.5, 0.5, 0.5] : [0.485, 0.456, 0.406];
    assertEquals([...preprocessing.mean], mean);
  }
});

Deno.test("files of unknown networks say what they hold", () => {
  const message = (tensors: [string, Shape][]) =>
    assertThrows(() => recognize(fileOf(tensors)), FileError).message;
  const unknown = "which no known network has: pass `model`, or export the network as ONNX";
  assertEquals(message([]), `x: holds no tensors, ${unknown}`);
  assertEquals(message([["a\n", [2, 3]]]), `x: holds the tensor a\\u{a} [2, 3], ${unknown}`);
  assertEquals(
    message([["a", [1]], ["b", [2]], ["c", []]]),
    `x: holds 3 tensors from a [1] to c [], ${unknown}`,
  );
  const many = tensorsOf("vgg11").concat(Array.from({ length: 1 << 15 }, (_, i) => [`${i}`, [1]]));
  assertEquals(
    message(many).replace(/from.*to/, ""),
    `x: holds 32790 tensors  32767 [1], ${unknown}`,
  );
  // So many classes would not fit in memory.
  const huge = fileOf([...tensorsOf("vgg11").slice(0, -2), ["classifier.6.weight", [1e9, 4096]]]);
  assertEquals(classCount(huge, recognize(huge)), undefined);
});

Deno.test("loadModel() checks `model`", async () => {
  await assertRejects(
    () => loadModel({ model: "zzz" as NetworkName, weights: new Uint8Array(9) }),
    ArgumentError,
    'loadModel: model is "zzz", must be one of alexnet, ',
  );
  for (const model of ["resnet50", "alexnet-tiny"] as const) {
    await assertRejects(
      () => loadModel({ model }),
      ArgumentError,
      `loadModel: weights is undefined, must be a file for ${model}: without it, loadModel() loads ` +
        "resnet-tiny",
    );
  }
  using model = await loadModel({ model: "resnet-tiny" });
  assertEquals(model.type, "resnet-tiny");
});

Deno.test("summarize() counts learned parameters, and names the inputs of branches", () => {
  const { layers, parameters } = summarize(createModel("resnet18"), [1, 3, 224, 224]);
  assertEquals(parameters, golden.networks.resnet18.parameters);
  const branches = layers.filter(({ inputs }) => inputs).map(({ name, inputs }) => [name, inputs]);
  assertEquals(branches.slice(0, 3), [
    ["layer1.0.add", ["layer1.0.bn2", "maxpool"]],
    ["layer1.1.add", ["layer1.1.bn2", "layer1.0.relu_2"]],
    ["layer2.0.downsample.0", ["layer1.1.relu_2"]],
  ]);
  const plain = summarize(createModel("vgg11"), [1, 3, 224, 224]);
  assert(plain.layers.every(({ inputs }) => inputs === undefined));
  const { lastLayer } = summarize(createModel("squeezenet1_0"), [1, 3, 224, 224]);
  assertEquals(lastLayer, { name: "classifier.1", inFeatures: 512, outFeatures: 1000 });
});
