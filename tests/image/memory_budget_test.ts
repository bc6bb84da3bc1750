import { ArgumentError, FileError, TooLargeError } from "../../src/errors.ts";
import { decodeImage, imageMemory, MemoryBudget } from "../../src/image/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { concat, readImage } from "./fixtures.ts";
import { groupsWebp } from "./hostile.ts";

Deno.test("MemoryBudget lets images wait for their share, in order", async () => {
  const budget = new MemoryBudget(100), started: number[] = [];
  const acquire = (bytes: number) =>
    budget.acquire(bytes).then((share) => {
      started.push(bytes);
      return share;
    });
  const first = await acquire(60);
  const waiting = [acquire(50), acquire(10), acquire(41)];
  await Promise.resolve();
  assertEquals([started, budget.available, budget.waiting], [[60], 40, 3]);
  first.release();
  first.release(); // does nothing
  const [second] = await Promise.all(waiting.slice(0, 2));
  assertEquals([started, budget.available], [[60, 50, 10], 40]);
  second.release();
  await waiting[2];
  assertEquals([started, budget.available], [[60, 50, 10, 41], 49]);
});

Deno.test("MemoryBudget rejects an image larger than all of it, and accepts one as large", async () => {
  const budget = new MemoryBudget(2 ** 20);
  using _share = await budget.acquire(2 ** 20);
  for (const bytes of [2 ** 20 + 1, Infinity]) {
    await assertRejects(
      () => budget.acquire(bytes, { name: "a.png" }),
      TooLargeError,
      "a.png: needs",
    );
  }
  for (const bytes of [0, -1, NaN]) assertThrows(() => new MemoryBudget(bytes), ArgumentError);
});

Deno.test("MemoryBudget refuses a negative share, which would enlarge it", async () => {
  const budget = new MemoryBudget(100);
  for (const bytes of [-1, NaN]) {
    await assertRejects(() => budget.acquire(bytes), ArgumentError, `bytes is ${bytes}`);
  }
  assertEquals(budget.available, 100);
});

Deno.test("MemoryBudget lets an image leave the queue", async () => {
  const budget = new MemoryBudget(100);
  const first = await budget.acquire(60);
  const { signal, abort } = controller();
  const leaving = budget.acquire(90, { signal }), behind = budget.acquire(40);
  abort();
  await assertRejects(() => leaving, Error, "left");
  (await behind).release();
  await assertRejects(() => budget.acquire(1, { signal }), Error, "left");
  first.release();
  assertEquals([budget.available, budget.waiting], [100, 0]);
});

function controller() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error("left")) };
}

Deno.test("decodeImage() takes its share of a budget while it decodes, and returns it", async () => {
  for (const file of ["rgb.png", "gray.jpg", "lossy.webp", "plain.gif", "24.bmp"]) {
    const bytes = readImage(file), needed = imageMemory(bytes);
    const memory = new MemoryBudget(needed);
    const images = [1, 2, 3].map(() => decodeImage(bytes, { memory }));
    assertEquals([memory.available, memory.waiting], [0, 2], file);
    for (const image of await Promise.all(images)) assertEquals(image.width, 40);
    await assertRejects(() => decodeImage(bytes.slice(0, -40), { memory }));
    assertEquals(memory.available, needed);
    await assertRejects(
      () => decodeImage(bytes, { memory: new MemoryBudget(needed - 1), name: file }),
      TooLargeError,
      `${file}: needs`,
    );
  }
});

Deno.test("decodeImage() stops when its signal is aborted", async () => {
  const bytes = readImage("rgb.png"), { signal, abort } = controller();
  const memory = new MemoryBudget(imageMemory(bytes));
  const first = decodeImage(bytes, { memory }), second = decodeImage(bytes, { memory, signal });
  abort();
  await assertRejects(() => second, Error, "left");
  await assertRejects(() => decodeImage(bytes, { signal }), Error, "left");
  await first;
  assertEquals(memory.available, memory.bytes);
});

Deno.test("imageMemory() counts pixels, coefficients, frames and turned copies", () => {
  const of = (file: string) => imageMemory(readImage(file));
  const pixels = 40 * 27;
  assert(of("progressive.jpg") > of("baseline-420.jpg") + 2 * pixels, "coefficients");
  assert(of("orientation-6.jpg") >= of("baseline-420.jpg") + 2 * pixels, "a turned copy");
  assert(of("lossless.webp") > of("lossy.webp"), "pixels of a lossless image");
  assert(of("animated.webp") > of("lossy.webp") + 3 * pixels, "a canvas");
  assertEquals(of("plain.gif"), 4 * pixels);
});

Deno.test("imageMemory() counts the first frame of a JPEG, whose size is limited, and 4 channels", () => {
  const jpeg = readImage("baseline-420.jpg"), memory = imageMemory(jpeg);
  const frameAt = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
  const frame = jpeg.slice(frameAt, frameAt + 19), after = frameAt + frame.length;
  const second = frame.slice();
  second.fill(0xff, 5, 9); // 65535×65535
  const two = concat(jpeg.subarray(0, after), second, jpeg.subarray(after));
  assertEquals(imageMemory(two), memory + second.length); // the file itself
  const channels = new Uint8Array(2 + 8 + 3 * 255).fill(1);
  channels.set([0xff, 0xc0, (channels.length - 2) >> 8, (channels.length - 2) & 255]);
  channels.set(frame.subarray(4, 9), 4);
  channels[9] = 255;
  const many = concat(jpeg.subarray(0, frameAt), channels, jpeg.subarray(after));
  assert(imageMemory(many) < memory + 8 * 48 * 32 + channels.length, `${imageMemory(many)}`);
});

Deno.test("decodeImage() rejects an image that needs more than its estimated memory", async () => {
  const bytes = groupsWebp(); // 400 MB of tables
  assert(imageMemory(bytes) < 32 * 2 ** 20, `${imageMemory(bytes)}`);
  await assertRejects(() => decodeImage(bytes), FileError, "the WebP cannot be decoded");
});
