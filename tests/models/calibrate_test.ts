import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { Conv2d, Flatten, Linear, ReLU } from "../../src/layers/mod.ts";
import { Conv } from "../../src/layers/conv.ts";
import {
  AlexNetTiny,
  Classifier,
  loadModel,
  loadWeights,
  saveModel,
} from "../../src/models/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { bytesSource, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { testOnBuilds, testOnEveryBackend } from "../backends.ts";

const preprocessing = { resize: 12, crop: 12, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const classes = [{ wnid: "", label: "a" }, { wnid: "", label: "b" }];

/** A network with every kind of convolution. */
function network() {
  return new Classifier([
    new Conv2d(3, 32, 3, { padding: 1 }), // an image
    new Conv2d(32, 32, 3, { padding: 1 }),
    new ReLU(),
    new Conv2d(32, 32, 3, { groups: 32 }), // depthwise
    new Conv2d(32, 32, 1),
    new Conv2d(32, 24, 3, { groups: 4 }),
    new Conv2d(24, 4, 8),
    new Flatten(),
    new Linear(4, 2),
  ], { preprocessing, classes });
}

/** Random values of images. */
function images(count: number): Float32Array[] {
  const generator = new RandomGenerator(5);
  return Array.from({ length: count }, () => {
    const values = new Float32Array(3 * 12 * 12);
    generator.uniform(values, -1, 2);
    return values;
  });
}

/** The ranges of a network's convolutions. */
const rangesOf = (model: Classifier) =>
  model.leaves().flatMap(([, layer]) => layer instanceof Conv ? [layer.inputRange] : []);

Deno.test("ranges do not depend on how an engine rounds logarithms", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network().init(backend, { seed: 2 });
  const { weight, bias } = (model.children.get("0") as Conv2d).parameters;
  weight.write(new Float32Array(32 * 27).fill(1, 4, 5)); // copies the image to the first channel
  bias!.write(new Float32Array(32).fill(0.25, 1));
  const sample = new Float32Array(3 * 12 * 12).fill(1, 70, 71); // the largest value is a power of two
  await model.calibrate([sample]);
  const expected = rangesOf(model), { log2 } = Math;
  assertEquals(expected[1], [0, 1 - 0.75 / 24]); // it is rare
  for (const error of [-1e-12, 1e-12]) {
    try {
      Math.log2 = (x) => log2(x) + error;
      await model.calibrate([sample]);
    } finally {
      Math.log2 = log2;
    }
    assertEquals(rangesOf(model), expected);
  }
});

testOnBuilds("calibrate() sets the ranges that help, and logits stay close", async (backend) => {
  using model = network().init(backend, { seed: 2 });
  const samples = images(6);
  const run = async () => {
    using x = backend.upload(samples[0], model.inputShape());
    using y = model.forward(x);
    return await y.read();
  };
  const [expected] = [await run()];
  assertEquals(await model.calibrate(samples), model);
  const ranges = rangesOf(model);
  assertEquals(ranges.map((range) => range !== null), [false, true, false, false, true, true]);
  for (const name of ["1", "5", "6"]) { // the largest values of all samples are in the range, or close
    const index = Number(name) - 1;
    let [low, high] = [0, 0];
    for (const values of samples) {
      using x = backend.upload(values, model.inputShape());
      const [input] = model.outputsOf(x, [String(index)]);
      for (const v of await input.read()) [low, high] = [Math.min(low, v), Math.max(high, v)];
      input.dispose();
    }
    const layer = model.children.get(name) as Conv2d, [from, to] = layer.inputRange!;
    assert(from >= low && from <= 0.5 * low && to <= high && to >= 0.5 * high, `${from} … ${to}`);
  }
  model.quantize();
  const rounded = await run(), largest = Math.max(...expected.map(Math.abs));
  assert(rounded.every((v, i) => Math.abs(v - expected[i]) < 0.03 * largest), `${rounded}`);
  assert(rounded.some((v, i) => v !== expected[i]));
});

testOnBuilds("calibrate() clamps few values for a smaller error of all others", async (backend) => {
  const side = 96, pixels = side * side, conv = new Conv2d(17, 1, 3);
  const layers = [
    new Conv2d(3, 17, 1, { bias: false }),
    conv,
    new Flatten(),
    new Linear(94 * 94, 2),
  ];
  const larger = { ...preprocessing, resize: side, crop: side };
  using model = new Classifier(layers, { preprocessing: larger, classes }).init(backend);
  model.children.get("0")!.parameters.weight!.write(new Float32Array(51).fill(1 / 3));
  const values = Float32Array.from({ length: 3 * pixels }, (_, i) => (i % pixels) / pixels);
  await model.calibrate([values]);
  const [low, high] = conv.inputRange!;
  assertEquals(low, 0);
  assert(high > 0.99 && high <= 1, `${high}`);
  const outlier = values.slice();
  for (const at of [7, 7 + pixels, 7 + 2 * pixels]) outlier[at] = 1.06;
  await model.calibrate([...Array(9).fill(values), outlier]);
  const [, clamped] = conv.inputRange!;
  assert(clamped > 0.99 && clamped < 1.05, `${clamped}`);
});

