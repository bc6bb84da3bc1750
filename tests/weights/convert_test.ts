/** Converts weights from every format to every format. */

import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { type ConvertOptions, convertWeights } from "../../src/weights/convert.ts";
import { fromFloat32 } from "../../src/weights/dtype.ts";
import {
  openWeights,
  type WeightsFile,
  writeOnnx,
  writePth,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { layOutOnnx } from "../../src/weights/onnx/writer.ts";
import { type OutputFormat, storedPrecisions } from "../../src/weights/stored.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import {
  bytes,
  chunkedSource,
  floats,
  open,
  openFixture,
  pth,
  py,
  readAll,
  safetensors,
  stateOf,
  tensor,
} from "./helpers.ts";

const formats: readonly OutputFormat[] = ["safetensors", "pth", "onnx"];

/** Converts a file; checks that every byte is written, in chunks of at most 1 MiB. */
async function convert(file: WeightsFile, options: ConvertOptions): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 << 24), written = new Uint8Array(1 << 24);
  const size = await convertWeights(file, {
    write(offset, chunk) {
      assert(chunk.length <= 1 << 20, `a chunk of ${chunk.length} bytes`);
      bytes.set(chunk, offset);
      written.fill(1, offset, offset + chunk.length);
    },
  }, options);
  assertEquals([written.indexOf(0), written.lastIndexOf(1)], [size, size - 1]);
  return bytes.slice(0, size);
}

/** All weights of a file by name; rounded to half precision if they have two axes, on request. */
async function weights(file: WeightsFile, round = false) {
  const all: [string, readonly number[], Float32Array][] = [];
  for (const [name, { dtype, shape, quantized }] of file.entries) {
    if (!quantized && !/F/.test(dtype)) continue;
    const values = await readAll(file, name);
    all.push([name, shape, round && shape.length > 1 ? roundToHalf(values) : values]);
  }
  return all.sort(([a], [b]) => a < b ? -1 : 1);
}

function roundToHalf(values: Float32Array): Float32Array {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  fromFloat32("F16", values, view);
  return Float32Array.from(values, (_, i) => view.getFloat16(2 * i, true));
}

for (const first of formats) {
  for (const second of formats) {
    Deno.test(`converting .pth to ${first} to ${second} rounds each value at most once`, async () => {
      using source = await openFixture("kinds.pth");
      for (const precision of ["f32", "f16"] as const) {
        const wanted = await weights(source, precision === "f16");
        assertEquals(wanted.length, source.entries.size - 1); // int64 is left out
        using one = await open(await convert(source, { format: first, precision }));
        assertEquals([one.format, await weights(one)], [first, wanted]);
        const bytes = await convert(one, { format: second, precision });
        using two = await open(bytes);
        assertEquals([two.format, await weights(two)], [second, wanted]);
        // The same bytes as without the file between; f16 orders tensors differently.
        if (precision === "f16") continue;
        assertEquals(await convert(source, { format: second, precision }), bytes);
      }
    });
  }
}

/** Tensors of several chunks. There are more than ten, so .pth orders them by key, not by index. */
const large = Array.from({ length: 12 }, (_, i) => ({
  name: `${i}.weight`,
  dtype: "F32" as const,
  shape: [100 * (i + 1), 200 + i],
  data: Float32Array.from({ length: 100 * (i + 1) * (200 + i) }, (_, j) => Math.sin(j + i)),
}));

Deno.test("convertWeights() reads streams, and writes files that can be read as streams", async () => {
  using file = await open(writeSafetensors(large));
  const wanted = await weights(file);
  for (const format of formats) {
    const bytes = await convert(file, { format, precision: "f32" });
    const { length: size } = bytes;
    for (const second of formats) {
      using stream = await openWeights(await chunkedSource(bytes, { chunk: 65536, size }));
      using again = await open(await convert(stream, { format: second, precision: "f32" }));
      assertEquals(await weights(again), wanted);
    }
  }
});

Deno.test("convertWeights() refuses a tensor with the name of scales", async () => {
  const tensor = (name: string, shape: number[]) => {
    const data = Float32Array.from({ length: shape[0] * (shape[1] ?? 1) }, (_, i) => i);
    return { name, dtype: "F32" as const, shape, data };
  };
  using file = await open(writeSafetensors([tensor("w", [2, 3]), tensor("w_scale", [2])]));
  await assertRejects(
    () => convert(file, { precision: "int8" }),
    FileError,
    "holds w_scale, but int8 stores the scales of w under that name: use f16, or rename it",
  );
  using same = await open(await convert(file, { precision: "f16" }));
  assertEquals(await weights(same), await weights(file));
  using biases = await open(writeSafetensors([tensor("b", [2]), tensor("b_scale", [2])]));
  using floats = await open(await convert(biases, { precision: "int8" })); // biases stay floats
  assertEquals(await weights(floats), await weights(biases));
});

Deno.test("convertWeights() refuses unknown precisions", async () => {
  using file = await open(writeSafetensors(large));
  const precision = "int4" as ConvertOptions["precision"];
  for (const format of formats) {
    const message = 'convertWeights: precision is "int4", must be f32 or f16';
    await assertRejects(() => convert(file, { format, precision }), ArgumentError, message);
  }
});

