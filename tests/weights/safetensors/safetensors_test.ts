import { ArgumentError, FileError } from "../../../src/errors.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../../src/weights/mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../../assert.ts";
import {
  assertCannotOpen,
  bytes,
  floats,
  le,
  open,
  openFixture,
  readAll,
  safetensors,
} from "../helpers.ts";

const two = (begin: number) => ({ dtype: "F32", shape: [2], data_offsets: [begin, begin + 8] });
const data = floats(1, 2, 3, 4);

Deno.test("safetensors: tensors in any order, metadata, padding and empty tensors are read", async () => {
  const header = JSON.stringify({
    __metadata__: { format: "pt", __proto__x: "y" },
    b: two(8),
    a: two(0),
    empty: { dtype: "F16", shape: [0, 3], data_offsets: [8, 8] },
  });
  using file = await open(safetensors(header + "   ", data));
  assertEquals(file.format, "safetensors");
  assertEquals([...file.metadata], [["format", "pt"], ["__proto__x", "y"]]);
  assertEquals([...file.entries.keys()], ["b", "a", "empty"]);
  assertEquals(await readAll(file, "a"), new Float32Array([1, 2]));
  assertEquals(await readAll(file, "b"), new Float32Array([3, 4]));
  assertEquals(await readAll(file, "empty"), new Float32Array());
});

Deno.test("safetensors: all float types are read, other types are only listed", async () => {
  const header = {
    f16: { dtype: "F16", shape: [4], data_offsets: [0, 8] },
    bf16: { dtype: "BF16", shape: [2], data_offsets: [8, 12] },
    f64: { dtype: "F64", shape: [], data_offsets: [12, 20] },
    i64: { dtype: "I64", shape: [1], data_offsets: [20, 28] },
  };
  const halves = bytes(le(0x3c00, 2), le(0xc000, 2), le(0x0001, 2), le(0x7c00, 2));
  const brains = bytes(le(0x3f80, 2), le(0xc0a0, 2));
  const double = new Uint8Array(new Float64Array([0.1]).buffer);
  using file = await open(safetensors(header, bytes(halves, brains, double, le(5, 8))));
  assertEquals(await readAll(file, "f16"), new Float32Array([1, -2, 2 ** -24, Infinity]));
  assertEquals(await readAll(file, "bf16"), new Float32Array([1, -5]));
  assertEquals(await readAll(file, "f64"), new Float32Array([0.1]));
  assertEquals(file.entries.get("i64"), { name: "i64", dtype: "I64", shape: [1] } as never);
  const error = await assertRejects(() => file.read("i64", () => {}), FileError);
  assertEquals(
    error.message,
    "x: i64 is I64, weights must be F32, F16, BF16, F64, F8 or I8 with a scale",
  );
});

Deno.test("safetensors: __proto__ is an ordinary name", async () => {
  const json = `{"__proto__": ${JSON.stringify(two(0))}}`;
  using file = await open(safetensors(json, data.subarray(0, 8)));
  assertEquals([...file.entries.keys()], ["__proto__"]);
});

Deno.test("safetensors: an impossible header length is rejected before allocating memory", async () => {
  await assertCannotOpen(
    bytes(le(1n << 63n, 8), "{}      "),
    "claims a header of 9223372036854775808 bytes: damaged",
  );
  await assertCannotOpen(
    bytes(le(100_000_001, 8), "{}      "),
    "claims a header of 100000001 bytes: damaged",
  );
  await assertCannotOpen(
    bytes(le(9, 8), "{}      "),
    "ends inside its header: truncated or damaged",
  );
});

