import { AlexNet, summarize } from "../../src/models/mod.ts";
import { decodeImage } from "../../src/image/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { elements } from "../../src/tensor.ts";
import { writeSafetensors } from "../../src/weights/mod.ts";
import {
  assert,
  assertAllClose,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import golden from "../fixtures/models/golden.json" with { type: "json" };

// the narrow AlexNet of tests/fixtures/models/make_model_fixtures.py
const narrow = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;

const fixture = (name: string) => new URL(`../fixtures/models/${name}`, import.meta.url);
const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);

for (const file of ["narrow_alexnet.pth", "narrow_alexnet_legacy.pth"]) {
  testOnEveryBackend(
    `AlexNet from ${file} gives PyTorch's inputs, logits and predictions`,
    async (backend) => {
      using model = await AlexNet.load({ backend, weights: fixture(file), ...narrow });
      for (const picture of golden.pictures) {
        const image = await decodeImage(await Deno.readFile(fixture(picture.file)));
        const values = model.preprocess(image);
        assertAllClose(values.filter((_, i) => i % 997 === 0), picture.tensor, { abs: 1e-6 });
        assertAllClose([sum(values)], [picture.sum], { rel: 1e-6 });

        using x = backend.upload(values, model.inputShape());
        using y = model.forward(x);
        const largest = Math.max(...picture.logits.map(Math.abs));
        assertAllClose(await y.read(), picture.logits, { abs: 1e-4 * largest });

        const predictions = await model.classify(image);
        assertEquals(predictions.map(({ index }) => index), picture.top5);
        const probabilities = predictions.map(({ probability }) => probability);
        assertAllClose(probabilities, picture.probabilities, { abs: 1e-5 });
        assertEquals(predictions[0].label, `class ${picture.top5[0]}`);
      }
    },
  );
}

testOnEveryBackend(
  "AlexNet.init() with seed 0 gives the weights of torch.manual_seed(0)",
  async (backend) => {
    using model = new AlexNet(narrow).init(backend, { seed: 0 });
    const drawn: Record<string, number> = golden.drawn;
    for (const [name, { tensor }] of model.stateDict()) {
      assertAllClose([sum(await tensor!.read())], [drawn[name]], { abs: 1e-6, name });
    }
  },
);

testOnEveryBackend(
  "AlexNet gives the same results for a batch and for single samples",
  async (backend) => {
    using model = new AlexNet(narrow).init(backend, { seed: 3 });
    const size = elements(model.inputShape());
    const values = Float32Array.from({ length: 3 * size }, (_, i) => Math.sin(i * 0.37));
    using batch = backend.upload(values, model.inputShape(3));
    using logits = model.forward(batch);
    const all = await logits.read();
    for (let n = 0; n < 3; n++) {
      using x = backend.upload(values.subarray(n * size, (n + 1) * size), model.inputShape());
      using y = model.forward(x);
      assertAllClose(await y.read(), all.subarray(n * 10, n * 10 + 10), { abs: 1e-6 });
    }
  },
);

testOnEveryBackend("AlexNet supports other heights and widths", (backend) => {
  using model = new AlexNet(narrow).init(backend);
  using x = backend.upload(new Float32Array(3 * 63 * 200), [1, 3, 63, 200]);
  using y = model.forward(x);
  assertEquals(y.shape, [1, 10]);
  using small = backend.upload(new Float32Array(3 * 40 * 40), [1, 3, 40, 40]);
  assertThrows(() => model.forward(small), ArgumentError, "at least");
});

testOnEveryBackend("classify() leaks no memory", async (backend) => {
  const model = new AlexNet(narrow).init(backend);
  const image = { width: 300, height: 300, data: new Uint8Array(300 * 300 * 3).fill(99) };
  await model.classify(image);
  const warm = backend.bytesInUse;
  for (let i = 0; i < 5; i++) await model.classify(image);
  assertEquals(backend.bytesInUse, warm);
  model.dispose();
  assertEquals(backend.bytesInUse, 0);
});

testOnEveryBackend("classify() names the weights that are NaN", async (backend) => {
  using model = new AlexNet(narrow).init(backend);
  backend.write(model.stateDict().get("features.6.bias")!.tensor!, new Float32Array([NaN]), 3);
  const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
  await assertRejects(() => model.classify(image), PembrokeError, "features.6.bias holds NaN");
});

testOnEveryBackend(
  "AlexNet.load() rejects weights of another shape, and names one",
  async (backend) => {
    await assertRejects(
      () =>
        AlexNet.load({
          backend,
          weights: fixture("narrow_alexnet.pth"),
          ...narrow,
          numClasses: 11,
        }),
      FileError,
      "classifier.6.weight is [10, 16], alexnet expects [11, 16]",
    );
    assertEquals(backend.bytesInUse, 0);
  },
);

testOnEveryBackend(
  "AlexNet.load() reads weights written by writeSafetensors()",
  async (backend) => {
    using model = new AlexNet(narrow).init(backend, { seed: 5 });
    const tensors = await Promise.all(
      model.stateDict().entries().map(async ([name, { shape, tensor }]) => ({
        name,
        dtype: "F32" as const,
        shape: [...shape],
        data: await tensor!.read(),
      })),
    );
    using copy = await AlexNet.load({ backend, weights: writeSafetensors(tensors), ...narrow });
    for (const { name, data } of tensors) {
      assertEquals(await copy.stateDict().get(name)!.tensor!.read(), data);
    }
  },
);

Deno.test("AlexNet without weights has no backend", () => {
  assertThrows(() => new AlexNet().backend, PembrokeError, "call init() or load weights");
});

Deno.test("summarize() counts the parameters and costs of torchvision's alexnet", () => {
  const summary = summarize(new AlexNet(), [1, 3, 224, 224]);
  assertEquals(summary.parameters, 61100840);
  assertEquals(summary.macs, 714188480);
  assertEquals(summary.lastLayer, { name: "classifier.6", inFeatures: 4096, outFeatures: 1000 });
  const outputs = new Map(summary.layers.map(({ name, outputShape }) => [name, outputShape]));
  assertEquals(outputs.get("features.0"), [1, 64, 55, 55]);
  assertEquals(outputs.get("features.5"), [1, 192, 13, 13]);
  assertEquals(outputs.get("features.12"), [1, 256, 6, 6]);
  const conv1 = summary.layers[0];
  assertEquals([conv1.type, conv1.parameters, conv1.macs], ["Conv2d", 23296, 70276800]);
  assert(summary.layers.every(({ name }) => name !== ""));
});

testOnEveryBackend("classify() throws in training mode", async (backend) => {
  using model = new AlexNet(narrow).init(backend).train();
  const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
  await assertRejects(() => model.classify(image), PembrokeError, "call eval() first");
});

testOnEveryBackend("classify() names any parameter that is not finite", async (backend) => {
  using model = new AlexNet(narrow).init(backend);
  const image = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3).fill(99) };
  await model.classify(image);
  for (const [name, parameter] of model.stateDict()) {
    const [before] = await parameter.tensor!.read();
    for (const value of [NaN, Infinity, -Infinity]) {
      parameter.write(new Float32Array([value]));
      const error = await assertRejects(() => model.classify(image), PembrokeError);
      assertStringIncludes(error.message, `is not finite: ${name} holds NaN or infinity`);
    }
    parameter.write(new Float32Array([before]));
  }
  await model.classify(image);
});
