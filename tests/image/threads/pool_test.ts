import { FileError, TooLargeError } from "../../../src/errors.ts";
import { decodeImage } from "../../../src/image/decode.ts";
import { imagenetPreprocessing, preprocess } from "../../../src/image/preprocess.ts";
import { DecodePool } from "../../../src/image/threads/pool.ts";
import { ThreadCrashError, ThreadStartError } from "../../../src/image/threads/thread.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { concat, readImage } from "../fixtures.ts";
import { crashingWorker, replaceDecodeWorker } from "./replace_worker.ts";

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
