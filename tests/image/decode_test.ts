import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { ArgumentError, FileError, TooLargeError } from "../../src/errors.ts";
import { type CodecModules, decodeImage } from "../../src/image/decode.ts";
import { imageMemory } from "../../src/image/header.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { bytesAt, concat, countStarts, type Place, readCases, readImage } from "./fixtures.ts";

interface DecodeCase {
  file: string;
  width: number;
  height: number;
  /** Levels by which the runtime's decoder may differ. Our own must be exact. */
  tolerance: number;
  pixels: Place;
}

for (const { file, width, height, tolerance, pixels } of readCases<DecodeCase>("decode.json")) {
  Deno.test(`decodeImage() returns the same pixels as Pillow for ${file}`, async () => {
    const image = await decodeImage(readImage(file), {
      name: file,
      onWarning: (message) => assert(false, message),
    });
    assertEquals([image.width, image.height], [width, height]);
    assertAllClose(image.data, bytesAt(pixels), { abs: tolerance, name: file });
  });
}

/**
 * A BMP of 2×2 pixels: what is between its header and its rows, and the rows, the bottom one first.
 */
function smallBmp(
  header: { readonly bytes: number; readonly bits: number; readonly compression?: number },
  between: readonly number[],
  rows: readonly number[],
): Uint8Array {
  const { bytes, bits, compression = 0 } = header, start = 14 + bytes + between.length;
  const file = new Uint8Array(start + rows.length), view = new DataView(file.buffer);
  file.set([0x42, 0x4d]);
  const sizes = bytes === 12 ? [2 | 2 << 16, 1 | bits << 16] : [2, 2, 1 | bits << 16, compression];
  for (const [i, value] of [file.length, 0, start, bytes, ...sizes].entries()) {
    view.setUint32(2 + 4 * i, value, true);
  }
  file.set(between, 14 + bytes);
  file.set(rows, start);
  return file;
}

Deno.test("decodeImage() decodes BMP of few bits, with OS/2's header, and with masks", async () => {
  const int32 = (...values: number[]) => [...new Uint8Array(Uint32Array.from(values).buffer)];
  const int16 = (...values: number[]) => [...new Uint8Array(Uint16Array.from(values).buffer)];
  const palette = int32(0xff0000, 0xff00, 0xff, 0);
  const images = {
    "2 bits": smallBmp({ bytes: 40, bits: 2 }, palette, int32(0b10110000, 0b00010000)),
    "4 bits": smallBmp({ bytes: 40, bits: 4 }, palette, int32(0x23, 0x01)),
    "OS/2": smallBmp(
      { bytes: 12, bits: 24 },
      [],
      [...[255, 0, 0, 0, 0, 0, 9, 9], ...[0, 0, 255, 0, 255, 0, 9, 9]],
    ),
    "OS/2, 8 bits": smallBmp(
      { bytes: 12, bits: 8 },
      [...[0, 0, 255], ...[0, 255, 0], ...[255, 0, 0], ...[0, 0, 0]],
      int32(0x0302, 0x0100),
    ),
    "5, 5 and 5 bits": smallBmp({ bytes: 40, bits: 16 }, [], int16(31, 0, 31 << 10, 31 << 5)),
    "5, 6 and 5 bits": smallBmp(
      { bytes: 40, bits: 16, compression: 3 },
      int32(31 << 11, 63 << 5, 31),
      int16(31, 0, 31 << 11, 63 << 5),
    ),
    "red in the last byte": smallBmp(
      { bytes: 40, bits: 32, compression: 3 },
      int32(0xff000000, 0xff0000, 0xff00),
      int32(0xff07, 7, 0xff000007, 0xff0007),
    ),
  };
  const { createImageBitmap } = globalThis;
  Object.assign(globalThis, { createImageBitmap: undefined }); // as in Node
  try {
    const expected = [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0]; // red, green; blue, black
    for (const [name, bytes] of Object.entries(images)) {
      assertEquals([...(await decodeImage(bytes)).data], expected, name);
    }
    // as Pillow scales them
    const levels = smallBmp({ bytes: 40, bits: 16 }, [], int16(1, 2, 17 << 5, 30 << 10));
    const { data } = await decodeImage(levels);
    assertEquals(data.filter((value) => value > 0), Uint8Array.of(139, 246, 8, 16));
  } finally {
    Object.assign(globalThis, { createImageBitmap });
  }
});

