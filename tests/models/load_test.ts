/** Files that say which network they are for, from wherever they come. */

import { type Backend, createBackend } from "../../src/backend.ts";
import { ArgumentError, FileError } from "../../src/errors.ts";
import { describe } from "../../src/models/description.ts";
import { AlexNet, AlexNetTiny } from "../../src/models/mod.ts";
import { type TensorToWrite, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const classes = ["day", "night", "dusk"].map((label, i) => ({ wnid: `n${i}`, label }));
const photo = {
  width: 90,
  height: 70,
  data: Uint8Array.from({ length: 90 * 70 * 3 }, (_, i) => 128 + 127 * Math.sin(i * 0.01)),
};

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
  "AlexNet.load() makes the network that a file describes, with its classes and preprocessing",
  async (backend) => {
    const { model, bytes } = await file(backend);
    using expected = model;
    using found = await AlexNet.load({ backend, weights: bytes });
    assert(found instanceof AlexNetTiny);
    assertEquals(found.preprocessing, expected.preprocessing);
    assertEquals([found.classes, found.numClasses], [classes, 3]);
    assertEquals(await found.classify(photo), await expected.classify(photo));
    assertEquals((await found.classify(photo)).length, 3);

    const named = classes.map(({ wnid, label }) => ({ wnid, label: label.toUpperCase() }));
    using other = await AlexNet.load({ backend, weights: bytes, classes: named });
    const [best] = await other.classify(photo, { topK: 1 });
    assertEquals(best.label, (await expected.classify(photo))[0].label.toUpperCase());
  },
);

testOnEveryBackend("AlexNet.load() refuses options that a file contradicts", async (backend) => {
  const { model, bytes } = await file(backend);
  model.dispose();
  await assertRejects(
    () => AlexNet.load({ backend, weights: bytes, numClasses: 1000 }),
    ArgumentError,
    "AlexNetTiny: numClasses is 1000, must be 3, as many as classes",
  );
  await assertRejects(
    () => AlexNet.load({ backend, weights: bytes, hiddenFeatures: 16 }),
    ArgumentError,
    "AlexNetTiny: hiddenFeatures is 16, must be left out",
  );
  await assertRejects(
    () => AlexNet.load({ backend, weights: bytes, classes: classes.slice(1) }),
    FileError,
    "classifier.4.weight is [3, 512], AlexNetTiny takes [2, 512]",
  );
  const large = await file(backend, 80);
  large.model.dispose();
  await assertRejects(
    () => AlexNet.load({ backend, weights: large.bytes }),
    FileError,
    "weights: is for images of 80×80, which AlexNetTiny does not take",
  );
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("AlexNet.load() fetches weights from a URL", async () => {
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
    using found = await AlexNet.load({ backend, weights: place });
    assertEquals(await found.classify(photo), await expected.classify(photo));
  }
  const refused = async (path: string, reason: string) => {
    const error = await assertRejects(
      () => AlexNet.load({ backend, weights: `${base}${path}` }),
      FileError,
    );
    assertEquals(error.message.slice(0, base.length + path.length + 2), `${base}${path}: `);
    assert(error.reason.startsWith(reason), error.message);
  };
  await refused("/b.safetensors", "the server answered 404 Not Found");
  await refused("/page", "is text, not weights");
  await refused("/half.safetensors", "ends inside of features.8.weight: truncated");
  await server.shutdown();
  await refused("/a.safetensors", "tcp connect error: Connection refused");
});
