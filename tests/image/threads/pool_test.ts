import { FileError, TooLargeError } from "../../../src/errors.ts";
import { ThreadEndedError, ThreadStartError } from "../../../src/image/threads/thread.ts";
import { decodeImage } from "../../../src/image/decode.ts";
import { Decoders } from "../../../src/image/threads/pool.ts";
import { imagenetPreprocessing, preprocess } from "../../../src/image/preprocess.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { concat, readImage } from "../fixtures.ts";
import { decodeWith, mortal } from "./other_worker.ts";

Deno.test("Decoders give what decodeImage() and preprocess() give, each image its own", async () => {
  using decoders = new Decoders(2, imagenetPreprocessing);
  const files = ["gray.jpg", "rgb.png", "lossy.webp", "orientation-6.jpg", "gray-16.png"];
  const images = [...files, ...files];
  const decoded = await Promise.all(images.map((file) => decoders.decode(readImage(file))));
  for (const [i, file] of images.entries()) {
    const image = await decodeImage(readImage(file));
    const { width, height, values, warnings } = decoded[i];
    assertEquals([width, height, warnings], [image.width, image.height, []], file);
    assertEquals(values, preprocess(image, imagenetPreprocessing), file);
  }
});

Deno.test("Decoders say what is wrong with an image, and go on", async () => {
  using decoders = new Decoders(1, imagenetPreprocessing);
  const cut = readImage("gray.jpg").slice(0, 100);
  const [wrong, large, right] = await Promise.allSettled([
    decoders.decode(cut, { name: "cut.jpg" }),
    decoders.decode(readImage("gray.jpg"), { maxPixels: 10 }),
    decoders.decode(readImage("gray.jpg")),
  ]);
  assertEquals([wrong.status, large.status, right.status], ["rejected", "rejected", "fulfilled"]);
  const failure = (result: typeof wrong) => () =>
    Promise.reject((result as PromiseRejectedResult).reason);
  await assertRejects(failure(wrong), FileError, "cut.jpg: ");
  await assertRejects(failure(large), TooLargeError, "image: is 40×27 pixels");
});

Deno.test("Decoders refuse the images that end a worker, decode the others, and go on", async () => {
  using workers = decodeWith(mortal);
  using decoders = new Decoders(2, imagenetPreprocessing);
  const files = [
    "throw",
    "gray.jpg",
    "rgb.png",
    "reject",
    "lossy.webp",
    "throw",
    "progressive.jpg",
  ];
  const isMortal = (file: string) => !file.includes(".");
  const read = (file: string) => isMortal(file) ? concat(file) : readImage(file);
  // all at once: the good ones are in the workers that end; then one after the other
  const together = await Promise.allSettled(files.map((file) => decoders.decode(read(file))));
  const alone: typeof together = [];
  for (const file of files) alone.push(...await Promise.allSettled([decoders.decode(read(file))]));
  for (const results of [together, alone]) {
    for (const [i, file] of files.entries()) {
      const result = results[i];
      if (result.status === "rejected") {
        assert(isMortal(file), `${file}: ${result.reason}`);
        assert(result.reason instanceof ThreadEndedError, String(result.reason));
        assertMatch(result.reason.message, /^a thread that decodes images ended: .*out of memory$/);
      } else {
        const image = await decodeImage(readImage(file));
        assertEquals(result.value.values, preprocess(image, imagenetPreprocessing), file);
      }
    }
  }
  // those that ended, and one for each image that was in them
  assert(workers.starts <= 2 + 6 + files.length + 3, `${workers.starts} workers`);
});

Deno.test("Decoders say that workers cannot start, and do not try for ever", async () => {
  const script = 'postMessage({ ended: "no room\\nat all" }); close();';
  using workers = decodeWith(new URL(`data:text/javascript,${script}`));
  using decoders = new Decoders(2, imagenetPreprocessing);
  for (let i = 0; i < 3; i++) {
    const images = [1, 2].map(() => decoders.decode(readImage("gray.jpg")));
    for (const { status, reason } of await Promise.allSettled(images) as PromiseRejectedResult[]) {
      assertEquals(status, "rejected");
      assert(reason instanceof ThreadStartError, String(reason));
      assertEquals(reason.message, "threads that decode images cannot start: no room");
    }
  }
  assertEquals(workers.starts, 2);
});
