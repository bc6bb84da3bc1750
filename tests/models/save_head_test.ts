import { createBackend } from "../../src/backend/mod.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { Linear } from "../../src/layers/mod.ts";
import type { Classifier } from "../../src/models/classifier.ts";
import { loadModel } from "../../src/models/load_model.ts";
import { describeWeights } from "../../src/models/recognize.ts";
import { createModel } from "../../src/models/registry.ts";
import { saveModel } from "../../src/models/save_model.ts";
import { summarize } from "../../src/models/summary.ts";
import { convertWeights } from "../../src/weights/convert.ts";
import { bytesSource, openWeights, writePth, writeSafetensors } from "../../src/weights/mod.ts";
import { assertAlmostEquals, assertEquals, assertRejects } from "../assert.ts";

const classes = ["ant", "bee", "wasp"];

/** The logits of an image of noise. */
async function logits(model: Classifier, backend: Backend): Promise<Float32Array> {
  const shape = model.inputShape(), size = shape.reduce((a, b) => a * b);
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.37) + i % 7 / 7);
  using x = backend.upload(values, shape), y = model.forward(x);
  return await y.read();
}

function assertClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  assertEquals(actual.length, expected.length);
  for (const [i, value] of actual.entries()) assertAlmostEquals(value, expected[i], tolerance);
}

/** All tensors of a model. */
async function tensorsOf(model: Classifier) {
  return await Promise.all(
    [...model.stateDict()].map(async ([name, { shape, tensor }]) => ({
      name,
      dtype: "F32" as const,
      shape,
      data: await tensor!.read(),
    })),
  );
}

Deno.test("networks with a new head are saved and loaded", async () => {
  using backend = await createBackend({ device: "wasm" });
  for (const name of ["squeezenet1_1", "alexnet-tiny"] as const) {
    using model = createModel(name).init(backend, { seed: 2 });
    model.replaceHead(classes, { seed: 3 });
    const expected = await logits(model, backend);
    const file = await saveModel(model, { metadata: { accuracy: "0.95", format: "ignored" } });
    using same = await loadModel({ backend, weights: file });
    assertEquals(same.network, name);
    assertEquals(same.classes, model.classes);
    assertEquals(await logits(same, backend), expected, name);
    using opened = await openWeights(bytesSource(file));
    assertEquals(opened.metadata.get("accuracy"), "0.95");
    assertEquals(opened.metadata.get("format"), "pembroke model 1");
    assertEquals(opened.metadata.get("head"), name === "squeezenet1_1" ? "linear" : undefined);
    assertEquals(summarize(same, same.inputShape()).lastLayer?.outFeatures, 3);

    // without metadata, the shapes tell
    const tensors = await tensorsOf(model);
    for (const bytes of [writeSafetensors(tensors), writePth(tensors)]) {
      using other = await loadModel({ backend, weights: bytes });
      assertEquals(other.network, name);
      assertEquals(await logits(other, backend), expected, name);
      using pth = await openWeights(bytesSource(bytes));
      assertEquals(describeWeights(pth)?.head, name === "squeezenet1_1" ? "linear" : undefined);
    }
  }
});

Deno.test("networks with a new head are saved in 8 and 16 bits, and converted", async () => {
  using backend = await createBackend({ device: "wasm" });
  using model = createModel("squeezenet1_1").init(backend, { seed: 2 }).replaceHead(classes);
  const expected = await logits(model, backend), file = await saveModel(model);
  const scale = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const sizes: number[] = [];
  for (const dtype of ["F16", "I8"] as const) {
    const saved = await saveModel(model, { dtype });
    using same = await loadModel({ backend, weights: saved });
    assertClose(await logits(same, backend), expected, scale * (dtype === "F16" ? 0.01 : 0.1));
    sizes.push(saved.length);
    using opened = await openWeights(bytesSource(file));
    const converted = new Uint8Array(saved.length);
    const sink = { write: (at: number, bytes: Uint8Array) => converted.set(bytes, at) };
    const precision = dtype === "F16" ? "f16" : "int8";
    assertEquals(await convertWeights(opened, sink, { precision }), saved.length);
    using again = await loadModel({ backend, weights: converted });
    assertEquals(await logits(again, backend), await logits(same, backend));
  }
  assertEquals(sizes[1] < 0.55 * sizes[0] && sizes[0] < 0.52 * file.length, true);
  using small = await loadModel({ backend, weights: file, precision: "int8" });
  await assertRejects(() => saveModel(small), PembrokeError);
});

