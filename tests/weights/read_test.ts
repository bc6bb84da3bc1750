import { ArgumentError, FileError } from "../../src/errors.ts";
import {
  type ByteSource,
  bytesSource,
  openWeights,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { assertAllClose, assertEquals, assertRejects } from "../assert.ts";
import { fixture, openFixture, pth, py, readAll, safetensors, stateOf, tensor } from "./helpers.ts";

const MiB = 1 << 20;

Deno.test("read() reads a large tensor in chunks of at most 256 KiB, and each byte once", async () => {
  // 32 MiB that are generated on demand: element i is i.
  const count = 8 * MiB;
  const header = safetensors({ a: { dtype: "F32", shape: [count], data_offsets: [0, 4 * count] } });
  let largest = 0, total = 0;
  const source: ByteSource = {
    name: "x",
    size: header.length + 4 * count,
    read(offset, into) {
      largest = Math.max(largest, into.length);
      if (offset < header.length) into.set(header.subarray(offset, offset + into.length));
      else {
        total += into.length;
        const values = new Float32Array(into.buffer, into.byteOffset, into.length / 4);
        const first = (offset - header.length) / 4;
        for (let i = 0; i < values.length; i++) values[i] = first + i;
      }
      return Promise.resolve();
    },
    close() {},
  };
  using file = await openWeights(source);
  let next = 0;
  const buffers = new Set<ArrayBufferLike>();
  await file.read("a", (values, offset) => {
    assertEquals(offset, next);
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== offset + i) throw new Error(`element ${offset + i} is ${values[i]}`);
    }
    next += values.length;
    buffers.add(values.buffer);
  });
  assertEquals({ next, largest, total }, { next: count, largest: MiB / 4, total: 4 * count });
  assertEquals(buffers.size, 1);
});

Deno.test("read() converts every float type across chunk boundaries", async () => {
  const count = (1 << 18) * 2 + 3;
  const data = Float32Array.from({ length: count }, (_, i) => i % 256 - 128);
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const bytes = writeSafetensors([{ name: "a", dtype, shape: [count], data }]);
    using file = await openWeights(bytesSource(bytes));
    assertAllClose(await readAll(file, "a"), data, { name: dtype });
  }
});

Deno.test("read() reorders a transposed tensor larger than a chunk", async () => {
  const rows = 700, columns = 900;
  const data = Float32Array.from({ length: rows * columns }, (_, i) => i);
  const code = tensor({ count: data.length, shape: [columns, rows], stride: [1, columns] });
  const bytes = pth(stateOf(code), new Uint8Array(data.buffer));
  using file = await openWeights(bytesSource(bytes));
  const expected = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) expected[j * rows + i] = data[i * columns + j];
  }
  assertAllClose(await readAll(file, "a"), expected);
});

Deno.test("read() can run concurrently", async () => {
  const shared = py.dict(
    [py.text("a"), tensor()],
    [py.text("b"), tensor({ stride: [1, 2] })],
    [py.text("c"), tensor({ offset: 2, shape: [2], stride: [1] })],
  );
  const inner = bytesSource(pth(shared));
  const slow: ByteSource = {
    ...inner,
    async read(offset, into) {
      await inner.read(offset, into);
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
  using file = await openWeights(slow);
  const all = await Promise.all(["a", "b", "c", "a"].map((name) => readAll(file, name)));
  assertEquals(all.map((values) => [...values]), [[1, 2, 3, 4], [1, 3, 2, 4], [3, 4], [
    1,
    2,
    3,
    4,
  ]]);
});

Deno.test("read() passes on an error of the sink, and the file stays usable", async () => {
  using file = await openFixture("model.pth");
  const stop = new Error("stop");
  const error = await assertRejects(() =>
    file.read("0.weight", () => {
      throw stop;
    })
  );
  assertEquals(error === stop, true);
  assertEquals((await readAll(file, "0.weight")).length, 18);
});

Deno.test("read() rejects an unknown name and a closed file", async () => {
  const file = await openFixture("model.pth");
  const unknown = await assertRejects(() => file.read("0.scale", () => {}), ArgumentError);
  assertEquals(unknown.message, 'read: name is "0.scale", must be an entry of model.pth');
  await assertRejects(() => file.read("1.num_batches_tracked", () => {}), FileError);
  file.close();
  await assertRejects(() => file.read("0.weight", () => {}), ArgumentError);
});

Deno.test("openWeights() reads only the descriptions of the tensors", async () => {
  for (const name of ["kinds.pth", "kinds_legacy.pth"]) {
    const bytes = await fixture(name), inner = bytesSource(bytes);
    let total = 0;
    const counting: ByteSource = {
      ...inner,
      read(offset, into) {
        total += into.length;
        return inner.read(offset, into);
      },
    };
    using file = await openWeights(counting);
    assertEquals(file.entries.size, 19);
    assertEquals(total < 3 * bytes.length, true);
  }
});

Deno.test("read() does not read all of a storage for a few elements far apart", async () => {
  const count = 5e6, data = new Float32Array(count).map((_, i) => i);
  const sparse = tensor({ count, shape: [2, 3], stride: [2_400_000, 1_000] });
  const inner = bytesSource(pth(stateOf(sparse), new Uint8Array(data.buffer)), "x");
  let longest = 0;
  using file = await openWeights({
    ...inner,
    read(offset, into) {
      longest = Math.max(longest, into.length);
      return inner.read(offset, into);
    },
  });
  const values = await readAll(file, "a");
  assertEquals([...values], [0, 1000, 2000, 2_400_000, 2_401_000, 2_402_000]);
  const few = tensor({ count, shape: [2], stride: [4_999_999] });
  const largest = bytesSource(pth(stateOf(few), new Uint8Array(data.buffer)), "x");
  longest = 0;
  using other = await openWeights({
    ...largest,
    read(offset, into) {
      longest = Math.max(longest, into.length);
      return largest.read(offset, into);
    },
  });
  assertEquals([...await readAll(other, "a")], [0, 4_999_999]);
  assertEquals(longest < 1e6, true);
});
