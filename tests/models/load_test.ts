/** loadModel() and loadWeights() with every kind of source. */

import { runInNewContext } from "node:vm";
import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { HttpError, readChunks } from "../../src/io/download.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { Linear } from "../../src/layers/mod.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { describe } from "../../src/models/description.ts";
import {
  AlexNet,
  AlexNetTiny,
  loadModel,
  loadWeights,
  saveModel,
  type WeightsInput,
} from "../../src/models/mod.ts";
import {
  bytesSource,
  streamSource,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testWithThreads } from "../backends.ts";

const classes = ["day", "night", "dusk"].map((label, i) => ({ wnid: `n${i}`, label }));
const photo = {
  width: 90,
  height: 70,
  data: Uint8Array.from({ length: 90 * 70 * 3 }, (_, i) => 128 + 127 * Math.sin(i * 0.01)),
};

const layersOnnx = new URL("../fixtures/onnx/layers.onnx", import.meta.url);

/** Creates an alexnet-tiny with three classes, and a file of it with a description. */
async function createFile(
  backend: Backend,
  crop = 64,
): Promise<{ model: AlexNetTiny; bytes: Uint8Array<ArrayBuffer> }> {
  const mean = [0.2, 0.3, 0.4] as const, std = [0.5, 0.6, 0.7] as const;
  const preprocessing = { resize: 66, interpolation: "bilinear", crop, mean, std } as const;
  const model = new AlexNetTiny({ classes, preprocessing }).init(backend, { seed: 2 });
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    tensors.push({ name, dtype: "F32", shape, data: await tensor!.read() });
  }
  const description = describe({ architecture: "alexnet-tiny", classes, preprocessing });
  return { model, bytes: writeSafetensors(tensors, description) };
}

testWithThreads(
  "loadModel() creates the network that a file describes, with its classes and preprocessing",
  async (backend) => {
    const { model, bytes } = await createFile(backend);
    using expected = model;
    using actual = await loadModel({ backend, weights: bytes });
    assert(actual instanceof AlexNetTiny);
    assertEquals(actual.preprocessing, expected.preprocessing);
    assertEquals([actual.classes, actual.numClasses], [classes, 3]);
    assertEquals(await actual.classify(photo), await expected.classify(photo));
    assertEquals((await actual.classify(photo)).length, 3);

    const otherNames = classes.map(({ label }) => label.toUpperCase());
    using other = await loadModel({ backend, weights: bytes, classes: otherNames });
    const [best] = await other.classify(photo, { topK: 1 });
    assertEquals(best.label, (await expected.classify(photo))[0].label.toUpperCase());
    assertEquals(other.classes, otherNames.map((label) => ({ wnid: "", label })));
  },
);

testWithThreads("loadModel() rejects options that contradict the file", async (backend) => {
  const { model, bytes } = await createFile(backend);
  model.dispose();
  await assertRejects(
    () => loadModel({ backend, weights: bytes, numClasses: 1000 }),
    ArgumentError,
    "AlexNetTiny: numClasses is 1000, must be 3, the number of classes",
  );
  await assertRejects(
    () => loadModel({ backend, weights: bytes, classes: classes.slice(1) }),
    FileError,
    "classifier.4.weight is [3, 512], alexnet-tiny expects [2, 512]",
  );
  const large = await createFile(backend, 80);
  large.model.dispose();
  await assertRejects(
    () => loadModel({ backend, weights: large.bytes }),
    FileError,
    "weights: is for images of 80×80, which alexnet-tiny does not support",
  );
});

