import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { ArgumentError, FileError, TooLargeError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { imageMemory } from "../../src/image/header.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { bytesAt, concat, type Place, readCases, readImage } from "./fixtures.ts";

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
