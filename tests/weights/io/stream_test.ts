/** Reads weights from streams with chunks of any size. */

import { FileError } from "../../../src/errors.ts";
import { streamSource } from "../../../src/weights/io/stream_source.ts";
import {
  type ByteSource,
  bytesSource,
  openWeights,
  writeOnnx,
  writeSafetensors,
} from "../../../src/weights/mod.ts";
import { assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { chunkedSource, fixture, readAll, zip } from "../helpers.ts";

/** Reads all weights of a file, in file order. */
async function readTensors(source: ByteSource): Promise<Record<string, Float32Array>> {
  using file = await openWeights(source);
  const all: Record<string, Float32Array> = {};
  for (const name of file.order) {
    const { dtype } = file.entries.get(name)!;
    if (/^B?F/.test(dtype) || dtype === "I8") all[name] = await readAll(file, name);
  }
  return all;
}

const fixtures = ["model", "checkpoint", "parallel", "protocol4", "wrapped_model"];
for (const name of fixtures.flatMap((name) => [`${name}.pth`, `${name}_legacy.pth`])) {
  Deno.test(`openWeights() reads ${name} from a stream`, async () => {
    const bytes = await fixture(name), expected = await readTensors(bytesSource(bytes));
    for (const chunk of [1, 77, bytes.length]) {
      assertEquals(await readTensors(await chunkedSource(bytes, { chunk })), expected);
    }
  });
}

/** Tensors of several megabytes, more than a stream keeps of its start. */
const large = (["I8", "F16", "F32", "F32"] as const).map((dtype, i) => ({
  name: `${i}.weight`,
  dtype,
  shape: [300, 1500 + i],
  data: Float32Array.from({ length: 300 * (1500 + i) }, (_, j) => Math.sin(j + i)),
}));

Deno.test("openWeights() reads large safetensors from a stream, with quantised tensors", async () => {
  const bytes = writeSafetensors(large), expected = await readTensors(bytesSource(bytes));
  for (const size of [undefined, bytes.length]) {
    assertEquals(await readTensors(await chunkedSource(bytes, { chunk: 65536, size })), expected);
  }
});

Deno.test("a stream can read skipped tensors later, but no tensor twice", async () => {
  const source = await chunkedSource(writeSafetensors(large), { chunk: 65536 });
  using file = await openWeights(source);
  await readAll(file, "0.weight"); // the last in file order
  assertEquals((await readAll(file, "2.weight")).length, large[2].data.length);
  const error = await assertRejects(() => readAll(file, "0.weight"), FileError);
  assertMatch(error.message, /^x: .*cannot be read from a stream: download it first$/);
});

Deno.test("a stream keeps at most 16 MiB of skipped bytes", async () => {
  const bytes = new Uint8Array(20 << 20);
  const source = await chunkedSource(bytes, { chunk: 1 << 20 });
  await source.read(15 << 20, new Uint8Array(1 << 14));
  const error = await assertRejects(() => source.read(19 << 20, new Uint8Array(4)), FileError);
  assertMatch(error.message, /download it first$/);
});

Deno.test("openWeights() reads thousands of small tensors from a stream", async () => {
  const many = Array.from({ length: 3000 }, (_, i) => ({
    name: String(i),
    dtype: "F32" as const,
    shape: [2000],
    data: new Float32Array(2000).fill(i),
  }));
  const bytes = writeSafetensors(many);
  assertEquals(
    await readTensors(await chunkedSource(bytes, { chunk: 65536 })),
    await readTensors(bytesSource(bytes)),
  );
});

Deno.test("a truncated stream is rejected, with and without a known size", async () => {
  const bytes = writeSafetensors(large), half = bytes.slice(0, bytes.length >> 1);
  for (const size of [undefined, bytes.length]) {
    const source = await chunkedSource(half, { chunk: 65536, size });
    const error = await assertRejects(() => readTensors(source), FileError);
    assertMatch(error.message, /^x: ends after \d+ bytes, but \d+ are needed: truncated/);
  }
  for (const length of [0, 1, 100, 600]) {
    await assertRejects(() => chunkedSource(bytes.slice(0, length)).then(readTensors), FileError);
  }
});

Deno.test("a stream may have chunks that are ArrayBuffers, but no texts", async () => {
  const sourceOf = (chunk: unknown) => {
    const chunks = [chunk].values() as Iterator<Uint8Array>;
    const next = () => Promise.resolve(chunks.next().value as Uint8Array);
    return streamSource({ next, cancel: () => Promise.resolve() });
  };
  const source = await sourceOf(Uint8Array.of(1, 2).buffer), bytes = new Uint8Array(2);
  await source.read(0, bytes);
  assertEquals(bytes, Uint8Array.of(1, 2));
  await assertRejects(() => sourceOf("text"), FileError, "its stream are not Uint8Arrays");
});

Deno.test("openWeights() reads ONNX only from a stream of known length", async () => {
  const bytes = writeOnnx(large.filter(({ dtype }) => dtype !== "I8"));
  const expected = await readTensors(bytesSource(bytes));
  const sized = await chunkedSource(bytes, { chunk: 65536, size: bytes.length });
  assertEquals(await readTensors(sized), expected);
  const error = await assertRejects(
    () => chunkedSource(bytes, { chunk: 65536 }).then(readTensors),
    FileError,
  );
  assertEquals(
    error.message,
    "x: ONNX cannot be read from a stream of unknown length: download it first",
  );
});

Deno.test("openWeights() rejects a stream of a .pth file with entries in another order", async () => {
  const archive = zip([{ name: "a/data/0", data: "NNNN" }, { name: "a/data.pkl", data: "N." }]);
  const error = await assertRejects(() => chunkedSource(archive).then(readTensors), FileError);
  assertMatch(error.message, /does not start with a pickle.* download it first$/);
});

Deno.test("openWeights() rejects a stream with an entry of another length than in the pickle", async () => {
  const bytes = await fixture("model.pth");
  // Change the data descriptor after the first storage.
  const view = new DataView(bytes.buffer), descriptors: number[] = [];
  for (let i = 0; i + 4 < bytes.length; i++) {
    if (view.getUint32(i, true) === 0x08074b50) descriptors.push(i);
  }
  view.setUint32(descriptors[descriptors.length > 3 ? 2 : 1] + 8, 12345, true);
  const error = await assertRejects(() => chunkedSource(bytes).then(readTensors), FileError);
  assertMatch(error.message, /its entry \S+ does not end .*: damaged$/);
});
