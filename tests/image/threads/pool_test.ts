import { ArgumentError, FileError, TooLargeError } from "../../../src/errors.ts";
import { decodeImage } from "../../../src/image/decode.ts";
import { imageMemory } from "../../../src/image/header.ts";
import { imagenetPreprocessing, preprocess } from "../../../src/image/preprocess.ts";
import { DecodePool } from "../../../src/image/threads/pool.ts";
import {
  DecodeTimeoutError,
  ThreadCrashError,
  ThreadStartError,
} from "../../../src/image/threads/thread.ts";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "../../assert.ts";
import { concat, readImage } from "../fixtures.ts";
import { crashingWorker, hangingWorker, replaceDecodeWorker } from "./replace_worker.ts";

Deno.test("DecodePool gives every image the result of decodeImage() and preprocess()", async () => {
  using pool = new DecodePool(2, imagenetPreprocessing);
  const files = ["gray.jpg", "rgb.png", "lossy.webp", "orientation-6.jpg", "gray-16.png"];
  const images = [...files, ...files];
  const prepared = await Promise.all(images.map((file) => pool.decode(readImage(file))));
  for (const [i, file] of images.entries()) {
    const image = await decodeImage(readImage(file));
    const { width, height, values, warnings } = prepared[i];
    assertEquals([width, height, warnings], [image.width, image.height, []], file);
    assertEquals(values, preprocess(image, imagenetPreprocessing), file);
  }
});

Deno.test("DecodePool rejects bad images and keeps decoding", async () => {
  using pool = new DecodePool(1, imagenetPreprocessing);
  const truncated = readImage("gray.jpg").slice(0, 100);
  const [bad, large, good] = await Promise.allSettled([
    pool.decode(truncated, { name: "truncated.jpg" }),
    pool.decode(readImage("gray.jpg"), { maxPixels: 10 }),
    pool.decode(readImage("gray.jpg")),
  ]);
  assertEquals([bad.status, large.status, good.status], ["rejected", "rejected", "fulfilled"]);
  const failure = (result: typeof bad) => () =>
    Promise.reject((result as PromiseRejectedResult).reason);
  await assertRejects(failure(bad), FileError, "truncated.jpg: ");
  await assertRejects(failure(large), TooLargeError, "image: is 40×27 pixels");
});

Deno.test("DecodePool rejects only the images that crash a worker", async () => {
  using workers = replaceDecodeWorker(crashingWorker);
  using pool = new DecodePool(2, imagenetPreprocessing);
  const files = [
    "throw",
    "gray.jpg",
    "rgb.png",
    "reject",
    "lossy.webp",
    "throw",
    "progressive.jpg",
  ];
  const crashes = (file: string) => !file.includes(".");
  const read = (file: string) => crashes(file) ? concat(file) : readImage(file);
  // First all at once, so that crashing workers hold good images too; then one after another.
  const together = await Promise.allSettled(files.map((file) => pool.decode(read(file))));
  const alone: typeof together = [];
  for (const file of files) alone.push(...await Promise.allSettled([pool.decode(read(file))]));
  for (const results of [together, alone]) {
    for (const [i, file] of files.entries()) {
      const result = results[i];
      if (result.status === "rejected") {
        assert(crashes(file), `${file}: ${result.reason}`);
        assert(result.reason instanceof ThreadCrashError, String(result.reason));
        assertMatch(result.reason.message, /^the decoding thread crashed: .*out of memory$/);
      } else {
        const image = await decodeImage(readImage(file));
        assertEquals(result.value.values, preprocess(image, imagenetPreprocessing), file);
      }
    }
  }
  // One new worker for each crash, and one for each image that a crashed worker held.
  assert(workers.starts <= 2 + 6 + files.length + 3, `${workers.starts} workers`);
});

Deno.test("DecodePool reports workers that cannot start, and does not retry forever", async () => {
  const script = 'postMessage({ crashed: "no room\\nat all" }); close();';
  using workers = replaceDecodeWorker(new URL(`data:text/javascript,${script}`));
  using pool = new DecodePool(2, imagenetPreprocessing);
  for (let i = 0; i < 3; i++) {
    const images = [1, 2].map(() => pool.decode(readImage("gray.jpg")));
    for (const { status, reason } of await Promise.allSettled(images) as PromiseRejectedResult[]) {
      assertEquals(status, "rejected");
      assert(reason instanceof ThreadStartError, String(reason));
      assertEquals(reason.message, "cannot start decoding threads: no room");
    }
  }
  assertEquals(workers.starts, 2);
});

