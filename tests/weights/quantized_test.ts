import { ArgumentError, FileError } from "../../src/errors.ts";
import { bytesSource, checkWeights, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { bytes, floats, open, readAll, safetensors } from "./helpers.ts";

const openQuantized = (data: Float32Array, shape: number[]) =>
  openWeights(bytesSource(writeSafetensors([{ name: "a", dtype: "I8", shape, data }]), "x"));

/** A file with a quantised tensor [2, 3], and scales with this header entry and data. */
function quantized(scale: Record<string, unknown>, data: Uint8Array) {
  return safetensors({
    a: { dtype: "I8", shape: [2, 3], data_offsets: [0, 6] },
    a_scale: { data_offsets: [6, 6 + data.length], ...scale },
  }, bytes(Uint8Array.of(127, 0, 256 - 127, 1, 256 - 2, 3), data));
}

Deno.test("read() dequantises I8 tensors that have scales", async () => {
  for (const shape of [[2], [2, 1]]) {
    using file = await open(quantized({ dtype: "F32", shape }, floats(0.5, 10)));
    assertEquals([...file.entries.values()], [
      { name: "a", dtype: "I8", shape: [2, 3], quantized: true },
    ]);
    assertEquals(await readAll(file, "a"), new Float32Array([63.5, 0, -63.5, 10, -20, 30]));
    checkWeights(file, new Map([["a", [2, 3]]]), "AlexNet");
  }
  using halves = await open(
    quantized({ dtype: "F16", shape: [2] }, Uint8Array.of(0, 0x3c, 0, 0x40)),
  );
  assertEquals(await readAll(halves, "a"), new Float32Array([127, 0, -127, 2, -4, 6]));
});

Deno.test("read() gives the rows of I8 tensors as they are stored, if asked to", async () => {
  using file = await open(quantized({ dtype: "F32", shape: [2] }, floats(0.5, 10)));
  const chunks: unknown[] = [];
  await file.read("a", fail, (integers, offset, scale) => {
    chunks.push([integers.slice(), offset, scale]);
  });
  assertEquals(chunks, [[Int8Array.of(127, 0, -127, 1, -2, 3), 0, Float32Array.of(0.5, 10)]]);

  const shape = [3, 300_000];
  const data = Float32Array.from({ length: 900_000 }, (_, i) => i % 255 - 127);
  using large = await openQuantized(data, shape);
  const all = new Int8Array(data.length), offsets: number[] = [];
  await large.read("a", fail, (integers, offset) => {
    all.set(integers, offset);
    offsets.push(offset);
  });
  assertEquals(all, Int8Array.from(data));
  assertEquals(offsets, [0, 300_000, 600_000]);

  // a row longer than the buffer
  using long = await openQuantized(data, [1, 900_000]);
  let count = 0;
  await long.read("a", (values) => count += values.length, fail);
  assertEquals(count, 900_000);
});

/** A sink that must not be called. */
function fail(): never {
  throw new Error("called the other sink");
}

Deno.test("openWeights() rejects scales that are not one float per row", async () => {
  const assertRejected = async (
    scale: Record<string, unknown>,
    data: Uint8Array,
    description: string,
  ) => {
    const error = await assertRejects(() => open(quantized(scale, data)), FileError);
    assertEquals(
      error.message,
      `x: a_scale is ${description}, but a [2, 3] needs one float per row`,
    );
  };
  await assertRejected({ dtype: "F32", shape: [3] }, floats(1, 2, 3), "F32 [3]");
  await assertRejected({ dtype: "F32", shape: [] }, floats(1), "F32 []");
  await assertRejected({ dtype: "I32", shape: [2] }, new Uint8Array(8), "I32 [2]");
  const scalar = {
    a: { dtype: "I8", shape: [], data_offsets: [0, 1] },
    a_scale: { dtype: "F32", shape: [1], data_offsets: [1, 5] },
  };
  await assertRejects(
    () => open(safetensors(scalar, new Uint8Array(5))),
    FileError,
    "one float per row",
  );
});

Deno.test("I8 tensors round-trip to within half a quantisation step", async () => {
  // More than the chunk of 2^16 elements, with rows that do not divide it.
  const rows = 3, length = 100_003;
  const data = Float32Array.from(
    { length: rows * length },
    (_, i) => Math.sin(i) * 10 ** -Math.floor(i / length),
  );
  using file = await openQuantized(data, [rows, length]);
  const values = await readAll(file, "a");
  for (let i = 0; i < data.length; i++) {
    const step = 10 ** -Math.floor(i / length) / 127;
    assert(Math.abs(values[i] - data[i]) <= step * 0.5001, `${i}: ${data[i]} became ${values[i]}`);
  }
  assertEquals(Math.max(...values.subarray(length, 2 * length)).toFixed(6), "0.100000");
});

Deno.test("I8 keeps rows of zeros, subnormal values and the largest floats", async () => {
  const data = new Float32Array([0, -0, 2 ** -149, -(2 ** -149), 3e38, -3e38]);
  using file = await openQuantized(data, [3, 2]);
  assertEquals(
    await readAll(file, "a").then((values) => values.map((v) => v + 0)),
    data.map((v, i) => i < 4 ? 0 : v),
  );
  using empty = await openQuantized(new Float32Array(), [0, 4]);
  assertEquals(await readAll(empty, "a"), new Float32Array());
});

Deno.test("writeSafetensors() rejects I8 tensors without rows or with non-finite values", () => {
  const write = (shape: number[], ...values: number[]) => () =>
    writeSafetensors([{ name: "a", dtype: "I8", shape, data: new Float32Array(values) }]);
  assertThrows(write([2], 1, NaN), ArgumentError, "element 1 of a is NaN, must be finite");
  assertThrows(
    write([], 1),
    ArgumentError,
    "shape of a is [], must be a shape with at least one axis",
  );
  assertThrows(write([3], 1), ArgumentError, "must be a shape of 1 elements");
  const scale = { dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
  const tensors = [{ ...scale, name: "a_scale" }, { ...scale, name: "a", dtype: "I8" as const }];
  assertThrows(
    () => writeSafetensors(tensors),
    ArgumentError,
    'writeSafetensors: name is "a_scale", must be another one: the scales of a have it',
  );
});
