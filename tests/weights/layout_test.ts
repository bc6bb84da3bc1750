/** Which tensors of a file are read together. */

import { bytesSource } from "../../src/weights/io/source.ts";
import { findRegions, type StoredTensor } from "../../src/weights/layout.ts";
import { openWeights } from "../../src/weights/mod.ts";
import { assertEquals } from "../assert.ts";
import { chunkedSource, countedSource, floats, pth, py, readAll, tensor } from "./helpers.ts";

/** A column of `rows` floats in a matrix. */
function column(rows: number, width: number, start: number): StoredTensor {
  const shape = [rows], strides = [width], span = 4 + 4 * (rows - 1) * width;
  return { name: "t", dtype: "F32", shape, strides, count: rows, start, span };
}

/** The regions of tensors, as their bounds and the number of their tensors. */
const regionsOf = (tensors: readonly StoredTensor[]) =>
  [...new Set(findRegions(tensors).values())]
    .map(({ start, end, tensors }) => [start, end, tensors.length]);

Deno.test("tensors between each other's elements are in one region", () => {
  const columns = [0, 4, 8].map((start) => column(10, 3, start));
  assertEquals(regionsOf(columns), [[0, 120, 3]]);
  // a matrix after it, and elements that are not aligned with the others
  const apart = [...columns, column(10, 3, 120), column(10, 3, 6)];
  assertEquals(regionsOf(apart), [[0, 116, 2], [6, 118, 1], [8, 120, 1], [120, 232, 1]]);
});

Deno.test("tensors of different sources or storages are in different regions", () => {
  const [a, b] = [0, 4].map((start) => column(10, 2, start));
  const sources = [1, 2].map(() => bytesSource(new Uint8Array(80)));
  assertEquals(regionsOf([a, { ...b, source: sources[0] }]).length, 2);
  assertEquals(regionsOf(sources.map((source) => ({ ...a, source }))).length, 2);
  const deferred = [1, 2].map((rank) => ({ rank, start: () => Promise.resolve(0) }));
  assertEquals(regionsOf([{ ...a, deferred: deferred[0] }, b]).length, 2);
  assertEquals(regionsOf(deferred.map((deferred) => ({ ...a, deferred }))).length, 2);
});

Deno.test("large regions that their tensors hardly fill are read in parts, or not at all", () => {
  const width = 1 << 18, rows = 11; // 10 MiB each
  const columns = (count: number) =>
    Array.from({ length: count }, (_, i) => column(rows, width, i * (5 << 20)));
  const span = 4 + (10 << 20), step = 5 << 20;
  assertEquals(regionsOf(columns(2)), [[0, step + span, 2]]);
  assertEquals(regionsOf(columns(8)), [[0, 4 * step + span, 5], [5 * step, 7 * step + span, 3]]);
  const tall = column(17, width, 4); // of 16 MiB
  assertEquals(regionsOf([tall, column(2, width, 8)]), [[8, 12 + 4 * width, 1]]);
  // dense ones are read whole
  const dense = [0, 4].map((start) => column(3 << 20, 8, start));
  assertEquals(regionsOf(dense), [[0, dense[1].span + 4, 2]]);
});

Deno.test("parts of several storages are read from a stream, and again from a file", async () => {
  const part = (key: string, offset: number) =>
    tensor({ key, count: 4, shape: [2], stride: [2], offset });
  const names = ["a", "b"].flatMap((name, key) =>
    [0, 1].map((offset): [Uint8Array, Uint8Array] => [
      py.text(`${name}${offset}`),
      part(`${key}`, offset),
    ])
  );
  const more = [{ name: "x/data/1", data: floats(5, 6, 7, 8) }];
  const bytes = pth(py.dict(...names), floats(1, 2, 3, 4), more);
  const counted = countedSource(bytes);
  for (const source of [await chunkedSource(bytes), counted]) {
    using file = await openWeights(source);
    counted.total = counted.reads = 0;
    const read = async () => {
      const values = [];
      for (const name of file.order) values.push([name, ...await readAll(file, name)]);
      return values;
    };
    const expected = [["a0", 1, 3], ["a1", 2, 4], ["b0", 5, 7], ["b1", 6, 8]];
    assertEquals(await read(), expected);
    if (source !== counted) continue;
    assertEquals([counted.reads, counted.total], [2, 32]);
    assertEquals(await read(), expected); // no memory is kept once all parts are read
    assertEquals([counted.reads, counted.total], [4, 64]);
  }
});
