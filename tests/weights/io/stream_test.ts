/** Files of weights that arrive piece by piece: the same values, whatever the pieces. */

import { FileError } from "../../../src/errors.ts";
import {
  type ByteSource,
  bytesSource,
  openWeights,
  writeOnnx,
  writeSafetensors,
} from "../../../src/weights/mod.ts";
import { assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { arriving, fixture, readAll, zip } from "../helpers.ts";

/** All tensors of a file in the order in which they lie there. */
async function contents(source: ByteSource): Promise<Record<string, Float32Array>> {
  using file = await openWeights(source);
  const all: Record<string, Float32Array> = {};
  for (const name of file.order) {
    const { dtype } = file.entries.get(name)!;
    if (/^B?F/.test(dtype) || dtype === "I8") all[name] = await readAll(file, name);
  }
  return all;
}

const small = ["model", "checkpoint", "parallel", "protocol4", "wrapped_model"];
for (const name of small.flatMap((name) => [`${name}.pth`, `${name}_legacy.pth`])) {
  Deno.test(`${name} is read from a stream as from a file`, async () => {
    const bytes = await fixture(name), whole = await contents(bytesSource(bytes));
    for (const piece of [1, 77, bytes.length]) {
      assertEquals(await contents(await arriving(bytes, { piece })), whole);
    }
  });
}

/** Tensors of some megabytes, more than a stream keeps of its beginning. */
const large = (["I8", "F16", "F32", "F32"] as const).map((dtype, i) => ({
  name: `${i}.weight`,
  dtype,
  shape: [300, 1500 + i],
  data: Float32Array.from({ length: 300 * (1500 + i) }, (_, j) => Math.sin(j + i)),
}));

Deno.test("safetensors larger than what is kept are read from a stream, scales too", async () => {
  const bytes = writeSafetensors(large), whole = await contents(bytesSource(bytes));
  for (const size of [undefined, bytes.length]) {
    assertEquals(await contents(await arriving(bytes, { piece: 65536, size })), whole);
  }
});

Deno.test("what was passed over can be read later, what was read cannot", async () => {
  const source = await arriving(writeSafetensors(large), { piece: 65536 });
  using file = await openWeights(source);
  await readAll(file, "0.weight"); // the last of them
  assertEquals((await readAll(file, "2.weight")).length, large[2].data.length);
  const error = await assertRejects(() => readAll(file, "0.weight"), FileError);
  assertMatch(error.message, /^x: .*cannot be read from a stream: download it first$/);
});

Deno.test("a stream keeps no more than 16 MiB of what it passes over", async () => {
  const bytes = new Uint8Array(20 << 20);
  const source = await arriving(bytes, { piece: 1 << 20 });
  await source.read(15 << 20, new Uint8Array(1 << 14));
  const error = await assertRejects(() => source.read(19 << 20, new Uint8Array(4)), FileError);
  assertMatch(error.message, /download it first$/);
});

Deno.test("any number of small tensors is read in order", async () => {
  const many = Array.from({ length: 3000 }, (_, i) => ({
    name: String(i),
    dtype: "F32" as const,
    shape: [2000],
    data: new Float32Array(2000).fill(i),
  }));
  const bytes = writeSafetensors(many);
  assertEquals(
    await contents(await arriving(bytes, { piece: 65536 })),
    await contents(bytesSource(bytes)),
  );
});

Deno.test("a stream that ends too early says where, with and without a known size", async () => {
  const bytes = writeSafetensors(large), half = bytes.slice(0, bytes.length >> 1);
  for (const size of [undefined, bytes.length]) {
    const source = await arriving(half, { piece: 65536, size });
    const error = await assertRejects(() => contents(source), FileError);
    assertMatch(error.message, /^x: ends after \d+ bytes, where \d+ are needed: truncated/);
  }
  for (const length of [0, 1, 100, 600]) {
    await assertRejects(() => arriving(bytes.slice(0, length)).then(contents), FileError);
  }
});

Deno.test("ONNX takes a stream that says how long it is", async () => {
  const bytes = writeOnnx(large.filter(({ dtype }) => dtype !== "I8"));
  const whole = await contents(bytesSource(bytes));
  const sized = await arriving(bytes, { piece: 65536, size: bytes.length });
  assertEquals(await contents(sized), whole);
  const error = await assertRejects(
    () => arriving(bytes, { piece: 65536 }).then(contents),
    FileError,
  );
  assertEquals(error.message, "x: is ONNX from a stream of unknown length: download it first");
});

Deno.test("a .pth whose records are in another order is to be downloaded first", async () => {
  const archive = zip([{ name: "a/data/0", data: "NNNN" }, { name: "a/data.pkl", data: "N." }]);
  const error = await assertRejects(() => arriving(archive).then(contents), FileError);
  assertMatch(error.message, /does not begin with a pickle .* download it first$/);
});

Deno.test("a record that is not as long as the pickle says is damage", async () => {
  const bytes = await fixture("model.pth");
  // the descriptor behind the first storage
  const view = new DataView(bytes.buffer), marks: number[] = [];
  for (let i = 0; i + 4 < bytes.length; i++) {
    if (view.getUint32(i, true) === 0x08074b50) marks.push(i);
  }
  view.setUint32(marks[marks.length > 3 ? 2 : 1] + 8, 12345, true);
  const error = await assertRejects(() => arriving(bytes).then(contents), FileError);
  assertMatch(error.message, /its entry \S+ does not end .*: damaged$/);
});