Deno.test("convertWeights() writes the same int8 as writeSafetensors(), and only to safetensors", async () => {
  const tensors = large.map((tensor) => ({ ...tensor, dtype: "I8" as const }));
  const expected = writeSafetensors(tensors, { a: "b" });
  using file = await open(writeSafetensors(large, { a: "b" }));
  assertEquals(await convert(file, { precision: "int8" }), expected);
  for (const format of ["pth", "onnx"] as const) {
    await assertRejects(
      () => convert(file, { format, precision: "int8" }),
      ArgumentError,
      'convertWeights: dtype of 0.weight is "I8", must be "F32", "F16" or "BF16"',
    );
  }

  using quantized = await open(expected);
  const wanted = await weights(quantized);
  for (const format of formats) {
    using back = await open(await convert(quantized, { format, precision: "f32" }));
    assertEquals(await weights(back), wanted);
  }
});

Deno.test("convertWeights() copies metadata without the checksum of the input", async () => {
  using file = await open(writeSafetensors(large, { a: "b", file_crc32: "01234567" }));
  using converted = await open(await convert(file, { precision: "f16" }));
  assertEquals([...converted.metadata], [["a", "b"]]);
});

Deno.test("convertWeights() reports progress, and can be cancelled", async () => {
  using file = await open(writeSafetensors(large));
  const total = large.reduce((sum, { data }) => sum + data.length, 0);
  for (const precision of storedPrecisions) {
    let last: number[] = [];
    const onProgress = (...counts: number[]) => last = counts;
    await convert(file, { precision, onProgress });
    assertEquals(last, [total, total]);
  }
  const signal = AbortSignal.abort("enough");
  const reason = await convert(file, { precision: "f32", signal }).catch((reason) => reason);
  assertEquals(reason, "enough");
});

Deno.test("values too large for 16 bits are refused, and infinite ones are kept", async () => {
  const data = Float32Array.of(1, -65520, Infinity, 3.4e38);
  const infinite = Float32Array.of(65504, -Infinity, Infinity, 0);
  const tensor = { name: "a.weight", dtype: "F32" as const, shape: [2, 2], data };
  using file = await open(writeSafetensors([tensor]));
  const message = "a.weight: -65520 is too large for F16; store it as F32";
  for (const format of formats) {
    await assertRejects(() => convert(file, { format, precision: "f16" }), PembrokeError, message);
  }
  for (const write of [writeSafetensors, writePth, writeOnnx]) {
    assertThrows(() => write([{ ...tensor, dtype: "F16" }]), PembrokeError, message);
    assertThrows(() => write([{ ...tensor, dtype: "BF16" }]), PembrokeError, "large for BF16");
    using kept = await open(write([{ ...tensor, dtype: "F16", data: infinite }]));
    assertEquals(await readAll(kept, "a.weight"), infinite);
  }
});

Deno.test("values too large for float32 are refused, and infinite ones are kept", async () => {
  const fileOf = (...values: number[]) => {
    const info = { dtype: "F64", shape: [values.length, 1], data_offsets: [0, 8 * values.length] };
    return open(safetensors({ a: info }, new Uint8Array(new Float64Array(values).buffer)));
  };
  using large = await fileOf(1, -1e300);
  for (const precision of storedPrecisions) {
    await assertRejects(
      () => convert(large, { precision }),
      FileError,
      "x: a: -1e+300 is too large for float32",
    );
  }
  using infinite = await fileOf(Infinity, -Infinity, NaN, 3.4e38, 1e-300);
  const kept = Float32Array.of(Infinity, -Infinity, NaN, 3.4e38, 0);
  assertEquals(await readAll(infinite, "a"), kept);
  // integers times a scale
  const quantized = {
    a: { dtype: "I8", shape: [2, 1], data_offsets: [0, 2] },
    a_scale: { dtype: "F32", shape: [2], data_offsets: [2, 10] },
  };
  using scaled = await open(safetensors(quantized, bytes([1, 127], floats(1, 1e37))));
  await assertRejects(() => readAll(scaled, "a"), FileError, "x: a_scale: 1.2");
});

Deno.test("convertWeights() rejects a file without weights", async () => {
  const type = py.global("torch", "IntStorage");
  using file = await open(pth(stateOf(tensor({ type }))));
  for (const format of formats) {
    await assertRejects(
      () => convert(file, { format, precision: "f32" }),
      FileError,
      "x: holds only integer tensors, no weights",
    );
  }
});

Deno.test("an ONNX file of 2 GiB is rejected before anything is written", () => {
  const layOut = (shape: number[]) => layOutOnnx([{ name: "a", dtype: "F32", shape }]);
  assert(layOut([2 ** 29 - 2 ** 10]).length > 0);
  assertThrows(
    () => layOut([2 ** 29]),
    PembrokeError,
    "writeOnnx: an ONNX file must be below 2 GiB; use safetensors instead",
  );
});
