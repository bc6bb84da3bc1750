import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError } from "../../src/errors.ts";
import { Conv2d, Flatten } from "../../src/layers/mod.ts";
import { Classifier, createModel, loadModel, saveModel } from "../../src/models/mod.ts";
import { readDescription } from "../../src/models/description.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnFewBackends } from "../backends.ts";

const classes = ["ant", "bee", "wasp"].map((label) => ({ wnid: "", label }));
const pixels = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i));

testOnFewBackends("classify() divides the logits by the temperature", async (backend) => {
  const preprocessing = { resize: 1, crop: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const layers = [new Conv2d(3, 3, 1), new Flatten()];
  using model = new Classifier(layers, { preprocessing, classes }).init(backend, { seed: 1 });
  assertEquals(model.temperature, 1);
  const pixel = new Float32Array([0.5, -2, 3]);
  using x = backend.upload(pixel, [1, 3, 1, 1]);
  using y = model.forward(x);
  const logits = await y.read();
  for (const temperature of [1, 2.5, 0.4]) {
    model.temperature = temperature;
    const predictions = await model.classify(pixel);
    const powers = Array.from(logits, (logit) => Math.exp(logit / temperature));
    const sum = powers.reduce((a, b) => a + b);
    const actual = predictions.toSorted((a, b) => a.index - b.index).map((p) => p.probability);
    assertAllClose(actual, powers.map((power) => power / sum), { abs: 1e-6 });
  }
});

Deno.test("a temperature is a positive number", () => {
  using model = createModel("alexnet-tiny");
  for (const value of [0, -1, NaN, Infinity, "2"]) {
    assertThrows(() => model.temperature = value as number, ArgumentError, "temperature is ");
  }
  assertEquals(model.temperature, 1);
});

Deno.test(
  "files keep the temperature, and new classes begin without one",
  async () => {
    using backend = await createBackend({ device: "wasm", threads: 1 });
    // 4 MB
    using model = createModel("shufflenet_v2_x0_5", { classes }).init(backend, { seed: 3 });
    const withoutOne = await saveModel(model);
    model.temperature = 1.25;
    using same = await loadModel({ backend, weights: await saveModel(model) });
    assertEquals(same.temperature, 1.25);
    assertEquals(await same.classify(pixels), await model.classify(pixels));
    using other = await loadModel({ backend, weights: withoutOne });
    assertEquals(other.temperature, 1);

    const base = await saveModel(model, { dtype: "I8" });
    using learned = await loadModel({ backend, weights: base, precision: "f32" });
    learned.replaceHead(["cat", "dog"]);
    assertEquals(learned.temperature, 1);
    using before = await openWeights(bytesSource(await saveModel(model)));
    const metadata = { ...Object.fromEntries(before.metadata), head: "linear", licence: "CC0" };
    using after = await openWeights(bytesSource(await saveModel(learned, { metadata })));
    assertEquals(before.metadata.get("temperature"), "1.25");
    const [name, ...others] = ["licence", "temperature", "head", "base_sha256", "input_ranges"];
    assertEquals(after.metadata.get(name), "CC0");
    assertEquals(others.filter((key) => after.metadata.has(key)), []);
    learned.temperature = 0.75;
    const head = await saveModel(learned, { headOnly: true });
    using joined = await loadModel({ backend, weights: head, base });
    assertEquals(joined.temperature, 0.75);
  },
);

Deno.test("a damaged temperature is an error", async () => {
  const metadata = {
    format: "pembroke model 1",
    architecture: "resnet-tiny",
    classes: `[["", "ant"]]`,
    preprocessing: JSON.stringify(createModel("resnet-tiny").preprocessing),
  };
  const tensor = { name: "x", dtype: "F32" as const, shape: [1], data: new Float32Array(1) };
  for (const temperature of ["0", "-1", "", "hot", "Infinity", "NaN"]) {
    const bytes = writeSafetensors([tensor], { ...metadata, temperature });
    using file = await openWeights(bytesSource(bytes, "x"));
    const message = "x: its temperature is not a positive number: damaged";
    assertThrows(() => readDescription(file), FileError, message);
    await assertRejects(() => loadModel({ weights: bytes }), FileError, "its temperature");
  }
});
