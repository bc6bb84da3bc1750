import { ArgumentError } from "../../../src/errors.ts";
import { type TensorToWrite, writeOnnx } from "../../../src/weights/mod.ts";
import { assertEquals, assertThrows } from "../../assert.ts";
import { bytes, open, readAll } from "../helpers.ts";
import { field, floats, int, port } from "./helpers.ts";

const tensor = (name: string, dtype: TensorToWrite["dtype"], shape: number[], data: number[]) => ({
  name,
  dtype,
  shape,
  data: Float32Array.from(data),
});

Deno.test("writeOnnx() writes a file that openWeights() reads", async () => {
  const tensors = [
    tensor("features.0.weight", "F32", [2, 3], [1, -2, 3.5, 4, 5, 1e-40]),
    tensor("half", "F16", [3], [0.5, -65504, 2 ** -24]),
    tensor("brain", "BF16", [1, 2], [1.5, -3]),
    tensor("scalar", "F32", [], [7]),
    tensor("none", "F32", [0, 300], []),
    tensor("many", "F32", [300], Array(300).fill(0.25)),
  ];
  using file = await open(writeOnnx(tensors));
  assertEquals(file.entries.size, tensors.length);
  for (const { name, dtype, shape, data } of tensors) {
    assertEquals(file.entries.get(name), { name, dtype, shape });
    assertEquals(await readAll(file, name), data);
  }
});

Deno.test("writeOnnx() writes exactly the expected bytes", () => {
  const graph = bytes(
    ...[field(2, "weights"), field(5, floats("a", [2], 1, 2)), field(12, port("a", 2))],
  );
  assertEquals(
    writeOnnx([tensor("a", "F32", [2], [1, 2])]),
    bytes(int(1, 7), field(2, "pembroke"), field(7, graph), field(8, int(2, 13))),
  );
});

Deno.test("writeOnnx() rejects invalid tensors", () => {
  const assertRejected = (message: string, ...tensors: TensorToWrite[]) =>
    assertEquals(assertThrows(() => writeOnnx(tensors), ArgumentError).message, message);
  const a = tensor("a", "F32", [1], [1]);
  assertRejected('writeOnnx: name is "a", must be unique', a, a);
  assertRejected('writeOnnx: name is "", must be a name that is not reserved', { ...a, name: "" });
  assertRejected("writeOnnx: shape of a is [2], must be a shape of 1 elements", {
    ...a,
    shape: [2],
  });
  assertRejected('writeOnnx: dtype of a is "I8", must be "F32", "F16" or "BF16"', {
    ...a,
    dtype: "I8",
  });
});
