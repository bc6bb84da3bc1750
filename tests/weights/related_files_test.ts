/** Weights in several files: shards with an index, and ONNX with external data. */

import { ArgumentError, FileError } from "../../src/errors.ts";
import { loadModel } from "../../src/models/load_model.ts";
import {
  type ByteSource,
  bytesSource,
  fileSource,
  openWeights,
  writePth,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { assertFileError, floats, readAll, safetensors } from "./helpers.ts";
import { field, onnx, tensor } from "./onnx/helpers.ts";

const data = new Float32Array([1, 2]);
const shard = (...names: string[]) =>
  writeSafetensors(names.map((name) => ({ name, dtype: "F32", shape: [2], data })));

/** The files of a model in two shards, as huggingface_hub writes them. */
const sharded = (write = shard): Record<string, Uint8Array<ArrayBuffer>> => ({
  "model.safetensors.index.json": json({
    metadata: { total_size: 24, nested: { list: [1, "]}"] } },
    weight_map: {
      "model.a": "1.safetensors",
      "model.b": "2.safetensors",
      "model.c": "2.safetensors",
    },
  }),
  "1.safetensors": write("model.a"),
  "2.safetensors": write("model.b", "model.c"),
});

function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value, null, 2));
}

const index = "model.safetensors.index.json";

/** Runs a test with files in a new folder. */
async function withFolder(
  files: Record<string, Uint8Array>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Sources by name, and the names of those that are not closed. */
function sources(files: Record<string, Uint8Array>) {
  const open = new Set(Object.keys(files));
  const all: Record<string, ByteSource> = {};
  for (const [name, bytes] of Object.entries(files)) {
    all[name] = { ...bytesSource(bytes, name), close: () => open.delete(name) };
  }
  return { all, open };
}

Deno.test("openWeights() reads shards from the folder of their index", async () => {
  await withFolder(sharded(), async (folder) => {
    for (const path of [`${folder}/${index}`, new URL(`file://${folder}/${index}`)]) {
      using file = await openWeights(await fileSource(path));
      assertEquals([...file.entries.keys()], ["a", "b", "c"]);
      assertEquals([...file.order, file.format], ["a", "b", "c", "safetensors"]);
      assertEquals(file.entries.get("c"), { name: "c", dtype: "F32", shape: [2] });
      for (const name of file.order) assertEquals(await readAll(file, name), data);
      await assertRejects(() => file.read("model.a", () => {}), ArgumentError);
      file.close();
      await assertRejects(() => file.read("a", () => {}), ArgumentError);
    }
  });
});

Deno.test("openWeights() takes shards that the caller passes, and closes them", async () => {
  const { all: { [index]: main, ...files }, open } = sources(sharded());
  {
    using file = await openWeights(main, { files });
    assertEquals(await readAll(file, "b"), data);
  }
  assertEquals([...open], []);
});

Deno.test("openWeights() reads .pth shards, too", async () => {
  const write = (...names: string[]) =>
    writePth(names.map((name) => ({ name, dtype: "F32", shape: [2], data })));
  const { all: { [index]: main, ...files } } = sources(sharded(write));
  using file = await openWeights(main, { files });
  assertEquals(file.format, "pth");
  assertEquals(await readAll(file, "c"), data);
});

Deno.test("openWeights() reads quantised shards with their scales", async () => {
  const write = (name: string) =>
    writeSafetensors([{ name, dtype: "I8", shape: [1, 2], data: new Float32Array([127, -127]) }]);
  const main = json({ weight_map: { a: "1", a_scale: "1", b: "2", b_scale: "2" } });
  const files = { 1: bytesSource(write("a")), 2: bytesSource(write("b")) };
  using file = await openWeights(bytesSource(main), { files });
  assertEquals([...file.entries.keys()], ["a", "b"]);
  assertEquals(await readAll(file, "b"), new Float32Array([127, -127]));
});

Deno.test("openWeights() never reads outside the folder of an index", async () => {
  for (
    const name of [
      ...[
        "../secret",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        "",
        "C:x",
        "a\\b",
        "./../x",
        "a\0",
        "file:x",
      ],
    ]
  ) {
    const error = await assertRejects(async () => {
      const main = { ...bytesSource(json({ weight_map: { a: name } }), "x") };
      let asked = "";
      main.sibling = (other) => Promise.reject(new Error(asked = other));
      await openWeights(main).finally(() => assertEquals(asked, ""));
    }, FileError);
    assertEquals(
      error.message,
      `x: refers to the file ${
        name.replace(/^\.\//, "").replace("\0", "\\u{0}")
      }, only files in its own folder are read`,
    );
  }
});

Deno.test({
  name: "openWeights() follows links only within the folder of the file itself",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withFolder({}, async (folder) => {
      await Deno.mkdir(`${folder}/blobs`);
      await Deno.mkdir(`${folder}/model`);
      await Deno.mkdir(`${folder}/elsewhere`);
      // As in the cache of huggingface_hub, where all files are links.
      for (const [name, bytes] of Object.entries(sharded())) {
        await Deno.writeFile(`${folder}/blobs/${name}`, bytes);
        await Deno.symlink(`../blobs/${name}`, `${folder}/model/${name}`);
      }
      using file = await openWeights(await fileSource(`${folder}/model/${index}`));
      assertEquals(file.entries.size, 3);
      const path = `${folder}/elsewhere/${index}`;
      await Deno.copyFile(`${folder}/blobs/${index}`, path);
      await Deno.symlink(`../blobs/1.safetensors`, `${folder}/elsewhere/1.safetensors`);
      await assertFileError(
        async () => await openWeights(await fileSource(path)),
        `${path}: needs 1.safetensors, which is a link to another folder`,
      );
    });
  },
});

