import { ArgumentError, FileError } from "../../src/errors.ts";
import { bytesSource, checkWeights, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { bytes, floats, open, readAll, safetensors } from "./helpers.ts";

const written = (data: Float32Array, shape: number[]) =>
  openWeights(bytesSource(writeSafetensors([{ name: "a", dtype: "I8", shape, data }]), "x"));

/** A quantised tensor [2, 3], and its scale as a header entry says. */
function quantized(scale: Record<string, unknown>, data: Uint8Array) {
  return safetensors({
    a: { dtype: "I8", shape: [2, 3], data_offsets: [0, 6] },
    a_scale: { data_offsets: [6, 6 + data.length], ...scale },
  }, bytes(Uint8Array.of(127, 0, 256 - 127, 1, 256 - 2, 3), data));
}

Deno.test("I8 with a scale is read as whole numbers times the factor of their row", async () => {
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

Deno.test("a scale that is not one float for each row is refused", async () => {
  const refused = async (scale: Record<string, unknown>, data: Uint8Array, is: string) => {
    const error = await assertRejects(() => open(quantized(scale, data)), FileError);
    assertEquals(error.message, `x: a_scale is ${is}, a [2, 3] takes a float for each row`);
  };
  await refused({ dtype: "F32", shape: [3] }, floats(1, 2, 3), "F32 [3]");
  await refused({ dtype: "F32", shape: [] }, floats(1), "F32 []");
  await refused({ dtype: "I32", shape: [2] }, new Uint8Array(8), "I32 [2]");
  const scalar = {
    a: { dtype: "I8", shape: [], data_offsets: [0, 1] },
    a_scale: { dtype: "F32", shape: [1], data_offsets: [1, 5] },
  };
  await assertRejects(() => open(safetensors(scalar, new Uint8Array(5))), FileError, "each row");
});

Deno.test("what is written as I8 comes back to within half a step of its row", async () => {
  // more than the piece of 2^18 that is read at a time, and rows that do not divide it
  const rows = 3, length = 100_003;
  const data = Float32Array.from(
    { length: rows * length },
    (_, i) => Math.sin(i) * 10 ** -Math.floor(i / length),
  );
  using file = await written(data, [rows, length]);
  const back = await readAll(file, "a");
  for (let i = 0; i < data.length; i++) {
    const step = 10 ** -Math.floor(i / length) / 127;
    assert(Math.abs(back[i] - data[i]) <= step * 0.5001, `${i}: ${data[i]} came back ${back[i]}`);
  }
  assertEquals(Math.max(...back.subarray(length, 2 * length)).toFixed(6), "0.100000");
});

Deno.test("rows of zeros, and numbers below all others, stay what they are", async () => {
  const data = new Float32Array([0, -0, 2 ** -149, -(2 ** -149), 3e38, -3e38]);
  using file = await written(data, [3, 2]);
  assertEquals(
    await readAll(file, "a").then((back) => back.map((v) => v + 0)),
    data.map((v, i) => i < 4 ? 0 : v),
  );
  using none = await written(new Float32Array(), [0, 4]);
  assertEquals(await readAll(none, "a"), new Float32Array());
});

Deno.test("writeSafetensors() quantises rows of finite numbers only", () => {
  const write = (shape: number[], ...values: number[]) => () =>
    writeSafetensors([{ name: "a", dtype: "I8", shape, data: new Float32Array(values) }]);
  assertThrows(write([2], 1, NaN), ArgumentError, "element 1 of a is NaN, must be finite");
  assertThrows(write([], 1), ArgumentError, "shape of a is [], must be one with rows");
  assertThrows(write([3], 1), ArgumentError, "must be that of 1 elements");
  const twice = { dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
  const named = [{ ...twice, name: "a_scale" }, { ...twice, name: "a", dtype: "I8" as const }];
  assertThrows(() => writeSafetensors(named), ArgumentError, "a name no other tensor has");
});