testOnEveryBackend(
  "calibrate() refuses no images, wrong ones, and values that are not finite",
  async (backend) => {
    using model = network().init(backend, { seed: 2 });
    await assertRejects(() => model.calibrate([]), ArgumentError, "at least 1");
    for (const image of [null, { width: 1, height: 1, data: new Uint8Array(3) }]) {
      const calibrate = () => model.calibrate(image as unknown as Float32Array[]);
      await assertRejects(calibrate, ArgumentError, "must be a list of images");
    }
    await assertRejects(
      () => model.calibrate([new Float32Array(5)]),
      ArgumentError,
      "is 5, must be",
    );
    await assertRejects(
      () => model.calibrate([images(1)[0].fill(NaN, 3, 4)]),
      PembrokeError,
      "the input of 1 is not finite",
    );
    assertEquals(rangesOf(model), [null, null, null, null, null, null]);
    await assertRejects(() => network().calibrate(images(1)), PembrokeError, "no values yet");
  },
);

testOnBuilds("calibrate() takes inputs that are 0", async (backend) => {
  using model = network();
  for (const parameter of model.stateDict().values()) {
    parameter.allocate(backend);
    parameter.write(new Float32Array(parameter.shape.reduce((a, b) => a * b)));
  }
  await model.calibrate(images(1));
  assertEquals(rangesOf(model).filter((range) => range), [[0, 1], [0, 1], [0, 1]]);
});

Deno.test("saveModel() stores ranges, and loadModel() reads them", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new AlexNetTiny({ classes }).init(backend, { seed: 1 });
  const { crop } = model.preprocessing;
  await model.calibrate([new Float32Array(3 * crop * crop).fill(0.7)]);
  const ranges = rangesOf(model);
  assert(ranges.some((range) => range));
  for (const dtype of ["F32", "I8"] as const) {
    using same = await loadModel({ backend, weights: await saveModel(model, { dtype }) });
    assertEquals(rangesOf(same), ranges);
  }
  // they do not belong to other weights
  using other = new AlexNetTiny({ classes }).init(backend, { seed: 2 });
  await loadWeights(model, backend, await saveModel(other));
  assertEquals(rangesOf(model).some((range) => range), false);
});

Deno.test("loadModel() refuses damaged ranges", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new AlexNetTiny({ classes }).init(backend, { seed: 1 });
  const tensors = await Promise.all(
    [...model.stateDict()].map(async ([name, { shape, tensor }]) => {
      return { name, dtype: "F32" as const, shape, data: await tensor!.read() };
    }),
  );
  const [conv] = model.leaves().find(([, layer]) => layer instanceof Conv)!;
  for (
    const [ranges, message] of [
      ["{", "its input_ranges are not valid JSON: damaged"],
      ["[1]", "its input_ranges are not a JSON object: damaged"],
      ["null", "its input_ranges are not a JSON object: damaged"],
      ['{"x\\ny":[0,1]}', "which is no convolution of alexnet-tiny"],
      [`{"${conv}":[1,0]}`, `its input_ranges of ${conv} are not two numbers: damaged`],
      [`{"${conv}":[0,"1"]}`, `its input_ranges of ${conv} are not two numbers: damaged`],
      [`{"${conv}":[0,1,2]}`, `its input_ranges of ${conv} are not two numbers: damaged`],
      ...["7", "0", "false", '""'].map((range) => [
        `{"${conv}":${range}}`,
        `its input_ranges of ${conv} are not two numbers: damaged`,
      ]),
    ]
  ) {
    const weights = writeSafetensors(tensors, { input_ranges: ranges });
    await assertRejects(
      () => loadModel({ backend, weights, model: "alexnet-tiny", classes }),
      FileError,
      message,
    );
  }
});

Deno.test("calibrate() refuses a network that weights are loaded into while it waits", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network().init(backend, { seed: 2 });
  const tensors = [...model.stateDict()].map(async ([name, { shape, tensor }]) => {
    return { name, dtype: "F32" as const, shape, data: await tensor!.read() };
  });
  const file = writeSafetensors(await Promise.all(tensors));
  const source = bytesSource(file);
  const calls: Promise<unknown>[] = [];
  function* samples() {
    for (const image of images(20)) {
      yield image;
      if (calls.length === 0) calls.push(loadWeights(model, backend, source));
    }
  }
  await assertRejects(
    () => model.calibrate(samples()),
    PembrokeError,
    "Classifier: other weights are being loaded; wait for them",
  );
  await Promise.all(calls);
  assert(rangesOf(model).every((range) => range === null));
});
