import { FileError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { Decoders } from "../../src/image/decoders.ts";
import { imagenetPreprocessing, preprocess } from "../../src/image/preprocess.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { readImage } from "./fixtures.ts";

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
  const failure = () => Promise.reject((wrong as PromiseRejectedResult).reason);
  await assertRejects(failure, FileError, "cut.jpg: ");
});
