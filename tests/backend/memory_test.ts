import { Allocator } from "../../src/backend/wasm/allocator.ts";
import { PembrokeError } from "../../src/errors.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../assert.ts";
import { Draw } from "./harness.ts";

const pageBytes = 65536;
const base = 100;

function make(pages = 1, maximum?: number): Allocator {
  return new Allocator(new WebAssembly.Memory({ initial: pages, maximum }), base);
}

Deno.test("Allocator allocates whole cache lines, from its base on", () => {
  const allocator = make();
  const blocks = [1, 64, 65, 0].map((bytes) => allocator.alloc(bytes));
  assertEquals(blocks, [128, 192, 256, 384]);
  assertEquals(allocator.inUse, 64 + 64 + 128 + 64);
});

Deno.test("Allocator reuses freed blocks", () => {
  const allocator = make();
  const [first, second] = [allocator.alloc(256), allocator.alloc(256)];
  allocator.free(first, 256);
  assertEquals(allocator.alloc(128), first);
  assertEquals(allocator.alloc(128), first + 128);
  assertEquals(allocator.alloc(64), second + 256);
});

Deno.test("Allocator merges neighbours, whatever the order in which they are freed", () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1]]) {
    const allocator = make();
    const blocks = [0, 1, 2].map(() => allocator.alloc(64));
    allocator.alloc(64); // separates them from the end
    for (const i of order) allocator.free(blocks[i], 64);
    assertEquals(allocator.alloc(192), blocks[0], `order ${order}`);
  }
});

Deno.test("Allocator frees the end, so that a larger block fits in its place", () => {
  const allocator = make();
  const kept = allocator.alloc(64), last = allocator.alloc(64);
  allocator.free(last, 64);
  assertEquals(allocator.alloc(1024), last);
  allocator.free(last, 1024);
  allocator.free(kept, 64);
  assertEquals(allocator.alloc(2048), kept);
});

Deno.test("Allocator grows the memory as needed and keeps its contents", () => {
  const allocator = make();
  const first = allocator.alloc(64);
  new Float32Array(allocator.memory.buffer, first, 4).set([1, 2, 3, 4]);
  const second = allocator.alloc(3 * pageBytes);
  assertEquals(allocator.memory.buffer.byteLength, 4 * pageBytes);
  assertEquals([...new Float32Array(allocator.memory.buffer, first, 4)], [1, 2, 3, 4]);
  assert(
    second + 3 * pageBytes <= allocator.memory.buffer.byteLength,
    "the block lies in the memory",
  );
});

Deno.test("Allocator does not grow the memory for a block that ends with it", () => {
  const allocator = make(2);
  allocator.alloc(2 * pageBytes - 128);
  assertEquals(allocator.memory.buffer.byteLength, 2 * pageBytes);
  allocator.alloc(1);
  assertEquals(allocator.memory.buffer.byteLength, 3 * pageBytes);
});

Deno.test("Allocator is unchanged after it ran out of memory", () => {
  const allocator = make(1, 2);
  const first = allocator.alloc(1000);
  for (const bytes of [2 * pageBytes, 2 ** 32, 2 ** 33, 1e300, Infinity]) {
    const error = assertThrows(() => allocator.alloc(bytes), PembrokeError, "out of memory");
    assertEquals(error.message.split("\n").length, 1);
    assertEquals(allocator.inUse, 1024);
  }
  assertEquals(allocator.alloc(64), first + 1024);
  allocator.alloc(pageBytes);
});

Deno.test("Allocator's error message tells the requested size", () => {
  const error = assertThrows(() => make(1, 2).alloc(5 * 2 ** 20), PembrokeError);
  assertStringIncludes(error.message, "5 MiB");
});

Deno.test("Allocator never returns overlapping blocks, and ends with nothing in use", () => {
  const draw = new Draw(1);
  const allocator = make();
  const live: { start: number; bytes: number }[] = [];
  let high = 0;
  for (let i = 0; i < 2000; i++) {
    if (live.length > 0 && (live.length > 40 || draw.integer(0, 1) === 0)) {
      const [{ start, bytes }] = live.splice(draw.integer(0, live.length - 1), 1);
      allocator.free(start, bytes);
      continue;
    }
    const bytes = draw.integer(0, 5000);
    const start = allocator.alloc(bytes);
    const end = start + bytes;
    assert(start >= base && start % 64 === 0 && end <= allocator.memory.buffer.byteLength);
    assert(live.every((b) => end <= b.start || start >= b.start + b.bytes), `overlap at ${start}`);
    live.push({ start, bytes });
    high = Math.max(high, end);
  }
  for (const { start, bytes } of live) allocator.free(start, bytes);
  assertEquals(allocator.inUse, 0);
  assertEquals(allocator.alloc(64), 128, "everything merged back into one block");
  assert(high < 60 * 5120, "blocks are used again");
});
