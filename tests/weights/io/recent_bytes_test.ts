import { RecentBytes } from "../../../src/weights/io/recent_bytes.ts";
import { assert, assertEquals } from "../../assert.ts";

const numbers = (start: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => (start + i) % 251);

Deno.test("RecentBytes copies adjacent chunks of any size, as far as they go", () => {
  const recent = new RecentBytes();
  for (let at = 0, length = 1; at < 300_000; at += length++) recent.add(at, numbers(at, length));
  for (const [offset, length] of [[0, 10], [255, 2], [65_530, 70_000], [299_000, 200], [7, 0]]) {
    const into = new Uint8Array(length);
    assertEquals(recent.fill(offset, into), length);
    assertEquals(into, numbers(offset, length));
  }
});

Deno.test("RecentBytes stops at a gap", () => {
  const recent = new RecentBytes();
  recent.add(0, numbers(0, 100));
  recent.add(200, numbers(200, 100));
  assertEquals(recent.fill(90, new Uint8Array(50)), 10);
  assertEquals(recent.fill(150, new Uint8Array(50)), 0);
  assertEquals(recent.fill(250, new Uint8Array(80)), 50);
  assertEquals(recent.fill(300, new Uint8Array(1)), 0);
});

Deno.test("RecentBytes drops the oldest bytes", () => {
  const recent = new RecentBytes();
  for (let i = 0; i < 1000; i++) {
    recent.add(100 * i, numbers(100 * i, 8));
    recent.shrink(1000);
    assert(recent.size <= 1000);
  }
  assertEquals(recent.fill(0, new Uint8Array(8)), 0);
  assertEquals(recent.fill(99_900, new Uint8Array(8)), 8);
  recent.shrink(0);
  assertEquals([recent.size, recent.fill(99_900, new Uint8Array(8))], [0, 0]);
  recent.add(200_000, numbers(1, 8));
  assertEquals(recent.fill(200_000, new Uint8Array(8)), 8);
});

Deno.test("RecentBytes takes little memory for 100 000 pieces of 8 bytes", () => {
  const recent = new RecentBytes(), piece = new Uint8Array(8);
  const { external } = Deno.memoryUsage();
  for (let i = 0; i < 100_000; i++) recent.add(100 * i, piece);
  for (let i = 0; i < 100_000; i++) assertEquals(recent.fill(100 * i, piece), 8);
  const taken = Deno.memoryUsage().external - external;
  assert(taken < 2e6, `${taken} bytes`);
  assertEquals(recent.size, 100_000 * (8 + 64));
});