Deno.test("safetensors: a malformed header is rejected with the position of the error", async () => {
  const entry = (fields: string) => `{"a":{"dtype":"F32",${fields}}}`;
  for (
    const [header, reason] of [
      ["{,}", "a string at character 1"],
      ["{}x", "its end at character 2"],
      ['{"a', "a string at character 1"],
      ['{"\\q":{}}', "a string at character 1"],
      ['{"a\n":{}}', "a string at character 1"],
      ['{"a"}', "“:” at character 4"],
      ['{"a":null}', "“{” at character 5"],
      ['{"a":[[[[', "“{” at character 5"],
      ['{"a":{},}', "lacks"],
      ['{"__metadata__":{"a":1}}', "a string at character 21"],
      ['{"__metadata__":[]}', "“{” at character 16"],
      [entry('"shape":2'), "“[” at character 28"],
      [entry('"shape":[-2]'), "a non-negative integer at character 29"],
      [entry('"shape":[1.5]'), "a non-negative integer at character 29"],
      [entry('"shape":[1e3]'), "a non-negative integer at character 29"],
      [entry('"shape":[01]'), "a non-negative integer at character 29"],
      [entry('"shape":[12345678901234567]'), "a non-negative integer at character 29"],
      [entry('"shape":[2,]'), "a non-negative integer at character 31"],
      [entry('"shape":[2 3]'), "“]” at character 31"],
      [entry('"more":{}'), "dtype, shape or data_offsets at character 27"],
    ]
  ) {
    await assertCannotOpen(
      safetensors(header),
      reason === "lacks"
        ? "a lacks dtype, shape or data_offsets: damaged"
        : `its header is invalid, expected ${reason}: damaged`,
    );
  }
  await assertCannotOpen(
    bytes(le(4, 8), "{", [0xff], "} "),
    "has a header that is not UTF-8: damaged",
  );
  await assertCannotOpen(safetensors({}), "holds no tensors");
});

Deno.test("safetensors: a name of a million characters is read", async () => {
  const name = "\n".repeat(1_000_000);
  using file = await open(safetensors({ [name]: two(0) }, data.subarray(0, 8)));
  assertEquals(file.entries.has(name), true);
});

Deno.test("safetensors: a duplicate name is rejected, even with another escape", async () => {
  const a = JSON.stringify(two(0)), b = JSON.stringify(two(8));
  await assertCannotOpen(
    safetensors(`{"a":${a},"\\u0061" : ${b}}`, data),
    "has a twice in its header",
  );
  const inner = '{"dtype":"F32","shape":[2],"dtype":"F16","data_offsets":[0,8]}';
  await assertCannotOpen(safetensors(`{"a":${inner}}`, data), "has dtype twice in its header");
  // The same string may be a key of two objects, or a value.
  using file = await open(safetensors(
    `{"dtype":${a},"b\\"{:":${b},"__metadata__":{"b":"b","x":"\\":{"}}`,
    data,
  ));
  assertEquals([...file.entries.keys()], ["dtype", 'b"{:']);
});

Deno.test("safetensors: an inconsistent entry is rejected", async () => {
  const valid = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  for (
    const [entry, reason] of [
      [{ dtype: "F32", shape: [2] }, "a lacks dtype, shape or data_offsets: damaged"],
      [{ ...valid, data_offsets: [0] }, "a lacks dtype, shape or data_offsets: damaged"],
      [{ ...valid, dtype: "F4" }, "a has unknown dtype F4"],
      [{ ...valid, dtype: "constructor" }, "a has unknown dtype constructor"],
      [{ ...valid, shape: [2 ** 30, 2 ** 30] }, "a has an impossible shape: damaged"],
      [
        { ...valid, data_offsets: [8, 0] },
        "a has -8 bytes, but its shape and dtype need 8: damaged",
      ],
      [{ ...valid, shape: [3] }, "a has 8 bytes, but its shape and dtype need 12: damaged"],
    ] as const
  ) await assertCannotOpen(safetensors({ a: entry }, data.subarray(0, 8)), reason);
});

Deno.test("safetensors: overlaps, gaps and missing bytes are rejected", async () => {
  await assertCannotOpen(
    safetensors({ a: two(0), b: two(4) }, data),
    "b overlaps another tensor: damaged",
  );
  await assertCannotOpen(
    safetensors({ a: two(0), b: two(0) }, data),
    "b overlaps another tensor: damaged",
  );
  await assertCannotOpen(
    safetensors({ b: two(8) }, data),
    "has bytes before b that belong to no tensor: damaged",
  );
  await assertCannotOpen(
    safetensors({ a: two(0) }, data),
    "has bytes at its end that belong to no tensor: damaged",
  );
  await assertCannotOpen(
    safetensors({ a: two(0), b: two(8) }, data.subarray(0, 15)),
    "ends inside b: truncated or damaged",
  );
});