testOnEveryBackend("AlexNet.load() rejects the weights of other networks", async (backend) => {
  const { model, bytes } = await createFile(backend);
  model.dispose();
  await assertRejects(
    () => AlexNet.load({ backend, weights: bytes }),
    FileError,
    "weights: holds alexnet-tiny, not alexnet; load it with loadModel()",
  );
  await assertRejects(
    () => AlexNet.load({ backend, weights: layersOnnx }),
    FileError,
    "is an ONNX model with layers; load it with loadModel()",
  );
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("loadModel() downloads weights from a URL", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await createFile(backend);
  using expected = model;
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === "/a.safetensors") return new Response(bytes);
      if (pathname === "/half.safetensors") return new Response(bytes.subarray(0, 1e6));
      if (pathname === "/page") return new Response("<!doctype html><p>Log in");
      return new Response("no", { status: 404 });
    },
  );
  const base = `http://127.0.0.1:${server.addr.port}`;
  for (const place of [`${base}/a.safetensors`, new URL(`${base}/a.safetensors`)]) {
    using actual = await loadModel({ backend, weights: place });
    assertEquals(await actual.classify(photo), await expected.classify(photo));
  }
  const assertError = async (path: string, reason: string) => {
    const error = await assertRejects(
      () => loadModel({ backend, weights: `${base}${path}` }),
      FileError,
    );
    assertEquals(error.message.slice(0, base.length + path.length + 2), `${base}${path}: `);
    assert(error.reason.startsWith(reason), error.message);
  };
  await assertError("/b.safetensors", "the server answered 404 Not Found");
  await assertError("/page", "is text, not weights");
  await assertError("/half.safetensors", "ends inside features.8.weight: truncated");
  await server.shutdown();
  await assertError("/a.safetensors", "tcp connect error: ");
});

Deno.test("loadModel() accepts bytes, blobs, streams and responses", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await createFile(backend);
  using expected = model;
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const forms: WeightsInput[] = [
    bytes,
    bytes.buffer,
    shared,
    shared.buffer,
    new Blob([bytes]),
    new File([bytes], "a.safetensors"),
    new Blob([bytes]).stream(),
    new Response(bytes),
    new Response(new Blob([bytes]).stream(), { headers: { "content-length": `${bytes.length}` } }),
    bytesSource(bytes),
    runInNewContext("new Uint8Array(bytes)", { bytes }), // from another realm, as in Jest
    runInNewContext("new Uint8Array(bytes).buffer", { bytes }),
  ];
  for (const weights of forms) {
    using actual = await loadModel({ backend, weights });
    assertEquals(await actual.classify(photo), await expected.classify(photo));
    await loadWeights(actual, backend, bytes.buffer);
  }
});

Deno.test("loadWeights() reads URLs of data and blobs, as bundlers and pages make them", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using linear = new Linear(2, 1);
  const bytes = writeSafetensors([
    { name: "weight", dtype: "F32", shape: [1, 2], data: Float32Array.of(3, 4) },
    { name: "bias", dtype: "F32", shape: [1], data: new Float32Array(1) },
  ]);
  const blob = URL.createObjectURL(new Blob([bytes])), type = "application/octet-stream";
  for (const url of [blob, new URL(blob), `data:${type};base64,${bytes.toBase64()}`]) {
    await loadWeights(linear, backend, url);
    assertEquals(await linear.parameters.weight.tensor!.read(), Float32Array.of(3, 4));
    linear.dispose();
  }
  URL.revokeObjectURL(blob);
  await assertRejects(() => loadWeights(linear, backend, blob), FileError, blob);
  const text = () => loadWeights(linear, backend, "data:,weights");
  await assertRejects(text, FileError, "data:…: is text, not weights");
});

