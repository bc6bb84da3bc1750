import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/mod.ts";
import { Dropout, type Layer, Linear, LinearWeight, Sequential } from "../../src/layers/mod.ts";
import { AlexNet, type Classifier, loadWeights, summarize } from "../../src/models/mod.ts";
import { arrayDataset, saveCheckpoint, SGD, Trainer } from "../../src/train/mod.ts";
import { writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { bits } from "../backend/harness.ts";
import golden from "../fixtures/models/golden.json" with { type: "json" };

const narrow = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;
const fixture = (name: string) => new URL(`../fixtures/models/${name}`, import.meta.url);

/** The integers and scales of every quantised weight, by name. */
async function held(model: Layer): Promise<[string, Int8Array, Int32Array][]> {
  const weights = [...model.stateDict()].flatMap(([name, parameter]) =>
    parameter instanceof LinearWeight ? [[name, parameter] as const] : []
  );
  return await Promise.all(weights.map(async ([name, { tensor, quantized }]) => {
    assertEquals(tensor, undefined, `${name} is still there as float32`);
    return [name, await quantized!.read(), bits(await quantized!.scale.read())] as const;
  })) as [string, Int8Array, Int32Array][];
}

async function logits(model: Classifier, values: Float32Array): Promise<Float32Array> {
  using x = model.backend.upload(values, model.inputShape());
  using y = model.forward(x);
  return await y.read();
}

testOnEveryBackend("AlexNet in int8 stays within 1 % of PyTorch's logits", async (backend) => {
  const options = { ...narrow, precision: "int8" } as const;
  using model = await AlexNet.load({ backend, weights: fixture("narrow_alexnet.pth"), ...options });
  for (const picture of golden.pictures) {
    const image = await decodeImage(await Deno.readFile(fixture(picture.file)));
    const y = await logits(model, model.preprocess(image));
    const largest = Math.max(...picture.logits.map(Math.abs));
    assertAllClose(y, picture.logits, { abs: 0.01 * largest });
  }
});

testOnEveryBackend("a large AlexNet in int8 stays within 0.5 % of f32", async (backend) => {
  using model = new AlexNet({ hiddenFeatures: 1024, numClasses: 100 }).init(backend, { seed: 1 });
  const image = await decodeImage(await Deno.readFile("tests/photos/chelsea.png"));
  const values = model.preprocess(image);
  const before = await logits(model, values), bytes = backend.bytesInUse;
  const weights = (9216 * 1024 + 1024 * 1024 + 1024 * 100) * 4, scales = (1024 + 1024 + 100) * 4;
  model.quantize();
  assert(bytes - backend.bytesInUse >= weights * 0.75 - scales - 8192, "memory is given back");
  const after = await logits(model, values), largest = Math.max(...before.map(Math.abs));
  assertAllClose(after, before, { abs: 0.005 * largest });
  assert(after.some((v, i) => v !== before[i]));
});

testOnEveryBackend("loading, initialising and quantising give the same int8", async (backend) => {
  const file = fixture("narrow_alexnet.pth");
  using loaded = await AlexNet.load({ backend, weights: file, ...narrow, precision: "int8" });
  using later = (await AlexNet.load({ backend, weights: file, ...narrow })).quantize();
  assertEquals(await held(loaded), await held(later));
  using again = new AlexNet(narrow).quantize();
  await loadWeights(again, backend, file);
  assertEquals(await held(again), await held(later));

  using drawn = new AlexNet({ ...narrow, precision: "int8" }).init(backend, { seed: 4 });
  using rounded = new AlexNet(narrow).init(backend, { seed: 4 }).quantize().quantize();
  assertEquals(await held(drawn), await held(rounded));
});

testOnEveryBackend(
  "int8 weights are rounded row by row while they are written",
  async (backend) => {
    for (const [inF, outF] of [[5, 3], [7, 8], [6, 9], [9, 16], [4, 17]] as const) {
      const values = Float32Array.from({ length: inF * outF }, (_, i) => Math.sin(i + inF));
      using whole = new Linear(inF, outF).init(backend);
      whole.parameters.weight.write(values);
      const expected = await held(whole.quantize());
      for (const piece of [1, 3, inF, 8 * inF, 8 * inF + 1, 1000]) {
        using pieces = new Linear(inF, outF, { precision: "int8" });
        const { weight } = pieces.parameters;
        weight.allocate(backend);
        for (const _ of [1, 2]) { // a second time over the first
          for (let at = 0; at < values.length; at += piece) {
            weight.write(values.subarray(at, at + piece), at);
          }
        }
        assertEquals(await held(pieces), expected, `pieces of ${piece}`);
      }
    }
  },
);

testOnEveryBackend("int8 weights are written in order, and no more of them", (backend) => {
  const before = backend.bytesInUse;
  {
    using layer = new Linear(4, 10, { precision: "int8" });
    const { weight } = layer.parameters;
    weight.allocate(backend);
    const write = (at: number, n: number) => weight.write(new Float32Array(n), at);
    assertThrows(() => write(4, 4), ArgumentError, "0 … at most 40: int8 weights are written in");
    write(0, 6);
    assertThrows(() => write(4, 4), ArgumentError, 'the range is "4 … 8", must be 6 … at most');
    assertThrows(() => write(6, 35), ArgumentError, "must be 6 … at most 40");
    write(0, 1); // begins anew
    write(1, 39);
  }
  assertEquals(backend.bytesInUse, before);
});

testOnEveryBackend("a file that breaks off leaves no int8 weights behind", async (backend) => {
  using model = new Linear(30000, 70, { precision: "int8", bias: false }); // more than a reading
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
  assertEquals((await held(model))[0][1].length, 2100000);
});

testOnEveryBackend("a quantised model keeps names, shapes and counts", (backend) => {
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

testOnEveryBackend("a quantised model is not trained, and stays as it is", async (backend) => {
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
  assertThrows(() => weight.gradient(), PembrokeError, "cannot be trained");

  using optimizer = new SGD(model, { lr: 0.1 });
  const data = arrayDataset(new Float32Array(8), [0, 1], [4]);
  const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
  await assertRejects(
    () => saveCheckpoint(trainer),
    FileError,
    "1.weight is in fewer than 32 bits",
  );
  await assertRejects(() => Array.fromAsync(trainer), PembrokeError, "cannot be trained");

  using training = new Linear(4, 3).init(backend).train();
  assertThrows(() => training.quantize(), PembrokeError, "call eval() first");
  using untouched = new Sequential([new Linear(4, 3)]).init(backend).train();
  assertThrows(() => untouched.quantize(), PembrokeError, "call eval() first");
});

testOnEveryBackend("AlexNet in int8 with NaN weights names the tensor", async (backend) => {
  using model = new AlexNet(narrow).init(backend);
  model.stateDict().get("classifier.4.weight")!.write(new Float32Array([NaN]), 17);
  model.quantize();
  const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
  await assertRejects(() => model.classify(image), PembrokeError, "classifier.4.weight holds NaN");
});

testOnEveryBackend("AlexNet in int8 leaves memory where it was", async (backend: Backend) => {
  const model = new AlexNet({ ...narrow, precision: "int8" }).init(backend);
  const image = { width: 300, height: 300, data: new Uint8Array(300 * 300 * 3).fill(99) };
  await model.classify(image);
  const warm = backend.bytesInUse;
  for (let i = 0; i < 3; i++) await model.classify(image);
  assertEquals(backend.bytesInUse, warm);
  model.dispose();
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("an unknown precision is refused", () => {
  // deno-lint-ignore no-explicit-any -- an argument of a caller without types
  const call = () => new Linear(2, 2, { precision: "int4" as any });
  assertEquals(
    assertThrows(call, ArgumentError).message,
    'Linear: precision is "int4", must be "f32", "f16" or "int8"',
  );
});
