import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { ArgumentError, PembrokeError } from "../../../src/errors.ts";
import {
  bytesSource,
  openWeights,
  type TensorToWrite,
  writePth,
} from "../../../src/weights/mod.ts";
import { layOutPth } from "../../../src/weights/pth/writer.ts";
import { readZip } from "../../../src/weights/io/zip.ts";
import { assert, assertEquals, assertThrows } from "../../assert.ts";
import { bytes, chunkedSource, open, py, readAll, tensor as pickled } from "../helpers.ts";

const tensor = (name: string, dtype: TensorToWrite["dtype"], shape: number[], data: number[]) => ({
  name,
  dtype,
  shape,
  data: Float32Array.from(data),
});

/**
 * All types, and more than ten tensors, so that the storages are not in the order of the tensors.
 */
const tensors = [
  tensor("features.0.weight", "F32", [2, 3], [1, -2, 3.5, 4, 5, 1e-40]),
  tensor("half", "F16", [3], [0.5, -65504, 2 ** -24]),
  tensor("brain", "BF16", [1, 2], [1.5, -3]),
  tensor("scalar", "F32", [], [7]),
  tensor("none", "F32", [0, 300], []),
  tensor("Größe", "F32", [1], [9]),
  ...Array.from({ length: 8 }, (_, i) => tensor(`${i}`, "F32", [2], [i, -i])),
];

Deno.test("writePth() writes a file that openWeights() reads, from memory and from a stream", async () => {
  const written = writePth(tensors);
  for (const opened of [open(written), openWeights(await chunkedSource(written, { chunk: 77 }))]) {
    using file = await opened;
    assertEquals([...file.entries.keys()], tensors.map(({ name }) => name));
    for (const name of file.order) {
      const { dtype, shape, data } = tensors.find((tensor) => tensor.name === name)!;
      assertEquals(file.entries.get(name), { name, dtype, shape });
      assertEquals(await readAll(file, name), data);
    }
  }
});

Deno.test("writePth() writes exactly the expected pickle", async () => {
  const written = writePth([
    tensor("a", "F32", [2, 2], [1, 2, 3, 4]),
    tensor("b", "F16", [3, 0, 2], []),
  ]);
  const { start, length } = (await (await readZip(bytesSource(written))).find("archive/data.pkl"))!;
  const half = { type: py.global("torch", "HalfStorage"), key: "1", count: 0 };
  const items = [
    ...[py.text("a"), pickled()],
    ...[py.text("b"), pickled({ ...half, shape: [3, 0, 2], stride: [2, 2, 1] })],
  ];
  const dict = py.call(py.global("collections", "OrderedDict"));
  assertEquals(
    written.subarray(start, start + length),
    py.pickle(bytes(dict, "(", ...items, "u")),
  );
});

Deno.test("writePth() writes the bytes that were verified with PyTorch", () => {
  // PyTorch 1.13: torch.load(), also with weights_only, returns these names, shapes and values.
  const hash = createHash("sha256").update(writePth(tensors)).digest("hex");
  assertEquals(hash, "36d2369149c3e1928e2c2d572763a54a390afa4c3560f8f9345e5797c84bc25a");
});

Deno.test("writePth() aligns entries to 64 bytes and writes correct checksums", async () => {
  const written = writePth(tensors), view = new DataView(written.buffer);
  const zip = await readZip(bytesSource(written));
  assertEquals(zip.entries.size, tensors.length + 3);
  const directory: number[] = [];
  for (let at = view.getUint32(written.length - 6, true); at < written.length - 22;) {
    directory.push(view.getUint32(at + 16, true));
    at += 46 + view.getUint16(at + 28, true);
  }
  const sums: number[] = [];
  for (const [name, { header }] of zip.entries) {
    const { start, length } = (await zip.find(name))!;
    assertEquals(start % 64, 0);
    const sum = crc32(written.subarray(start, start + length));
    assertEquals(view.getUint32(header + 14, true), sum);
    sums.push(sum);
  }
  assertEquals(directory, sums);
});

Deno.test("writePth() rejects invalid tensors", () => {
  const assertRejected = (message: string, ...tensors: TensorToWrite[]) =>
    assertEquals(assertThrows(() => writePth(tensors), ArgumentError).message, message);
  const a = tensor("a", "F32", [1], [1]);
  assertRejected('writePth: name is "a", must be unique', a, a);
  assertRejected("writePth: shape of a is [2], must be a shape of 1 elements", {
    ...a,
    shape: [2],
  });
  assertRejected('writePth: dtype of a is "I8", must be "F32", "F16" or "BF16"', {
    ...a,
    dtype: "I8",
  });
});

Deno.test("a .pth file of 4 GiB or 65532 tensors is rejected before anything is written", () => {
  const dtype = "F32";
  assert(layOutPth([{ name: "a", dtype, shape: [2 ** 30 - 2 ** 10] }]).length > 0);
  const large = [{ name: "a", dtype, shape: [2 ** 30] }] as const;
  const message = assertThrows(() => layOutPth(large), PembrokeError).message;
  assertEquals(message, "writePth: a .pth file must be below 4 GiB; use safetensors instead");
  const many = Array.from(
    { length: 65532 },
    (_, i) => ({ name: `${i}`, dtype, shape: [] } as const),
  );
  assertThrows(() => layOutPth(many), PembrokeError, "65532 tensors");
});
