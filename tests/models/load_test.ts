/** Files that say which network they are for, from wherever they come. */

import { runInNewContext } from "node:vm";
import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { HttpError, readChunks } from "../../src/io/download.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { describe } from "../../src/models/description.ts";
import {
  AlexNet,
  AlexNetTiny,
  loadModel,
  loadWeights,
  type WeightsInput,
} from "../../src/models/mod.ts";
import {
  bytesSource,
  streamSource,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const classes = ["day", "night", "dusk"].map((label, i) => ({ wnid: `n${i}`, label }));
const photo = {
  width: 90,
  height: 70,
  data: Uint8Array.from({ length: 90 * 70 * 3 }, (_, i) => 128 + 127 * Math.sin(i * 0.01)),
};

const layersOnnx = new URL("../fixtures/onnx/layers.onnx", import.meta.url);

/** An alexnet-tiny of three classes, as a file that says so. */
async function file(
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

testOnEveryBackend(
  "loadModel() makes the network that a file describes, with its classes and preprocessing",
  async (backend) => {
    const { model, bytes } = await file(backend);
    using expected = model;
    using found = await loadModel({ backend, weights: bytes });
    assert(found instanceof AlexNetTiny);
    assertEquals(found.preprocessing, expected.preprocessing);
    assertEquals([found.classes, found.numClasses], [classes, 3]);
    assertEquals(await found.classify(photo), await expected.classify(photo));
    assertEquals((await found.classify(photo)).length, 3);

    const named = classes.map(({ wnid, label }) => ({ wnid, label: label.toUpperCase() }));
    using other = await loadModel({ backend, weights: bytes, classes: named });
    const [best] = await other.classify(photo, { topK: 1 });
    assertEquals(best.label, (await expected.classify(photo))[0].label.toUpperCase());
  },
);

testOnEveryBackend("loadModel() refuses options that a file contradicts", async (backend) => {
  const { model, bytes } = await file(backend);
  model.dispose();
  await assertRejects(
    () => loadModel({ backend, weights: bytes, numClasses: 1000 }),
    ArgumentError,
    "AlexNetTiny: numClasses is 1000, must be 3, as many as classes",
  );
  await assertRejects(
    () => loadModel({ backend, weights: bytes, classes: classes.slice(1) }),
    FileError,
    "classifier.4.weight is [3, 512], AlexNetTiny expects [2, 512]",
  );
  const large = await file(backend, 80);
  large.model.dispose();
  await assertRejects(
    () => loadModel({ backend, weights: large.bytes }),
    FileError,
    "weights: is for images of 80×80, which AlexNetTiny does not take",
  );
});

testOnEveryBackend("AlexNet.load() refuses the weights of other networks", async (backend) => {
  const { model, bytes } = await file(backend);
  model.dispose();
  await assertRejects(
    () => AlexNet.load({ backend, weights: bytes }),
    FileError,
    "weights: is for alexnet-tiny, not AlexNet; loadModel() loads it",
  );
  await assertRejects(
    () => AlexNet.load({ backend, weights: layersOnnx }),
    FileError,
    "is an ONNX model with layers; loadModel() loads it",
  );
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("loadModel() fetches weights from a URL", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await file(backend);
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
    using found = await loadModel({ backend, weights: place });
    assertEquals(await found.classify(photo), await expected.classify(photo));
  }
  const refused = async (path: string, reason: string) => {
    const error = await assertRejects(
      () => loadModel({ backend, weights: `${base}${path}` }),
      FileError,
    );
    assertEquals(error.message.slice(0, base.length + path.length + 2), `${base}${path}: `);
    assert(error.reason.startsWith(reason), error.message);
  };
  await refused("/b.safetensors", "the server answered 404 Not Found");
  await refused("/page", "is text, not weights");
  await refused("/half.safetensors", "ends inside features.8.weight: truncated");
  await server.shutdown();
  await refused("/a.safetensors", "tcp connect error: Connection refused");
});

Deno.test("loadModel() takes bytes in every form, and what fetch() gave", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await file(backend);
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
    runInNewContext("new Uint8Array(bytes)", { bytes }), // of another realm, as Jest's are
    runInNewContext("new Uint8Array(bytes).buffer", { bytes }),
  ];
  for (const weights of forms) {
    using found = await loadModel({ backend, weights });
    assertEquals(await found.classify(photo), await expected.classify(photo));
    await loadWeights(found, backend, bytes.buffer);
  }
});