Deno.test("loadModel() says what is wrong with a response", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await createFile(backend);
  model.dispose();
  const assertError = async (weights: Response, message: string) => {
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    assertEquals(error.message, message);
    return error;
  };
  const missing = new Response("no", { status: 404, statusText: "Not Found" });
  const error = await assertError(missing, "weights: the server answered 404 Not Found");
  assert(error instanceof HttpError && error.status === 404);
  assert(missing.bodyUsed, "the body was not cancelled");

  const alreadyRead =
    "weights: the response body has already been read: pass a new response, or a clone()";
  const used = new Response(bytes);
  await used.bytes();
  await assertError(used, alreadyRead);
  const locked = new Response(bytes);
  locked.body!.getReader();
  await assertError(locked, alreadyRead);
  await assertError(new Response(null), "weights: is empty");
  await assertError(
    new Response("<!doctype html>"),
    "weights: is text, not weights (it starts with “<!doctype html>”)",
  );

  // A content-length limits the bytes that are read.
  const headers = { "content-length": "1000" };
  await assertError(
    new Response(bytes, { headers }),
    "weights: ends inside its header: truncated or damaged",
  );
  const broken = new ReadableStream({ start: (c) => c.error(new TypeError("reset")) });
  await assertError(new Response(broken), "weights: reset");

  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("busy", { status: 503 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/a.pth`;
  await assertError(await fetch(url), `${url}: the server answered 503 Service Unavailable`);

  const stream = new Blob([bytes]).stream();
  stream.getReader();
  await assertRejects(
    () => loadModel({ backend, weights: stream }),
    FileError,
    "weights: the stream is locked by another reader",
  );
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("loadModel() and loadWeights() reject values that are no source of weights", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = new AlexNetTiny();
  const invalid: [unknown, string][] = [
    [null, "null"],
    [42, "42"],
    [true, "true"],
    [{}, "[object Object]"],
    [Promise.resolve(new Uint8Array()), "[object Promise]"],
    [Array(1000).fill(1), "[1, 1, 1, 1, 1, 1, 1, 1, …]"],
    [new Request("http://localhost/a.pth"), "[object Request]"],
    [new Float32Array(1000), "[object Float32Array]"],
    [() => new Uint8Array(), "a function"],
    [Object.create(null), "[object Object]"],
    [{ size: 3, read() {} }, "[object Object]"],
  ];
  const expected = "must be a path, a URL, a Response, a Uint8Array, an ArrayBuffer, a Blob, " +
    "a ReadableStream or a ByteSource";
  for (const [value, text] of invalid) {
    const weights = value as WeightsInput,
      hint = value instanceof Promise ? "; await it first" : "";
    let error = await assertRejects(() => loadModel({ backend, weights }), ArgumentError);
    assertEquals(error.message, `loadModel: weights is ${text}, ${expected}${hint}`);
    error = await assertRejects(() => loadWeights(model, backend, weights), ArgumentError);
    assertEquals(error.message, `loadWeights: weights is ${text}, ${expected}${hint}`);
    assertEquals([error.op, error.parameter, error.value], ["loadWeights", "weights", value]);
  }
  await assertRejects(
    () => loadWeights(model, backend, undefined as unknown as WeightsInput),
    ArgumentError,
    "loadWeights: weights is undefined",
  );
  using linear = new Linear(2, 1).init(backend);
  const weights = writeSafetensors([
    { name: "weight", dtype: "F32", shape: [1, 2], data: new Float32Array(2) },
    { name: "bias", dtype: "F32", shape: [1], data: new Float32Array(1) },
  ]);
  for (const other of [undefined, 3] as unknown as Backend[]) {
    const load = () => loadWeights(linear, other, weights);
    await assertRejects(load, ArgumentError, "loadWeights: backend is ");
  }
  assertEquals(linear.parameters.weight.tensor?.shape, [1, 2]); // it keeps its weights
  const noModel = null as unknown as AlexNetTiny;
  await assertRejects(() => loadWeights(noModel, backend, weights), ArgumentError, "model is null");
});

Deno.test("loading refuses options that it would ignore, and those of wrong types", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using linear = new Linear(2, 1).init(backend);
  const wrong: [unknown, string][] = [
    [null, "options is null"],
    [{ device: "wasm" }, 'an option is "device"'],
    [{ files: null }, "files is null"],
    [{ onProgress: 0 }, "onProgress is 0"],
    [{ signal: new AbortController() }, "signal is [object AbortController]"],
    [{ backend: null }, "backend is null"],
  ];
  const weights = new Uint8Array(8);
  for (const [value, text] of wrong) {
    const options = value as { backend: Backend; signal: AbortSignal };
    await assertRejects(() => loadModel(options), ArgumentError, `loadModel: ${text}`);
    const load = () => AlexNet.load(options && { weights, ...options });
    await assertRejects(load, ArgumentError, `AlexNet.load: ${text}`);
    if (text.startsWith("backend")) continue; // it is no option of loadWeights()
    const reload = () => loadWeights(linear, backend, weights, options);
    await assertRejects(reload, ArgumentError, `loadWeights: ${text}`);
  }
});

Deno.test("loadWeights() refuses a model that other weights are being loaded into", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using linear = new Linear(2, 1);
  const file = (value: number) =>
    writeSafetensors([
      { name: "weight", dtype: "F32", shape: [1, 2], data: new Float32Array(2).fill(value) },
      { name: "bias", dtype: "F32", shape: [1], data: new Float32Array([value]) },
    ]);
  const second = () => loadWeights(linear, backend, file(2));
  const first = bytesSource(file(1));
  await loadWeights(linear, backend, {
    ...first,
    async read(offset, into) {
      await first.read(offset, into);
      if (linear.parameters.weight.tensor) {
        await assertRejects(second, PembrokeError, "other weights are being loaded");
      }
    },
  });
  const { weight, bias } = linear.parameters;
  assertEquals([...await weight.tensor!.read(), ...await bias!.tensor!.read()], [1, 1, 1]);
  await loadWeights(linear, backend, file(3)); // afterwards
  assertEquals([...await bias!.tensor!.read()], [3]);
});

Deno.test("a network cannot be used, get another head or be disposed of while it is loaded", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  for (const precision of ["f32", "int8"] as const) {
    using model = new AlexNetTiny({ precision }).init(backend, { seed: 1 });
    const load = (onProgress: (done: number, total: number) => void) =>
      loadWeights(model, backend, bundledWeights("alexnet-tiny"), { onProgress });
    const refused: Promise<unknown>[] = [];
    using x = backend.upload(model.preprocess(photo), model.inputShape());
    await load(() => {
      const calibrate = () => model.calibrate([photo]);
      for (const use of [() => model.classify(photo), () => saveModel(model), calibrate]) {
        const call = use as () => Promise<unknown>;
        refused.push(assertRejects(call, PembrokeError, "other weights are being loaded"));
      }
      assertThrows(() => model.replaceHead(classes), PembrokeError, "are being loaded");
      assertThrows(() => model.features(x), PembrokeError, "are being loaded");
    });
    assert((await Promise.all(refused)).length > 1);
    assertEquals((await model.classify(photo)).length, 5);
    const reason = "alexnet-tiny: was disposed while weights were loaded into it";
    for (const share of [0, 1]) {
      const dispose = (done: number, total: number) => {
        if (done / total >= share) model.dispose();
      };
      await assertRejects(() => load(dispose), PembrokeError, reason);
    }
    x.dispose();
    assertEquals(backend.bytesInUse, 0);
  }
});

Deno.test("loadModel() reads a stream, reports progress, and stops at the signal", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await createFile(backend);
  using expected = model;
  const shares: number[] = [];
  const onProgress = (done: number, total: number) => shares.push(done / total);
  const weights = new Blob([bytes]).stream();
  using actual = await loadModel({ backend, weights, onProgress });
  assertEquals(await actual.classify(photo), await expected.classify(photo));
  assertEquals(shares.at(-1), 1);
  assert(shares.length > 10 && shares.every((share, i) => i === 0 || share > shares[i - 1]));

  const inUse = backend.bytesInUse;
  /** Aborts at a share of the weights, or after 20 ms if it is negative. */
  const abort = async (weights: ReadableStream<Uint8Array> | Uint8Array, abortAt: number) => {
    const controller = new AbortController(), { signal } = controller;
    if (abortAt < 0) setTimeout(() => controller.abort(), 20);
    const onProgress = (done: number, total: number) => {
      if (done / total >= abortAt && abortAt >= 0) controller.abort();
    };
    const error = await loadModel({ backend, weights, signal, onProgress })
      .catch((reason) => reason);
    assertEquals(error.name, "AbortError");
    assertEquals(backend.bytesInUse, inUse);
  };
  await abort(bytes, 0.5);
  await abort(new Blob([bytes]).stream(), 0.5);
  await abort(new ReadableStream(), -1); // never sends anything
  const stalled = new ReadableStream({ start: (c) => c.enqueue(bytes.slice(0, 2 << 20)) });
  await abort(stalled, -1);
});

Deno.test("loadModel() creates a backend that the model owns and disposes of", async () => {
  const model = await loadModel();
  const { backend } = model;
  assertEquals((await model.classify(photo)).length, 5);
  // After a failed load, the backend still works, and weights can be loaded again.
  await assertRejects(() => loadWeights(model, backend, new Uint8Array(100)), FileError);
  const place = bundledWeights();
  const cut = (await Deno.readFile(place)).slice(0, 3_000_000);
  const damaged = streamSource(readChunks(new Blob([cut]).stream()), "cut", undefined);
  await assertRejects(async () => loadWeights(model, backend, await damaged), FileError);
  await loadWeights(model, backend, place);
  assertEquals((await model.classify(photo)).length, 5);
  model.dispose();
  model.dispose();
  assertThrows(() => backend.empty([1]), PembrokeError, "disposed");
});
