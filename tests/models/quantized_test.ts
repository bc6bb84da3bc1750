import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/mod.ts";
import {
  BatchNorm2d,
  Conv1d,
  Conv2d,
  Dropout,
  Flatten,
  type Layer,
  Linear,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import { RoundedWeight } from "../../src/layers/rounded_weight.ts";
import { elements } from "../../src/tensor.ts";
import { AlexNet, type Classifier, loadWeights, summarize } from "../../src/models/mod.ts";
import { arrayDataset, saveCheckpoint, SGD, Trainer } from "../../src/train/mod.ts";
import { convertWeights } from "../../src/weights/convert.ts";
import { fileSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnBuilds, testOnEveryBackend, testOnFewBackends, testOnWasm } from "../backends.ts";
import { bits } from "../backend/harness.ts";
import { loadNarrow, narrowNetwork } from "./narrow.ts";
import golden from "../fixtures/models/golden.json" with { type: "json" };

const narrow = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;
const fixture = (name: string) => new URL(`../fixtures/models/${name}`, import.meta.url);

/** Reads the integers and scales of every quantised weight, by name. */
async function readQuantized(model: Layer): Promise<[string, Int8Array, Int32Array][]> {
  const weights = [...model.stateDict()].flatMap(([name, parameter]) => {
    const isRounded = parameter instanceof RoundedWeight && !hasFloats(parameter);
    return isRounded ? [[name, parameter] as const] : [];
  });
  return await Promise.all(weights.map(async ([name, { tensor, quantized }]) => {
    assertEquals(tensor, undefined, `${name} still has float32 values`);
    return [name, await quantized!.read(), bits(await quantized!.scale.read())] as const;
  })) as [string, Int8Array, Int32Array][];
}

/** Whether weights stay in float32: those of convolutions on WebGPU. */
function hasFloats({ type, backend }: RoundedWeight): boolean {
  return type !== "Linear" && backend?.device === "webgpu";
}

async function logits(model: Classifier, values: Float32Array): Promise<Float32Array> {
  using x = model.backend.upload(values, model.inputShape());
  using y = model.forward(x);
  return await y.read();
}

testOnEveryBackend("AlexNet in int8 is within 1 % of PyTorch's logits", async (backend) => {
  const options = { ...narrow, precision: "int8" } as const;
  using model = await AlexNet.load({ backend, weights: fixture("narrow_alexnet.pth"), ...options });
  for (const picture of golden.pictures) {
    const image = await decodeImage(await Deno.readFile(fixture(picture.file)));
    const y = await logits(model, model.preprocess(image));
    const largest = Math.max(...picture.logits.map(Math.abs));
    assertAllClose(y, picture.logits, { abs: 0.01 * largest });
  }
});

testOnFewBackends(
  "quantize() of a large AlexNet frees memory, and logits change by less than 0.5 %",
  async (backend) => {
    using model = new AlexNet({ hiddenFeatures: 1024, numClasses: 100 }).init(backend, { seed: 1 });
    const image = await decodeImage(await Deno.readFile("tests/photos/chelsea.png"));
    const values = model.preprocess(image);
    const before = await logits(model, values), bytes = backend.bytesInUse;
    const weights = (9216 * 1024 + 1024 * 1024 + 1024 * 100) * 4, scales = (1024 + 1024 + 100) * 4;
    model.quantize();
    assert(bytes - backend.bytesInUse >= weights * 0.75 - scales - 8192, "memory was not freed");
    const after = await logits(model, values), largest = Math.max(...before.map(Math.abs));
    assertAllClose(after, before, { abs: 0.005 * largest });
    assert(after.some((v, i) => v !== before[i]));
  },
);

testOnEveryBackend("load(), init() and quantize() give the same int8 weights", async (backend) => {
  const file = fixture("narrow_alexnet.pth");
  using loaded = await AlexNet.load({ backend, weights: file, ...narrow, precision: "int8" });
  using later = (await AlexNet.load({ backend, weights: file, ...narrow })).quantize();
  assertEquals(await readQuantized(loaded), await readQuantized(later));
  using again = new AlexNet(narrow).quantize();
  await loadWeights(again, backend, file);
  assertEquals(await readQuantized(again), await readQuantized(later));

  using drawn = new AlexNet({ ...narrow, precision: "int8" }).init(backend, { seed: 4 });
  using rounded = new AlexNet(narrow).init(backend, { seed: 4 }).quantize().quantize();
  assertEquals(await readQuantized(drawn), await readQuantized(rounded));
});

testOnEveryBackend(
  "int8 weights can be written in chunks of any size",
  async (backend) => {
    for (const [inF, outF] of [[5, 3], [7, 8], [6, 9], [9, 16], [4, 17]] as const) {
      const values = Float32Array.from({ length: inF * outF }, (_, i) => Math.sin(i + inF));
      using whole = new Linear(inF, outF).init(backend);
      whole.parameters.weight.write(values);
      const expected = await readQuantized(whole.quantize());
      for (const size of [1, 3, inF, 8 * inF, 8 * inF + 1, 1000]) {
        using layer = new Linear(inF, outF, { precision: "int8" });
        writeTwice(layer, backend, values, size);
        assertEquals(await readQuantized(layer), expected, `chunks of ${size}`);
      }
    }
  },
);

/** Writes weights in chunks. The second time overwrites the first. */
function writeTwice(layer: Layer, backend: Backend, values: Float32Array, size: number): void {
  const { weight } = layer.parameters;
  weight!.allocate(backend);
  for (const _ of [1, 2]) {
    for (let at = 0; at < values.length; at += size) {
      weight!.write(values.subarray(at, at + size), at);
    }
  }
}

testOnWasm("int8 weights of convolutions can be written in chunks, too", async (backend) => {
  const create = {
    conv2d: (precision?: "int8") => new Conv2d(3, 10, 3, { precision }),
    groups: (precision?: "int8") => new Conv2d(6, 9, [1, 2], { groups: 3, precision }),
    conv1d: (precision?: "int8") => new Conv1d(5, 17, 2, { precision }),
  };
  for (const [name, layerOf] of Object.entries(create)) {
    using whole = layerOf().init(backend);
    const values = await whole.parameters.weight.tensor!.read(), row = values.length / 10;
    const expected = await readQuantized(whole.quantize());
    for (const size of [1, 7, row, 8 * row, 8 * row + 1, 1000]) {
      using layer = layerOf("int8");
      writeTwice(layer, backend, values, Math.ceil(size));
      assertEquals(await readQuantized(layer), expected, `${name} in chunks of ${size}`);
    }
  }
});

testOnWasm("integers and their scales are stored as they are", async (backend) => {
  const create = {
    linear: () => new Linear(21, 19, { precision: "int8" }),
    conv2d: () => new Conv2d(3, 10, 3, { precision: "int8" }),
    groups: () => new Conv2d(6, 9, [1, 2], { groups: 3, precision: "int8" }),
    conv1d: () => new Conv1d(5, 17, 2, { precision: "int8" }),
    pointwise: () => new Conv2d(13, 6, 1, { precision: "int8" }),
  };
  for (const [name, layerOf] of Object.entries(create)) {
    using layer = layerOf();
    const weight = layer.parameters.weight as RoundedWeight, { shape } = weight;
    const [rows] = shape, row = elements(shape) / rows;
    const integers = Int8Array.from({ length: rows * row }, (_, i) => i * 37 % 256 - 128);
    const scale = Float32Array.from({ length: rows }, (_, i) => (i + 1) / 1024);
    weight.allocate(backend);
    assert(weight.takesIntegers);
    for (const count of [rows, 1, 3]) { // overwrites the values before
      for (let at = 0; at < integers.length; at += count * row) {
        weight.writeIntegers(integers.subarray(at, at + count * row), at, scale);
      }
      const [[, stored, bitsOfScale]] = await readQuantized(layer);
      assertEquals(stored, integers, `${name}, ${count} rows at a time`);
      assertEquals(bitsOfScale, bits(scale));
    }
  }
  using depthwise = new Conv2d(4, 4, 3, { groups: 4, precision: "int8" });
  depthwise.init(backend);
  assert(!(depthwise.parameters.weight as RoundedWeight).takesIntegers);
});

testOnWasm("int8 files give the outputs of their dequantised values", async (backend) => {
  const layers = () => [new Conv2d(3, 12, 3), new ReLU(), new Flatten(), new Linear(192, 7)];
  using original = new Sequential(layers()).init(backend, { seed: 5 });
  const tensors = await Promise.all(
    [...original.stateDict()].map(async ([name, { tensor, shape }]) => {
      const dtype = shape.length > 1 ? "I8" as const : "F32" as const;
      return { name, dtype, shape, data: await tensor!.read() };
    }),
  );
  const bytes = writeSafetensors(tensors);
  using loaded = new Sequential(layers()).quantize();
  await loadWeights(loaded, backend, bytes);
  using rounded = new Sequential(layers());
  await loadWeights(rounded, backend, bytes);
  rounded.quantize();
  using x = backend.upload(Float32Array.from({ length: 108 }, (_, i) => Math.sin(i)), [1, 3, 6, 6]);
  using y = loaded.forward(x);
  using expected = rounded.forward(x);
  assertAllClose(await y.read(), await expected.read(), { rel: 1e-6 });
});

testOnEveryBackend("a batch normalisation is folded into int8 weights", async (backend) => {
  const seed = { seed: 3 };
  for (const groups of [1, 2, 8]) { // the last one is depthwise
    const conv = new Conv2d(8, 8, 3, { padding: 1, groups, bias: groups === 2 });
    const norm = new BatchNorm2d(8);
    using model = new Sequential([conv, norm, new ReLU()]).init(backend, seed);
    const spread = (from: number, to: number) =>
      Float32Array.from({ length: 8 }, (_, i) => from + (to - from) * Math.sin(i) ** 2);
    norm.parameters.running_mean.write(spread(-1, 1));
    norm.parameters.running_var.write(spread(0.5, 3));
    norm.parameters.weight!.write(spread(-2, 2));
    norm.parameters.bias!.write(spread(-1, 1));
    using x = backend.upload(Float32Array.from({ length: 2 * 8 * 36 }, (_, i) => Math.sin(i)), [
      ...[2, 8, 6, 6],
    ]);
    using before = model.forward(x);
    model.quantize();
    using after = model.forward(x);
    const plain = await before.read(), rounded = await after.read();
    const largest = Math.max(...plain.map(Math.abs));
    assertAllClose(rounded, plain, { abs: 0.03 * largest });
    norm.parameters.bias!.write(spread(5, 6)); // folds again
    using changed = model.forward(x);
    const higher = await changed.read();
    assert(higher.every((v, i) => v >= rounded[i]) && higher.some((v, i) => v > rounded[i] + 3));
  }
});

testOnWasm("quantize() of convolutions frees their float32 weights", (backend) => {
  using model = new Sequential([new Conv2d(64, 128, 3), new Conv1d(64, 128, 9, { groups: 2 })]);
  model.init(backend);
  const bytes = backend.bytesInUse;
  model.quantize();
  const weights = 128 * 64 * 9 * 4 + 128 * 32 * 9 * 4;
  assert(bytes - backend.bytesInUse >= weights * 0.75 - 4096);
});

testOnWasm(
  "a convolution takes the scales of its weights and the range of its input",
  async (backend) => {
    for (const quantizesFirst of [true, false]) {
      using layer = new Conv2d(5, 3, [1, 2], quantizesFirst ? { precision: "int8" } : {});
      const scales = Float32Array.of(0.1, 0.7, 3);
      const integers = Int8Array.from({ length: 30 }, (_, i) => 17 * i % 256 - 128);
      layer.weightScales = scales;
      layer.init(backend).parameters.weight.write(
        Float32Array.from(integers, (q, i) => q * scales[Math.floor(i / 10)]),
      );
      const [[, stored, bitsOfScales]] = await readQuantized(layer.quantize());
      assertEquals(stored, integers);
      assertEquals(bitsOfScales, bits(scales));

      using x = backend.upload(Float32Array.from({ length: 30 }, (_, i) => i - 10), [1, 5, 1, 6]);
      using clamped = backend.upload((await x.read()).map((v) => Math.max(-4, Math.min(v, 7))), [
        ...[1, 5, 1, 6],
      ]);
      using own = layer.forward(clamped);
      layer.inputRange = [-4, 7];
      assertEquals(layer.inputRange, [-4, 7]);
      using known = layer.forward(x);
      assertEquals(bits(await known.read()), bits(await own.read()));
      layer.inputRange = null;
      using again = layer.forward(x);
      const values = await own.read();
      assert((await again.read()).some((v, i) => v !== values[i]));
    }
    const layer = new Conv2d(5, 3, 1);
    for (const range of [[1, 1], [2, 1], [NaN, 1], [0, Infinity]] as const) {
      assertThrows(() => layer.inputRange = range, ArgumentError, "inputRange");
    }
    assertThrows(() => layer.weightScales = new Float32Array(2), ArgumentError, "of 3 numbers");
    for (const wrong of [0, false, ""] as unknown as null[]) {
      assertThrows(() => layer.inputRange = wrong, ArgumentError, "inputRange");
      assertThrows(() => layer.weightScales = wrong, ArgumentError, "scales");
    }
    layer.inputRange = undefined as unknown as null;
    assertEquals([layer.inputRange, layer.weightScales], [null, null]);
  },
);

testOnEveryBackend("int8 weights must be written in order and within the shape", (backend) => {
  const before = backend.bytesInUse;
  {
    using layer = new Linear(4, 10, { precision: "int8" });
    const { weight } = layer.parameters;
    weight.allocate(backend);
    const write = (at: number, n: number) => weight.write(new Float32Array(n), at);
    assertThrows(() => write(4, 4), ArgumentError, "0 … at most 40: int8 weights are written in");
    write(0, 6);
    assertThrows(() => write(4, 4), ArgumentError, "the range is 4 … 8, must be 6 … at most");
    assertThrows(() => write(6, 35), ArgumentError, "must be 6 … at most 40");
    write(0, 1); // starts over
    write(1, 39);
  }
  assertEquals(backend.bytesInUse, before);
});

testOnEveryBackend("a failed load leaves no int8 weights behind", async (backend) => {
  using model = new Linear(30000, 70, { precision: "int8", bias: false }); // needs several reads
  const bytes = writeSafetensors([
    { name: "weight", dtype: "F32", shape: [70, 30000], data: new Float32Array(2100000) },
  ]);
  const source = {
    name: "broken.safetensors",
    size: bytes.length,
    read(at: number, into: Uint8Array) {
      if (at > 1000) throw new FileError("broken.safetensors", "ends too early");
      into.set(bytes.subarray(at, at + into.length));
      return Promise.resolve();
    },
    close() {},
  };
  await assertRejects(() => loadWeights(model, backend, source), FileError);
  assertEquals(backend.bytesInUse, 0);
  await loadWeights(model, backend, bytes);
  assertEquals((await readQuantized(model))[0][1].length, 2100000);
});

testOnEveryBackend("quantize() keeps names, shapes and counts", (backend) => {
  const plain = new AlexNet(narrow),
    shapes = (model: AlexNet) =>
      [...model.stateDict()].map(([name, { shape }]) => [name, ...shape]);
  using model = new AlexNet(narrow).init(backend).quantize();
  assertEquals(shapes(model), shapes(plain));
  assertEquals(summarize(model, [1, 3, 224, 224]), summarize(plain, [1, 3, 224, 224]));
  assertEquals(model.backend, backend);
  using linear = new Linear(3, 2, { precision: "int8" }).init(backend);
  assertEquals(linear.backend, backend);
});

testOnEveryBackend("train() of a quantised model throws and changes nothing", async (backend) => {
  using model = new Sequential([new Dropout(), new Linear(4, 3)]).init(backend).quantize();
  using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 4]);
  using before = model.forward(x);
  assertThrows(() => model.train(), PembrokeError, "its weights are int8, which cannot be trained");
  assert(!model.training && [...model.children.values()].every((layer) => !layer.training));
  using after = model.forward(x);
  assertEquals(await after.read(), await before.read());
  using dy = backend.upload(new Float32Array(3), [1, 3]);
  assertThrows(() => model.backward(dy), PembrokeError);
  const { weight } = model.children.get("1")!.parameters;
  assertThrows(() => weight!.gradient(), PembrokeError, "cannot be trained");

  using optimizer = new SGD(model, { lr: 0.1 });
  const data = arrayDataset(new Float32Array(8), [0, 1], [4]);
  const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
  await assertRejects(
    () => saveCheckpoint(trainer),
    FileError,
    "1.weight is in fewer than 32 bits",
  );
  await assertRejects(() => Array.fromAsync(trainer), PembrokeError, "cannot be trained");

  using convolution = new Conv2d(2, 3, 1).init(backend).quantize();
  assertThrows(() => convolution.train(), PembrokeError, "Conv2d: its weights are int8");
  using half = new Conv2d(2, 3, 1, { precision: "f16" }).init(backend).train();
  assert(half.training); // its weights stay in float32
  using training = new Linear(4, 3).init(backend).train();
  assertThrows(() => training.quantize(), PembrokeError, "call eval() first");
  using sequence = new Sequential([new Linear(4, 3)]).init(backend).train();
  assertThrows(() => sequence.quantize(), PembrokeError, "call eval() first");
});