Deno.test("loadModel() says what is wrong with a response", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await file(backend);
  model.dispose();
  const refused = async (weights: Response, message: string) => {
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    assertEquals(error.message, message);
    return error;
  };
  const missing = new Response("no", { status: 404, statusText: "Not Found" });
  const error = await refused(missing, "weights: the server answered 404 Not Found");
  assert(error instanceof HttpError && error.status === 404);
  assert(missing.bodyUsed, "the body was left");

  const again =
    "weights: the response body has already been read: pass a new response, or a clone()";
  const used = new Response(bytes);
  await used.bytes();
  await refused(used, again);
  const locked = new Response(bytes);
  locked.body!.getReader();
  await refused(locked, again);
  await refused(new Response(null), "weights: is empty");
  await refused(
    new Response("<!doctype html>"),
    "weights: is text, not weights (it starts with “<!doctype html>”)",
  );

  // the header says how many bytes are to come: more than that are never believed
  const headers = { "content-length": "1000" };
  await refused(
    new Response(bytes, { headers }),
    "weights: ends inside its header: truncated or damaged",
  );
  const broken = new ReadableStream({ start: (c) => c.error(new TypeError("reset")) });
  await refused(new Response(broken), "weights: reset");

  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("busy", { status: 503 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/a.pth`;
  await refused(await fetch(url), `${url}: the server answered 503 Service Unavailable`);

  const stream = new Blob([bytes]).stream();
  stream.getReader();
  await assertRejects(
    () => loadModel({ backend, weights: stream }),
    FileError,
    "weights: the stream is being read by somebody else",
  );
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("loadModel() and loadWeights() refuse what weights cannot come from", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = new AlexNetTiny();
  const wrong: [unknown, string][] = [
    [null, "null"],
    [42, "42"],
    [true, "true"],
    [{}, "[object Object]"],
    [Promise.resolve(new Uint8Array()), "[object Promise]"],
    [Array(1000).fill(1), "[1, 1, 1, 1, 1, 1, 1, 1, …]"],
    [new Request("http://localhost/a.pth"), "[object Request]"],
    [new Float32Array(1000), "[object Float32Array]"],
    [() => new Uint8Array(), "the function"],
    [Object.create(null), "[object Object]"],
    [{ size: 3, read() {} }, "[object Object]"],
  ];
  const takes = "must be a path, a URL, a Response, a Uint8Array, an ArrayBuffer, a Blob, " +
    "a ReadableStream or a ByteSource";
  for (const [value, shown] of wrong) {
    const weights = value as WeightsInput;
    let error = await assertRejects(() => loadModel({ backend, weights }), ArgumentError);
    assertEquals(error.message, `loadModel: weights is ${shown}, ${takes}`);
    error = await assertRejects(() => loadWeights(model, backend, weights), ArgumentError);
    assertEquals(error.message, `loadWeights: weights is ${shown}, ${takes}`);
    assertEquals([error.op, error.parameter, error.value], ["loadWeights", "weights", value]);
  }
  await assertRejects(
    () => loadWeights(model, backend, undefined as unknown as WeightsInput),
    ArgumentError,
    "loadWeights: weights is undefined",
  );
});

Deno.test("loadModel() reads a stream, says how far it is, and ends with the signal", async () => {
  using backend = await createBackend({ threads: 1 });
  const { model, bytes } = await file(backend);
  using expected = model;
  const seen: number[] = [];
  const onProgress = (done: number, total: number) => seen.push(done / total);
  const weights = new Blob([bytes]).stream();
  using found = await loadModel({ backend, weights, onProgress });
  assertEquals(await found.classify(photo), await expected.classify(photo));
  assertEquals(seen.at(-1), 1);
  assert(seen.length > 10 && seen.every((share, i) => i === 0 || share > seen[i - 1]));

  const inUse = backend.bytesInUse;
  const ended = async (weights: ReadableStream<Uint8Array> | Uint8Array, abortAt: number) => {
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
  await ended(bytes, 0.5);
  await ended(new Blob([bytes]).stream(), 0.5);
  await ended(new ReadableStream(), -1); // one that says nothing
  const silent = new ReadableStream({ start: (c) => c.enqueue(bytes.slice(0, 2 << 20)) });
  await ended(silent, -1);
});

Deno.test("loadModel() makes a backend of the model's own, which goes with the model", async () => {
  const model = await loadModel();
  const { backend } = model;
  assertEquals((await model.classify(photo)).length, 5);
  // a failed attempt to load something else takes neither the backend nor the way to try again
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