Deno.test("the base of a last layer may consist of streams", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 2 });
  const shard = await saveModel(model), names = [...model.stateDict().keys()];
  const index = { weight_map: Object.fromEntries(names.map((name) => [name, "all"])) };
  const base = new TextEncoder().encode(JSON.stringify(index));
  model.replaceHead(classes, { seed: 3 });
  const weights = await saveModel(model, { headOnly: true });
  using same = await loadModel({ backend, weights, base, files: { all: new Response(shard) } });
  assertEquals(same.classes, model.classes);
});

Deno.test("the last layer alone is joined with its base", async () => {
  using backend = await createBackend({ device: "wasm" });
  for (const name of ["squeezenet1_1", "alexnet-tiny"] as const) {
    using model = createModel(name).init(backend, { seed: 2 });
    const base = await saveModel(model), pth = writePth(await tensorsOf(model));
    model.replaceHead(classes, { seed: 3 });
    const expected = await logits(model, backend);
    const head = await saveModel(model, { headOnly: true, metadata: { accuracy: "1" } });
    assertEquals(head.length < 10_000, true);
    for (const input of [base, pth]) {
      using same = await loadModel({ backend, weights: head, base: input });
      assertEquals([same.network, same.classes], [name, model.classes]);
      assertEquals(same.head.layer instanceof Linear, true);
      assertEquals(await logits(same, backend), expected);
      // and it can be saved as a whole
      using whole = await loadModel({ backend, weights: await saveModel(same) });
      assertEquals(await logits(whole, backend), expected);
    }
    const before = backend.bytesInUse;
    const missing = await assertRejects(() => loadModel({ backend, weights: head }), FileError);
    assertEquals(
      missing.message,
      `weights: holds only the last layer: pass the weights of ${name} as \`base\``,
    );
    using other = createModel(name).init(backend, { seed: 9 });
    const wrong = await saveModel(other), used = backend.bytesInUse;
    const error = await assertRejects(
      () => loadModel({ backend, weights: head, base: wrong }),
      FileError,
    );
    assertEquals(error.message.includes("trained with: the SHA-256 of its other layers is"), true);
    await assertRejects(() => loadModel({ backend, weights: head, base: head }), FileError);
    await assertRejects(
      () => loadModel({ backend, weights: head, base: wrong, numClasses: 7 }),
      ArgumentError,
      "loadModel: the number of classes is 7, must be ",
    );
    assertEquals(backend.bytesInUse, used);
    assertEquals(used > before, true);
  }
});

Deno.test("the last layer of an ONNX network is joined with its file", async () => {
  using backend = await createBackend({ device: "wasm" });
  const base = new URL("../fixtures/networks/squeezenet1_1.onnx", import.meta.url);
  using model = await loadModel({ backend, weights: base });
  model.replaceHead(classes, { seed: 3 });
  const expected = await logits(model, backend);
  await assertRejects(() => saveModel(model), PembrokeError);
  const head = await saveModel(model, { headOnly: true });
  using same = await loadModel({ backend, weights: head, base });
  assertEquals(await logits(same, backend), expected);
  assertEquals(same.classes.map(({ label }) => label), classes);
  const renamed = classes.map((name) => name.toUpperCase());
  using named = await loadModel({ backend, weights: head, base, classes: renamed });
  assertEquals(named.classes.map(({ label }) => label), renamed);
  const other = new URL("../fixtures/onnx/torch.onnx", import.meta.url);
  const message = "is not the onnx that weights was trained with: it takes images of another size";
  await assertRejects(() => loadModel({ backend, weights: head, base: other }), FileError, message);
  using tiny = createModel("alexnet-tiny").init(backend);
  await assertRejects(
    async () => await loadModel({ backend, weights: head, base: await saveModel(tiny) }),
    FileError,
    "is not the onnx that weights was trained with, but alexnet-tiny",
  );
});

Deno.test("a damaged last layer is refused", async () => {
  using backend = await createBackend({ device: "wasm" });
  using model = createModel("alexnet-tiny").init(backend, { seed: 2 });
  const base = await saveModel(model);
  model.replaceHead(classes);
  const head = await saveModel(model, { headOnly: true });
  using opened = await openWeights(bytesSource(head));
  const metadata = Object.fromEntries(opened.metadata), name = model.head.name;
  const write = (shape: readonly [number, number], changes: Record<string, string> = {}) =>
    writeSafetensors([
      { name: `${name}.weight`, dtype: "F32", shape, data: new Float32Array(shape[0] * shape[1]) },
      { name: `${name}.bias`, dtype: "F32", shape: [shape[0]], data: new Float32Array(shape[0]) },
    ], { ...metadata, ...changes });
  (await loadModel({ backend, weights: write([3, 512]), base })).dispose();
  const bad = [write([3, 511]), write([2, 512]), write([3, 512], { base_sha256: "12" })];
  for (const weights of bad) {
    await assertRejects(() => loadModel({ backend, weights, base }), FileError);
  }
});
