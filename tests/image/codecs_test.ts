/** The codecs of JPEG and WebP: kept ones, those of the caller, and custom decoders. */

import { ArgumentError, FileError } from "../../src/errors.ts";
import { type CodecModules, decodeImage } from "../../src/image/decode.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { countStarts, readImage } from "./fixtures.ts";

Deno.test("decodeImage() decodes with compiled codecs from the caller", async () => {
  const { default: jpeg } = await import("../../src/image/codecs/jpeg_wasm.js");
  const { default: webp } = await import("../../src/image/codecs/webp_wasm.js");
  for (const file of ["gray.jpg", "lossy.webp"]) {
    const bytes = readImage(file);
    assertEquals(await decodeImage(bytes, { codecs: { jpeg, webp } }), await decodeImage(bytes));
  }
});

Deno.test("decodeImage() keeps a codec, and resets it for each image", async () => {
  const { default: jpeg } = await import("../../src/image/codecs/jpeg_wasm.js");
  const photo = await Deno.readFile(new URL("../photos/coffee.jpg", import.meta.url));
  const images = ["gray.jpg", "baseline-420.jpg", "progressive.jpg", "restart.jpg"].map(readImage);
  // Starts codecs; from the second on they are kept.
  const expected = await Promise.all([photo, ...images].map((bytes) => decodeImage(bytes)));
  for (const options of [{ codecs: { jpeg } }, {}]) {
    using count = countStarts();
    for (const [i, bytes] of [photo, ...images, ...images, photo].entries()) {
      const { data, ...size } = await decodeImage(bytes, options);
      const { data: expectedData, ...expectedSize } = expected[i < 5 ? i : i < 9 ? i - 4 : 0];
      assertEquals(size, expectedSize);
      assertEquals(data, expectedData);
    }
    assertEquals(count.starts, 0);
    // A codec that failed is discarded.
    const broken = photo.slice();
    broken.fill(0xff, 600, 1200);
    await decodeImage(broken, options).catch(() => {});
    assertEquals((await decodeImage(photo, options)).data, expected[0].data);
    // So is one whose memory has grown.
    const before = count.starts;
    const canvas = new OffscreenCanvas(2600, 2000);
    canvas.getContext("bitmaprenderer");
    const large = await (await canvas.convertToBlob({ type: "image/jpeg" })).bytes();
    await decodeImage(large, options);
    await decodeImage(photo, options);
    assertEquals(count.starts, before + 1);
  }
});

Deno.test("decodeImage() with reuse keeps a codec without a reset, until an image is damaged", async () => {
  // Clones, so that no other test has codecs of these modules.
  const { default: jpeg } = await import("../../src/image/codecs/jpeg_wasm.js");
  const { default: webp } = await import("../../src/image/codecs/webp_wasm.js");
  const options = { reuse: true, codecs: structuredClone({ jpeg, webp }) };
  const damaged = await Deno.readFile(new URL("../photos/coffee.jpg", import.meta.url));
  damaged.fill(0x55, 20_000, 21_000);
  for (const [file, starts] of [["gray.jpg", 1], ["progressive.jpg", 0], ["lossy.webp", 1]]) {
    const bytes = readImage(file as string), expected = await decodeImage(bytes);
    using count = countStarts();
    assertEquals(await decodeImage(bytes, options), expected);
    assertEquals(count.starts, starts, `${file}`);
  }
  const bytes = readImage("gray.jpg"), expected = await decodeImage(bytes);
  using count = countStarts();
  const reason = "the JPEG is damaged: its image data ends too early";
  await assertRejects(() => decodeImage(damaged, options), FileError, reason);
  assertEquals(count.starts, 0);
  assertEquals(await decodeImage(bytes, options), expected);
  assertEquals(count.starts, 1);
});

Deno.test("decodeImage() reports codecs of other modules", async () => {
  const jpeg = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)); // empty
  const decode = () => decodeImage(readImage("gray.jpg"), { codecs: { jpeg } });
  const reason = "the JPEG codec cannot be loaded from the module in the option `codecs`: ";
  assertEquals((await assertRejects(decode, FileError, reason)).message.includes("result"), false);
  const ignored = () =>
    decodeImage(readImage("gray.jpg"), { codecs: { jpg: jpeg } as CodecModules });
  await assertRejects(ignored, ArgumentError, 'codecs: an option is "jpg"');
});

Deno.test("decodeImage() decodes with custom decoders", async () => {
  const rgba = { width: 40, height: 27, data: new Uint8Array(40 * 27 * 4) };
  rgba.data.set([1, 2, 3, 255]); // the pixel at the top left
  const decoder = () => Promise.resolve(rgba);
  const codecs = { jpeg: decoder, webp: decoder };
  // Including variants that compiled codecs leave to the runtime.
  for (const file of ["baseline-420.jpg", "cmyk.jpg", "lossy.webp", "animated.webp"]) {
    const { data } = await decodeImage(readImage(file), { codecs });
    assertEquals([...data.subarray(0, 4)], [1, 2, 3, 0], file);
  }
  const rotated = await decodeImage(readImage("orientation-6.jpg"), { codecs });
  assertEquals([rotated.width, rotated.height], [27, 40]);
  assertEquals([...rotated.data.subarray(26 * 3, 27 * 3)], [1, 2, 3]);
});

Deno.test("decodeImage() reports errors of custom decoders", async () => {
  const bytes = readImage("lossy.webp"), name = "a.webp";
  const error = await assertRejects(
    () => decodeImage(bytes, { name, codecs: { webp: () => Promise.reject(new Error("no")) } }),
    FileError,
  );
  assertEquals(error.message, "a.webp: the WebP cannot be decoded: no");
  const small = { width: 1, height: 1, data: new Uint8Array(4) };
  await assertRejects(
    () => decodeImage(bytes, { name, codecs: { webp: () => small } }),
    FileError,
    "a.webp: the WebP decodes to 1×1 pixels, but its header says 40×27",
  );
});

Deno.test("decodeImage() uses only the codecs that are passed", async () => {
  const other = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  for (const file of ["gray.jpg", "lossy.webp"]) {
    // An empty module has no memory to decode into, so the error proves that it was used.
    await assertRejects(
      () => decodeImage(readImage(file), { codecs: { jpeg: other, webp: other } }),
      Error,
      "codec cannot be loaded",
    );
  }
});