/** Long enough for a small photo on a busy machine. */
const deadlineMs = 1500;

Deno.test("DecodePool rejects an image that misses its deadline, and decodes the others", async () => {
  using workers = replaceDecodeWorker(hangingWorker);
  using pool = new DecodePool(1, imagenetPreprocessing, { deadlineMs });
  const files = ["gray.jpg", "rgb.png", "lossy.webp", "gray-16.png", "progressive.jpg"];
  const results = await Promise.allSettled(
    files.map((name) => pool.decode(readImage(name), { name })),
  );
  for (const [i, result] of results.entries()) {
    const name = files[i];
    if (result.status === "fulfilled") assert(!name.endsWith(".png"), name);
    else {
      const { reason } = result;
      assert(name.endsWith(".png") && reason instanceof DecodeTimeoutError, `${name}: ${reason}`);
      assert(reason instanceof FileError);
      assertEquals(reason.message, `${name}: takes longer than 1.5 s to decode`);
    }
  }
  assertEquals(workers.starts, 3);
});

Deno.test("DecodePool shares its memory among images, and rejects those that need more", async () => {
  const read = () => readImage("gray.jpg");
  const memoryBytes = imageMemory(read()) + read().length;
  using pool = new DecodePool(2, imagenetPreprocessing, { memoryBytes });
  const images = await Promise.all([1, 2, 3, 4].map(() => pool.decode(read())));
  assertEquals(images.map(({ width }) => width), [40, 40, 40, 40]);
  const large = readImage("orientation-6.jpg"), name = "large.jpg";
  await assertRejects(() => pool.decode(large, { name }), TooLargeError, "large.jpg: needs");
  assertEquals(large.length, 0);
  await assertRejects(() => pool.decode(read().slice(0, 100)), FileError);
  assertEquals((await pool.decode(read())).width, 40); // failures return their shares
  for (const options of [{ memoryBytes: 0 }, { memoryBytes: NaN }, { deadlineMs: 0 }]) {
    assertThrows(() => new DecodePool(1, imagenetPreprocessing, options), ArgumentError);
  }
  assertThrows(() => new DecodePool(0, imagenetPreprocessing), ArgumentError, "count is 0");
});

Deno.test("DecodePool drops an image when its signal is aborted", async () => {
  using _workers = replaceDecodeWorker(hangingWorker);
  const png = readImage("rgb.png");
  const memoryBytes = imageMemory(png) + png.length + 1000;
  using pool = new DecodePool(1, imagenetPreprocessing, { deadlineMs, memoryBytes });
  const clients = [1, 2, 3].map(() => new AbortController());
  const decode = (i: number, file: string) =>
    pool.decode(readImage(file), { signal: clients[i].signal });
  // The first holds the memory, and the others wait for it.
  const images = [decode(0, "rgb.png"), decode(1, "rgb.png"), decode(2, "gray.jpg")];
  for (const i of [1, 0]) {
    clients[i].abort(new Error(`client ${i} left`));
    await assertRejects(() => images[i], Error, `client ${i} left`);
  }
  // The worker still holds the first, until the deadline.
  assertEquals((await images[2]).width, 40);
  await assertRejects(() => decode(0, "gray.jpg"), Error, "client 0 left");
});

Deno.test("DecodePool drops an image that waits for its worker", async () => {
  using _workers = replaceDecodeWorker(hangingWorker);
  using pool = new DecodePool(1, imagenetPreprocessing, { deadlineMs });
  const client = new AbortController(), { signal } = client;
  const hanging = pool.decode(readImage("rgb.png"), { signal });
  // If it were not dropped, this one would take until its own deadline.
  const waiting = pool.decode(readImage("rgb.png"), { signal });
  const last = pool.decode(readImage("gray.jpg"));
  client.abort(new Error("left"));
  await Promise.all([hanging, waiting].map((image) => assertRejects(() => image, Error, "left")));
  const start = performance.now();
  assertEquals((await last).width, 40);
  assert(performance.now() - start < 2 * deadlineMs, "waited for a dropped image");
});
