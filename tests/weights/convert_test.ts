/** From every format to every format. */

import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import {
  type ConvertOptions,
  convertWeights,
  storedPrecisions,
  type WrittenFormat,
} from "../../src/weights/convert.ts";
import { fromFloat32 } from "../../src/weights/dtype.ts";
import { openWeights, type WeightsFile, writeSafetensors } from "../../src/weights/mod.ts";
import { layOutOnnx } from "../../src/weights/onnx/writer.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { arriving, open, openFixture, pth, py, readAll, stateOf, tensor } from "./helpers.ts";

const formats: readonly WrittenFormat[] = ["safetensors", "pth", "onnx"];

/** What a file becomes; checks that it is written a piece at a time, and whole. */
async function converted(file: WeightsFile, options: ConvertOptions): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 << 24), written = new Uint8Array(1 << 24);
  const size = await convertWeights(file, {
    write(offset, piece) {
      assert(piece.length <= 1 << 20, `a piece of ${piece.length} bytes`);
      bytes.set(piece, offset);
      written.fill(1, offset, offset + piece.length);
    },
  }, options);
  assertEquals([written.indexOf(0), written.lastIndexOf(1)], [size, size - 1]);
  return bytes.slice(0, size);
}

/** All weights of a file, ordered by name; those of two axes and more as halves, if asked. */
async function weights(file: WeightsFile, halved = false) {
  const all: [string, readonly number[], Float32Array][] = [];
  for (const [name, { dtype, shape, quantized }] of file.entries) {
    if (!quantized && !/F/.test(dtype)) continue;
    const values = await readAll(file, name);
    all.push([name, shape, halved && shape.length > 1 ? rounded(values) : values]);
  }
  return all.sort(([a], [b]) => a < b ? -1 : 1);
}

function rounded(values: Float32Array): Float32Array {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  fromFloat32("F16", values, view);
  return Float32Array.from(values, (_, i) => view.getFloat16(2 * i, true));
}

for (const first of formats) {
  for (const second of formats) {
    Deno.test(`from .pth to ${first} to ${second}, every value stays or is rounded once`, async () => {
      using source = await openFixture("kinds.pth");
      for (const precision of ["f32", "f16"] as const) {
        const wanted = await weights(source, precision === "f16");
        assertEquals(wanted.length, source.entries.size - 1); // int64 is left out
        using one = await open(await converted(source, { format: first, precision }));
        assertEquals([one.format, await weights(one)], [first, wanted]);
        const bytes = await converted(one, { format: second, precision });
        using two = await open(bytes);
        assertEquals([two.format, await weights(two)], [second, wanted]);
        // as if there had been no file between; safetensors have halves behind
        if (precision === "f16") continue;
        assertEquals(await converted(source, { format: second, precision }), bytes);
      }
    });
  }
}

/** Of several pieces, in an order in which a stream of .pth has them only by their keys. */
const large = Array.from({ length: 12 }, (_, i) => ({
  name: `${i}.weight`,
  dtype: "F32" as const,
  shape: [100 * (i + 1), 200 + i],
  data: Float32Array.from({ length: 100 * (i + 1) * (200 + i) }, (_, j) => Math.sin(j + i)),
}));

Deno.test("what is written is read from a stream, and a stream is converted", async () => {
  using file = await open(writeSafetensors(large));
  const wanted = await weights(file);
  for (const format of formats) {
    const bytes = await converted(file, { format, precision: "f32" });
    const { length: size } = bytes;
    for (const second of formats) {
      using stream = await openWeights(await arriving(bytes, { piece: 65536, size }));
      using again = await open(await converted(stream, { format: second, precision: "f32" }));
      assertEquals(await weights(again), wanted);
    }
  }
});

Deno.test("int8 is what writeSafetensors() quantises; .pth and ONNX have no form of it", async () => {
  const tensors = large.map((tensor) => ({ ...tensor, dtype: "I8" as const }));
  const expected = writeSafetensors(tensors, { a: "b" });
  using file = await open(writeSafetensors(large, { a: "b" }));
  assertEquals(await converted(file, { precision: "int8" }), expected);
  for (const format of ["pth", "onnx"] as const) {
    await assertRejects(
      () => converted(file, { format, precision: "int8" }),
      ArgumentError,
      'convertWeights: dtype of 0.weight is "I8", must be a float',
    );
  }

  using quantized = await open(expected);
  const wanted = await weights(quantized);
  for (const format of formats) {
    using back = await open(await converted(quantized, { format, precision: "f32" }));
    assertEquals(await weights(back), wanted);
  }
});

Deno.test("converting counts its floats, and ends with the signal", async () => {
  using file = await open(writeSafetensors(large));
  const total = large.reduce((sum, { data }) => sum + data.length, 0);
  for (const precision of storedPrecisions) {
    let last: number[] = [];
    const onProgress = (...counts: number[]) => last = counts;
    await converted(file, { precision, onProgress });
    assertEquals(last, [total, total]);
  }
  const signal = AbortSignal.abort("enough");
  const reason = await converted(file, { precision: "f32", signal }).catch((reason) => reason);
  assertEquals(reason, "enough");
});

Deno.test("a file without weights is not converted", async () => {
  const type = py.global("torch", "IntStorage");
  using file = await open(pth(stateOf(tensor({ type }))));
  for (const format of formats) {
    await assertRejects(
      () => converted(file, { format, precision: "f32" }),
      FileError,
      "x: holds integers only, no weights",
    );
  }
});

Deno.test("ONNX of 2 GiB is refused before anything is written", () => {
  const of = (shape: number[]) => layOutOnnx([{ name: "a", dtype: "F32", shape }]);
  assert(of([2 ** 29 - 2 ** 10]).length > 0);
  assertThrows(
    () => of([2 ** 29]),
    PembrokeError,
    "writeOnnx: ONNX holds less than 2 GiB, safetensors more",
  );
});