Deno.test("decodeImage() decodes a BMP without the bytes that pad its last row", async () => {
  const rows = [...[1, 2, 3, 4, 5, 6, 0, 0], ...[7, 8, 9, 10, 11, 12, 0, 0]];
  const file = smallBmp({ bytes: 40, bits: 24 }, [], rows);
  const { data } = await decodeImage(file);
  for (const padding of [1, 2]) {
    assertEquals((await decodeImage(file.subarray(0, -padding))).data, data);
  }
  await assertRejects(() => decodeImage(file.subarray(0, -3)), FileError, "truncated");
});

Deno.test("decodeImage() reads no colours behind the palette of a BMP", async () => {
  const palette = [9, 9, 9, 0, 3, 2, 1, 0];
  const file = smallBmp({ bytes: 40, bits: 8 }, palette, [0, 1, 0, 0, 2, 255, 0, 0]);
  file[46] = 2; // colours
  const { data } = await decodeImage(file);
  assertEquals([...data], [0, 0, 0, 0, 0, 0, 9, 9, 9, 1, 2, 3]);
});

Deno.test("decodeImage() enlarges a GIF's screen to its first frame", async () => {
  const file = readImage("plain.gif"), expected = await decodeImage(file);
  file.fill(0, 6, 10); // the screen
  assertEquals(await decodeImage(file), expected);
  await assertRejects(() => decodeImage(file, { maxPixels: 40 * 27 - 1 }), TooLargeError);
});

Deno.test("decodeImage() decodes a WebP of one colour, which has only 28 bytes", async () => {
  const image = [0x2f, 2, 0x40, 0, 0, 0xc8, 0xc8, 0x0c]; // 3×2 pixels
  const file = concat("RIFF", [20, 0, 0, 0], "WEBP", "VP8L", [8, 0, 0, 0], image);
  const { width, height, data } = await decodeImage(file);
  assertEquals([width, height], [3, 2]);
  assertEquals([...data], Array(6).fill([0, 1, 1]).flat());
});

Deno.test("decodeImage() reads a view into a larger buffer, and does not change it", async () => {
  const file = readImage("orientation-6.jpg");
  const buffer = concat([1, 2, 3], file, [4, 5, 6]);
  const image = await decodeImage(buffer.subarray(3, 3 + file.length));
  assertEquals(image, await decodeImage(file));
  assertEquals(buffer, concat([1, 2, 3], file, [4, 5, 6]));
});

Deno.test("decodeImage() does not change a Buffer of Node, whose slice() is no copy", async () => {
  for (const file of ["cmyk-orientation-6.jpg", "orientation-6.jpg", "lossless.webp", "rgb.png"]) {
    const bytes = readImage(file), buffer = Buffer.from(bytes), expected = await decodeImage(bytes);
    assertEquals(await decodeImage(buffer), expected);
    assertEquals(new Uint8Array(buffer), bytes);
  }
});

Deno.test("decodeImage() reads bytes in shared memory", async () => {
  for (const file of ["baseline-420.jpg", "rgb.png", "lossy.webp", "plain.gif", "cmyk.jpg"]) {
    const bytes = readImage(file);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    assertEquals(await decodeImage(shared), await decodeImage(bytes));
  }
});

Deno.test("decodeImage() reads bytes from another realm, as of a frame or of a test in jsdom", async () => {
  for (const file of ["baseline-420.jpg", "rgb.png", "lossy.webp", "plain.gif", "cmyk.jpg"]) {
    const bytes = readImage(file);
    const foreign: Uint8Array = runInNewContext("new Uint8Array(bytes)", { bytes });
    assertEquals(await decodeImage(foreign), await decodeImage(bytes));
  }
});

Deno.test("decodeImage() decodes several images at once", async () => {
  const files = ["baseline-420.jpg", "lossy.webp", "rgb.png", "progressive.jpg", "plain.gif"];
  const together = await Promise.all(files.map((file) => decodeImage(readImage(file))));
  for (const [i, file] of files.entries()) {
    assertEquals(together[i], await decodeImage(readImage(file)), file);
  }
});

Deno.test("decodeImage() lets Deno free the canvas and blobs of CMYK images", async () => {
  const { OffscreenCanvas, setTimeout } = globalThis, made: OffscreenCanvas[] = [];
  let tasks = 0;
  globalThis.OffscreenCanvas = class extends OffscreenCanvas {
    constructor(width: number, height: number) {
      super(width, height);
      made.push(this);
    }
  };
  const counted = (callback: () => void, ms: number) => {
    tasks++;
    return setTimeout(callback, ms);
  };
  Object.assign(globalThis, { setTimeout: counted });
  try {
    await decodeImage(readImage("cmyk.jpg"));
    assertEquals(made.map(({ width, height }) => [width, height]), [[0, 0]]);
    assertEquals(tasks, 1);
  } finally {
    Object.assign(globalThis, { OffscreenCanvas, setTimeout });
  }
});