testOnEveryBackend("classify() in int8 names the weights that are NaN", async (backend) => {
  using model = new AlexNet(narrow).init(backend);
  model.stateDict().get("classifier.4.weight")!.write(new Float32Array([NaN]), 17);
  model.quantize();
  const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
  await assertRejects(() => model.classify(image), PembrokeError, "classifier.4.weight holds NaN");
});

testOnBuilds(
  "int8 files of convolutions give the same integers as their float32 files",
  async (backend) => {
    using file = await openWeights(
      await fileSource(new URL("../fixtures/networks/resnet18.pth", import.meta.url)),
    );
    const memory = new Uint8Array(1 << 22);
    const sink = { write: (at: number, part: Uint8Array) => memory.set(part, at) };
    const size = await convertWeights(file, sink, { precision: "int8" });
    const stored = memory.subarray(0, size);
    const convolutions = (weights: Awaited<ReturnType<typeof readQuantized>>) =>
      weights.filter(([name]) => !name.startsWith("fc"));
    using direct = (await loadNarrow("resnet18", backend)).quantize();
    using converted = narrowNetwork("resnet18").quantize();
    await loadWeights(converted, backend, stored);
    assertEquals(
      convolutions(await readQuantized(converted)),
      convolutions(await readQuantized(direct)),
    );
  },
);

testOnEveryBackend("classify() in int8 leaks no memory", async (backend: Backend) => {
  const model = new AlexNet({ ...narrow, precision: "int8" }).init(backend);
  const image = { width: 300, height: 300, data: new Uint8Array(300 * 300 * 3).fill(99) };
  await model.classify(image);
  const warm = backend.bytesInUse;
  for (let i = 0; i < 3; i++) await model.classify(image);
  assertEquals(backend.bytesInUse, warm);
  model.dispose();
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("Linear rejects an unknown precision", () => {
  // deno-lint-ignore no-explicit-any -- plain JavaScript has no types
  const call = () => new Linear(2, 2, { precision: "int4" as any });
  assertEquals(
    assertThrows(call, ArgumentError).message,
    'Linear: precision is "int4", must be "f32", "f16" or "int8"',
  );
});
