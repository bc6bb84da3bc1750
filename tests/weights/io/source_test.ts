import { ArgumentError, FileError } from "../../../src/errors.ts";
import { decodeImage, fromRgba } from "../../../src/image/mod.ts";
import { loadCheckpoint, type Trainer } from "../../../src/train/mod.ts";
import {
  blobSource,
  bytesSource,
  fileSource,
  openWeights,
  streamSource,
} from "../../../src/weights/mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../../assert.ts";
import { assertFileError, fixture, open } from "../helpers.ts";

const ten = Uint8Array.from({ length: 10 }, (_, i) => i);

async function withFile<T>(content: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, content);
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("every source reads any range, and nothing beyond its end", () =>
  withFile(ten, async (path) => {
    for (
      const source of [bytesSource(ten, "x"), blobSource(new Blob([ten])), await fileSource(path)]
    ) {
      assertEquals(source.size, 10);
      const into = new Uint8Array(3);
      await source.read(7, into);
      assertEquals(into, new Uint8Array([7, 8, 9]));
      await source.read(0, into);
      assertEquals(into, new Uint8Array([0, 1, 2]));
      await source.read(10, new Uint8Array());
      const ends = `${source.name}: ends after 10 bytes, but 11 are needed: truncated or damaged`;
      await assertFileError(() => source.read(8, into), ends);
      await assertRejects(() => source.read(-1, into), FileError);
      await assertRejects(() => source.read(NaN, into), FileError);
      source.close();
      source.close();
    }
  }));

Deno.test('sources are named after the File, the argument or "weights"', () => {
  assertEquals(blobSource(new File([ten], "a.pth")).name, "a.pth");
  assertEquals(blobSource(new Blob([ten]), "b.pth").name, "b.pth");
  assertEquals(bytesSource(ten).name, "weights");
});

Deno.test("fileSource() rejects missing files and directories", async () => {
  const folder = await Deno.makeTempDir();
  await assertFileError(() => fileSource(`${folder}/none.pth`), `${folder}/none.pth: no such file`);
  await assertFileError(() => fileSource(folder), `${folder}: is a directory, not a file`);
  await Deno.writeFile(`${folder}/file`, ten);
  await assertFileError(() => fileSource(`${folder}/file/x`), `${folder}/file/x: no such file`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "fileSource() gives the reason of the system alone",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    await Deno.symlink("link", `${folder}/link`);
    const reason = "cannot be opened: too many levels of symbolic links";
    await assertFileError(() => fileSource(`${folder}/link`), `${folder}/link: ${reason}`);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "fileSource() rejects a device",
  ignore: Deno.build.os === "windows",
  fn: () => assertFileError(() => fileSource("/dev/null"), "/dev/null: is not a regular file"),
});

Deno.test({
  name: "fileSource() passes on the error about a missing permission",
  permissions: { read: false },
  async fn() {
    await assertRejects(() => fileSource("x.pth"), Deno.errors.NotCapable);
  },
});

Deno.test("read() fails when the file shrinks or is closed", () =>
  withFile(ten, async (path) => {
    const source = await fileSource(path);
    await Deno.truncate(path, 4);
    await assertFileError(
      () => source.read(0, new Uint8Array(10)),
      `${path}: became shorter while being read`,
    );
    source.close();
    await assertFileError(
      () => source.read(0, new Uint8Array(1)),
      `${path}: was closed while being read`,
    );
  }));

Deno.test("functions reject values that are not bytes, Blobs, paths, streams or sources", async () => {
  const wrong: unknown[] = [
    null,
    undefined,
    42,
    {},
    [1, 2],
    Promise.resolve(ten),
    new Float32Array(4),
  ];
  for (const value of wrong as never[]) {
    assertThrows(() => bytesSource(value), ArgumentError, "bytesSource: bytes is ");
    assertThrows(() => blobSource(value), ArgumentError, "blobSource: blob is ");
    await assertRejects(() => fileSource(value), ArgumentError, "fileSource: path is ");
    await assertRejects(() => streamSource(value), ArgumentError, "streamSource: chunks is ");
    // sources that mod.ts exports
    const exported = "such as that of fileSource() or bytesSource()";
    await assertRejects(() => openWeights(value), ArgumentError, exported);
    await assertRejects(() => decodeImage(value), ArgumentError, "decodeImage: bytes is ");
    const trainer = {} as Trainer;
    await assertRejects(
      () => loadCheckpoint(trainer, value),
      ArgumentError,
      "loadCheckpoint: bytes",
    );
    assertThrows(() => fromRgba(value), ArgumentError, "fromRgba: image is ");
  }
  await assertRejects(() => fileSource(""), ArgumentError, 'path is "", must be a path');
  const stream = new Blob([ten]).stream() as never;
  await assertRejects(() => streamSource(stream), ArgumentError, "[object ReadableStream]");
});

Deno.test("openWeights() closes the source when it fails, and when the weights are closed", async () => {
  let closed = 0;
  const source = (bytes: Uint8Array) => ({
    ...bytesSource(bytes, "x"),
    close: () => void closed++,
  });
  await assertRejects(() => openWeights(source(ten)), FileError);
  assertEquals(closed, 1);
  const file = await openWeights(source(await fixture("model.pth")));
  file.close();
  file.close();
  assertEquals(closed, 2);
});

Deno.test("openWeights() says what a file is if it is not weights", async () => {
  const text = (content: string) => open(new TextEncoder().encode(content));
  await assertFileError(() => open(new Uint8Array()), "x: is empty");
  await assertFileError(
    () => text("version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "x: is text, not weights (it starts with “version https://git-lfs.github.com/spec/v1”)",
  );
  await assertFileError(() => text("{"), "x: is text, not weights (it starts with “{”)");
  await assertFileError(
    () => text('[1,2,3,4{"a": 1}'),
    'x: is text, not weights (it starts with “[1,2,3,4{"a": 1}”)',
  );
  const neither = "x: is not a PyTorch .pth, safetensors or ONNX file";
  await assertFileError(() => open(new Uint8Array(100)), neither);
  await assertFileError(() => open(ten), neither);
  await assertFileError(
    () => open(new Uint8Array([0x89, 0x48, 0x44, 0x46, 13, 10, 26, 10])),
    neither,
  );
  await assertFileError(
    () => open(new Uint8Array([0x80, 2, 0x7d, 0x2e])),
    "x: is a pickle, but torch.save() did not write it",
  );
});