Deno.test("decodeImage() refuses random pixels, which browsers give against fingerprinting", async () => {
  const { OffscreenCanvas } = globalThis, drawImage = () => {};
  const getImageData = (_x: number, _y: number, width: number, height: number) =>
    new ImageData(crypto.getRandomValues(new Uint8ClampedArray(width * height * 4)), width, height);
  globalThis.OffscreenCanvas = class extends OffscreenCanvas {
    override getContext = () => ({ drawImage, getImageData }) as never;
  };
  try {
    await assertRejects(
      () => decodeImage(readImage("cmyk.jpg"), { name: "cmyk.jpg" }),
      FileError,
      "cmyk.jpg: cannot be decoded, because this browser hides the pixels of a canvas; " +
        "convert it to PNG or RGB JPEG",
    );
  } finally {
    globalThis.OffscreenCanvas = OffscreenCanvas;
  }
});

Deno.test("decodeImage() accepts exactly maxPixels, and rejects one more", async () => {
  const image = await decodeImage(readImage("rgb.png"), { maxPixels: 40 * 27 });
  assertEquals(image.width, 40);
  for (
    const file of ["rgb.png", "gray.jpg", "lossy.webp", "lossless.webp", "plain.gif", "24.bmp"]
  ) {
    await assertRejects(
      () => decodeImage(readImage(file), { name: file, maxPixels: 40 * 27 - 1 }),
      TooLargeError,
      `${file}: is 40×27 pixels (0.00108 megapixels), larger than the limit of 0.001079 megapixels`,
    );
  }
});

Deno.test("decodeImage() and imageMemory() refuse options that they would ignore", async () => {
  const bytes = readImage("rgb.png"), shared = { maxPixels: 2000, codecs: {}, signal: null };
  const any = (value: unknown) => value as { maxPixels: number };
  assertEquals((await decodeImage(bytes, any(shared))).width, 40);
  assertEquals(imageMemory(bytes, any(shared)) > 0, true);
  const wrong: [unknown, string][] = [
    [null, "options is null"],
    [{ maxPixels: 0 }, "maxPixels is 0"],
    [{ maxPixel: 1 }, 'an option is "maxPixel"'],
    [{ signal: {} }, "signal is [object Object], must be an AbortSignal"],
    [{ memory: 1e6 }, "memory is 1000000, must be a MemoryBudget"],
    [{ onWarning: true }, "onWarning is true, must be a function"],
    [{ codecs: null }, "codecs is null, must be an object"],
    [
      { codecs: { webp: bytes } },
      "codecs.webp is [object Uint8Array], must be a WebAssembly.Module",
    ],
  ];
  for (const [options, text] of wrong) {
    const decode = () => decodeImage(bytes, any(options));
    await assertRejects(decode, ArgumentError, `decodeImage: ${text}`);
    if (!/option|maxPixels/.test(text)) continue; // imageMemory() uses none of the others
    assertThrows(() => imageMemory(bytes, any(options)), ArgumentError, `imageMemory: ${text}`);
  }
});

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

Deno.test("decodeImage() needs no permission except to read the image", async () => {
  const folder = fileURLToPath(new URL("../fixtures/image/images/", import.meta.url));
  const module = new URL("../../src/image/mod.ts", import.meta.url).href;
  const program = `
    import { decodeImage } from ${JSON.stringify(module)};
    for (const file of Deno.args) {
      const { width, height } = await decodeImage(Deno.readFileSync(file));
      console.log(width, height);
    }`;
  const files = ["gray.jpg", "rgb.png", "lossy.webp", "plain.gif", "24.bmp", "cmyk.jpg"];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-lock",
      `--allow-read=${folder}`,
      `data:application/typescript,${encodeURIComponent(program)}`,
      ...files.map((file) => folder + file),
    ],
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  assertEquals(new TextDecoder().decode(stdout), "40 27\n".repeat(files.length));
});

Deno.test("preprocess.ts, which models import, imports no codec", async () => {
  const entry = new URL("../../src/image/preprocess.ts", import.meta.url).href;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", entry],
    stdin: "null",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const files = modules.map(({ specifier }: { specifier: string }) => specifier.split("/").pop());
  assertEquals(files.sort(), [
    "errors.ts",
    "kinds.ts",
    "options.ts",
    "pixels.ts",
    "preprocess.ts",
    "release.ts",
    "resize.ts",
  ]);
});