Deno.test("openWeights() rejects an index that does not match its shards", async () => {
  const attempt = async (map: unknown, reason: string) => {
    const { all, open } = sources({ x: json(map), s: shard("a", "b"), t: shard("c") });
    const { x, ...files } = all;
    await assertFileError(() => openWeights(x, { files }), reason);
    assertEquals([...open], []);
  };
  await attempt({ weight_map: { a: "s" } }, "x: does not list b of s");
  await attempt({ weight_map: { a: "s", b: "s", d: "s" } }, "x: d is not in s: damaged");
  await attempt({ weight_map: { a: "s", b: "s", c: "s" } }, "x: c is not in s: damaged");
  await attempt({ weight_map: {} }, "x: lists no tensors");
  await attempt(
    { weight_map: { a: "gone" } },
    'x: needs the file gone: pass it as files: { "gone": … }',
  );
  await attempt(
    { weight_map: { a: 1 } },
    "x: its index is invalid, expected a string at character 29: damaged",
  );
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`t${i}`, `f${i}`]));
  const files = Object.fromEntries(
    Array.from({ length: 600 }, (_, i) => [`f${i}`, bytesSource(shard(`t${i}`))]),
  );
  await assertFileError(
    () => openWeights(bytesSource(json({ weight_map: many }), "x"), { files }),
    "x: consists of more than 500 files",
  );
  await withFolder({ [index]: json({ weight_map: { a: "gone" } }) }, async (folder) => {
    await assertFileError(
      async () => await openWeights(await fileSource(`${folder}/${index}`)),
      `${folder}/gone: no such file`,
    );
  });
});

Deno.test("openWeights() closes files that a single file does not need", async () => {
  const { all: { x, ...files }, open } = sources({ x: shard("a"), y: shard("b") });
  using file = await openWeights(x, { files });
  assertEquals([file.entries.size, ...open], [1, "x"]);
});

const fixtures = new URL("../fixtures/onnx/faults/", import.meta.url);

Deno.test("loadModel() reads external data of an ONNX model: from its folder, or as passed", async () => {
  const path = new URL("cnn_external.onnx", fixtures);
  using fromFolder = await loadModel({ weights: path });
  const file = async (name: string) => await Deno.readFile(new URL(name, fixtures));
  using passed = await loadModel({
    weights: await file("cnn_external.onnx"),
    files: { "cnn_external.onnx.data": new Blob([await file("cnn_external.onnx.data")]) },
  });
  const image = { width: 40, height: 40, data: new Uint8Array(4800).map((_, i) => i % 251) };
  const [a, b] = [await fromFolder.classify(image), await passed.classify(image)];
  assertEquals(a, b);
  assertEquals(a.length, 5);
  await assertFileError(
    async () => await loadModel({ weights: await file("cnn_external.onnx") }),
    "weights: needs the file cnn_external.onnx.data: " +
      'pass it as files: { "cnn_external.onnx.data": … }',
  );
});

/** A TensorProto with external data. */
function external(name: string, pairs: Record<string, string>) {
  const entries = Object.entries(pairs).map(([key, value]) =>
    field(13, field(1, key), field(2, value))
  );
  return tensor(name, [2], 1, ...entries);
}

Deno.test("ONNX: external data is checked against the size of its file", async () => {
  const attempt = async (pairs: Record<string, string>) => {
    const files = { w: bytesSource(floats(1, 2, 3), "w") };
    const model = onnx({ tensors: [external("a", pairs), external("b", { location: "./w" })] });
    using file = await openWeights(bytesSource(model, "x"), { files });
    return [...await readAll(file, "a"), ...await readAll(file, "b")];
  };
  assertEquals(await attempt({ location: "w" }), [1, 2, 1, 2]);
  assertEquals(await attempt({ location: "w", offset: "4", length: "8" }), [2, 3, 1, 2]);
  const outside = "w: ends after 12 bytes, before a: truncated or damaged";
  for (const offset of ["8", "99999999999999", "-4", "4x", "1e1", "99999999999999999999"]) {
    await assertFileError(() => attempt({ location: "w", offset }), outside);
  }
  const size = (length: string) =>
    `x: a has ${length} bytes, but its shape and dtype need 8: damaged`;
  await assertFileError(() => attempt({ location: "w", length: "4" }), size("4"));
  await assertFileError(() => attempt({ location: "w", length: "-8" }), size("NaN"));
  await assertFileError(() => attempt({ offset: "0" }), "x: a has no location: damaged");
  await assertFileError(
    () => attempt({ location: "../w" }),
    "x: refers to the file ../w, only files in its own folder are read",
  );
});

Deno.test("openWeights() detects text that is no index", async () => {
  await assertFileError(
    () => openWeights(bytesSource(json({ hello: 1 }), "x")),
    "x: is text, not weights (it starts with “{”)",
  );
  await assertRejects(() => openWeights(bytesSource(safetensors("{}"), "x")), FileError);
});