Deno.test("writeSafetensors() writes a file that openWeights() reads", async () => {
  const values = new Float32Array([1, -0.5, 65504, 0]);
  const written = writeSafetensors([
    { name: "half", dtype: "F16", shape: [3], data: values.subarray(0, 3) },
    { name: "brain", dtype: "BF16", shape: [], data: values.subarray(1, 2) },
    { name: "__proto__", dtype: "F32", shape: [2, 2], data: values },
    { name: "empty", dtype: "F32", shape: [0], data: new Float32Array() },
  ], { format: "pt" });
  using file = await openWeights(bytesSource(written));
  assertEquals([...file.metadata], [["format", "pt"]]);
  assertEquals([...file.entries.keys()], ["__proto__", "empty", "half", "brain"]);
  assertEquals(await readAll(file, "__proto__"), values);
  assertEquals(await readAll(file, "half"), values.subarray(0, 3));
  assertEquals(await readAll(file, "brain"), values.subarray(1, 2));
  assertEquals(Number(new DataView(written.buffer).getBigUint64(0, true)) % 8, 0);
});

Deno.test("safetensors: a header length that begins like a pickle or a zip is read", async () => {
  const tensor = { name: "a", dtype: "F32", shape: [1], data: Float32Array.of(3) } as const;
  const write = (letters: number) => writeSafetensors([tensor], { text: "x".repeat(letters) });
  const lengthOf = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(0, true);
  const least = lengthOf(write(0));
  for (const length of [0x0280, 0x0380, 0x0480, 0x0580, 0x4b50, 0x14b50, 0x120808]) {
    const bytes = write(length - least);
    assertEquals(lengthOf(bytes), length);
    using file = await openWeights(bytesSource(bytes));
    assertEquals([file.format, [...file.entries.keys()]], ["safetensors", ["a"]]);
  }
});

Deno.test("writeSafetensors() rejects metadata that no reader accepts", () => {
  for (const metadata of [{ epochs: 3 }, { note: null }, ["a"], new Map(), 7]) {
    assertThrows(
      () => writeSafetensors([], metadata as unknown as Record<string, string>),
      ArgumentError,
      "writeSafetensors: metadata",
    );
  }
});

Deno.test("writeSafetensors() rejects a duplicate name, an unknown type, and data of another shape", () => {
  const a = { name: "a", dtype: "F32", shape: [2], data: new Float32Array(2) } as const;
  assertThrows(() => writeSafetensors([a, a]), ArgumentError);
  assertThrows(() => writeSafetensors([{ ...a, name: "__metadata__" }]), ArgumentError);
  const error = assertThrows(() => writeSafetensors([{ ...a, shape: [3] }]), ArgumentError);
  assertEquals(
    error.message,
    "writeSafetensors: shape of a is [3], must be a shape of 2 elements",
  );
  const int8 = { ...a, dtype: "int8" as unknown as "I8" };
  assertThrows(
    () => writeSafetensors([int8]),
    ArgumentError,
    'writeSafetensors: dtype of a is "int8", must be "F32", "F16", "BF16" or "I8"',
  );
});

Deno.test("safetensors: 8-bit floats and metadata that is null are read", async () => {
  using eight = await openFixture("faults/st_f8.safetensors");
  assertEquals(eight.entries.get("w")!.dtype, "F8_E4M3");
  assertEquals(await readAll(eight, "w"), new Float32Array([1, 2, -1, 448]));
  using none = await openFixture("faults/st_meta_null.safetensors");
  assertEquals(await readAll(none, "w"), new Float32Array([0, 1, 2, 3, 4, 5]));
  assertEquals(none.metadata.size, 0);
  const header =
    '{ "a": {"dtype":"F8_E5M2","shape":[2],"data_offsets":[0,2]},"__metadata__" : null}';
  using last = await open(safetensors(header, [0x3c, 0xbc]));
  assertEquals(await readAll(last, "a"), new Float32Array([1, -1]));
  await assertCannotOpen(
    safetensors('{"__metadata__":nul}'),
    "its header is invalid, expected null at character 16: damaged",
  );
});
