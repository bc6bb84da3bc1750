/** Damaged files, and what the errors say about them. */

import { decodeImage } from "../../src/image/decode.ts";
import { crc32 } from "../../src/io/crc32.ts";
import { ArgumentError, FileError } from "../../src/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { concat, pngChunk, readImage, uint32 } from "./fixtures.ts";

/** Asserts that decoding throws a FileError, and returns its reason. */
async function failure(bytes: Uint8Array): Promise<string> {
  const error = await assertRejects(() => decodeImage(bytes, { name: "cat" }), FileError);
  assertEquals(error.file, "cat");
  assert(!error.message.includes("\n"), error.message);
  return error.reason;
}

const truncated = "is truncated (incomplete copy or download?)";
const noEnd = "is truncated: its end marker (EOI) is missing, and maybe data before it";

for (
  const [format, file] of [
    ["JPEG", "baseline-444.jpg"],
    ["JPEG", "progressive.jpg"],
    ["JPEG", "restart.jpg"],
    ["JPEG", "thumbnail.jpg"],
    ["JPEG", "orientation-6.jpg"],
    ["JPEG", "cmyk.jpg"],
    ["PNG", "rgb.png"],
    ["PNG", "palette-transparent-interlaced.png"],
    ["WebP", "lossy.webp"],
    ["WebP", "lossless-alpha.webp"],
    ["WebP", "animated.webp"],
    ["GIF", "plain.gif"],
    ["BMP", "24.bmp"],
    ["BMP", "palette.bmp"],
  ]
) {
  Deno.test(`decodeImage() rejects ${file} truncated at every tenth`, async () => {
    const bytes = readImage(file);
    const lengths = Array.from({ length: 9 }, (_, i) => Math.ceil(bytes.length * (i + 1) / 10));
    // The last byte of a PNG or GIF holds no pixels.
    if (format !== "PNG" && format !== "GIF") lengths.push(bytes.length - 1);
    for (const length of lengths) {
      const reason = await failure(bytes.subarray(0, length));
      const expected = format === "JPEG" && reason !== `the JPEG ${truncated}` ? noEnd : truncated;
      assertEquals(reason, `the ${format} ${expected}`, `${length}`);
    }
  });

  Deno.test(`decodeImage() returns pixels or throws a FileError for changed bytes in ${file}`, async () => {
    const bytes = readImage(file);
    for (let i = 0; i < 40; i++) {
      const changed = bytes.slice();
      changed[Math.floor(bytes.length * i / 40)] ^= 1 << i % 8;
      try {
        await decodeImage(changed, { maxPixels: 1e6 });
      } catch (error) {
        assert(error instanceof FileError, String(error));
      }
    }
    await decodeImage(bytes); // the failures left nothing behind
  });
}

Deno.test("decodeImage() rejects an empty file", async () => {
  assertEquals(await failure(new Uint8Array()), "is empty");
});

const supported = "a supported image (JPEG, PNG, WebP, GIF, BMP)";

Deno.test("decodeImage() rejects files that are not images", async () => {
  for (const text of ["hello", "B", "BM but not a bitmap at all", "\x89", "\xff\xd8", "RIFF"]) {
    assertEquals(await failure(concat(text)), `is not ${supported}`, text);
  }
});

Deno.test("decodeImage() names well-known file types that it does not support", async () => {
  for (
    const [start, what] of [
      ["%PDF-1.7", "a PDF"],
      ["II*\0\x08\0\0\0", "a TIFF"],
      ["MM\0*\0\0\0\x08", "a TIFF"],
      ["\0\0\0\x18ftypheic", "a HEIC image"],
      ["\0\0\0\x18ftypavif", "an AVIF image"],
      ["\0\0\0\x18ftypisom", "a video"],
      ["\xff\x0a\0\0", "a JPEG XL image"],
      ["8BPS\0\x01", "a Photoshop file"],
      ["\0\0\x01\0\x01\0", "an icon"],
      ["PK\x03\x04", "a ZIP archive (or PyTorch weights)"],
      ["\x1f\x8b\x08", "a gzip archive"],
      ['<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing"],
      ['\xef\xbb\xbf<?xml version="1.0"?>\n<svg>', "an SVG drawing"],
      ["\n<!DOCTYPE html><title>404</title>", "a web page"],
    ]
  ) {
    assertEquals(await failure(concat(start)), `is ${what}, not ${supported}`);
  }
});

Deno.test("decodeImage() rejects a PNG with changed line endings", async () => {
  const bytes = readImage("rgb.png");
  assertEquals(
    await failure(concat(bytes.subarray(0, 4), "\n\x1a\n", bytes.subarray(8))),
    "the PNG is damaged: its line endings were changed (transferred as text?)",
  );
});

/** An 8-bit RGB PNG with this size in its header and these raw rows, which need not match. */
async function pngOf(width: number, height: number, raw: Uint8Array): Promise<Uint8Array> {
  const zlib = new Blob([new Uint8Array(raw)]).stream().pipeThrough(
    new CompressionStream("deflate"),
  );
  return concat(
    "\x89PNG\r\n\x1a\n",
    pngChunk("IHDR", [...uint32(width), ...uint32(height), 8, 2, 0, 0, 0]),
    pngChunk("IDAT", new Uint8Array(await new Response(zlib).arrayBuffer())),
    pngChunk("IEND", []),
  );
}

Deno.test("decodeImage() rejects a PNG of 30000×30000 before it allocates memory", async () => {
  const bytes = await pngOf(30000, 30000, new Uint8Array(100));
  const { external } = Deno.memoryUsage();
  assertEquals(
    await failure(bytes),
    "is 30000×30000 pixels (900 megapixels), larger than the limit of 64 megapixels",
  );
  assert(Deno.memoryUsage().external - external < 2 ** 26, "the pixels would take 2.7 GB");
});

Deno.test("decodeImage() rejects a size of zero in every format", async () => {
  const edits: [string, string, (view: DataView) => void][] = [
    ["rgb.png", "PNG has a size of 0×27", (view) => view.setUint32(16, 0)],
    ["lossy.webp", "WebP has a size of 40×0", (view) => view.setUint16(28, 0)],
    ["24.bmp", "BMP has a size of 0×27", (view) => view.setUint32(18, 0)],
  ];
  for (const [file, size, edit] of edits) {
    const bytes = readImage(file);
    edit(new DataView(bytes.buffer));
    assertEquals(await failure(bytes), `the ${size} pixels`);
  }
  const jpeg = readImage("gray.jpg");
  const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
  jpeg.fill(0, frame + 5, frame + 7);
  assertEquals(await failure(jpeg), "the JPEG has a size of 40×0 pixels");
});

Deno.test("decodeImage() rejects a PNG with too little data, no zlib data, or an unknown filter", async () => {
  const [width, height] = [4, 3];
  const raw = new Uint8Array(height * (1 + width * 3));
  await decodeImage(await pngOf(width, height, raw));
  await decodeImage(await pngOf(width, height, concat(raw, raw))); // extra data is ignored
  assertEquals(
    await failure(await pngOf(width, height, raw.subarray(1))),
    "the PNG is damaged: its image data ends too early",
  );
  raw[0] = 5;
  assertEquals(
    await failure(await pngOf(width, height, raw)),
    "the PNG is damaged: a row uses an unknown filter",
  );
  const header = readImage("rgb.png").subarray(0, 33);
  assertEquals(
    await failure(concat(header, pngChunk("IDAT", [1, 2, 3, 4]), pngChunk("IEND", []))),
    "the PNG is damaged: its image data cannot be decompressed",
  );
  assertEquals(
    await failure(concat(header, pngChunk("IEND", []))),
    "the PNG is damaged: it has no image data",
  );
});

Deno.test("decodeImage() rejects a palette PNG without a palette", async () => {
  const bytes = readImage("gray-8.png");
  bytes[25] = 3;
  bytes.set(uint32(crc32(bytes.subarray(12, 29))), 29);
  assertEquals(await failure(bytes), "the PNG is damaged: its palette is missing");
});

Deno.test("decodeImage() rejects a JPEG with an end marker but missing data", async () => {
  const bytes = readImage("baseline-444.jpg");
  assertEquals(
    await failure(concat(bytes.subarray(0, -200), [0xff, 0xd9])),
    "the JPEG is damaged: its image data ends too early",
  );
});

Deno.test("decodeImage() warns about damage inside a JPEG, and decodes it", async () => {
  const bytes = readImage("baseline-444.jpg");
  const warnings: string[] = [];
  const image = await decodeImage(concat(bytes.subarray(0, -2), [1, 2, 3], [0xff, 0xd9]), {
    name: "cat.jpg",
    onWarning: (message) => warnings.push(message),
  });
  assertEquals(warnings.length, 1);
  assertMatch(
    warnings[0],
    /^cat\.jpg: the JPEG is damaged: Corrupt JPEG data: \d extraneous bytes before marker 0xd9$/,
  );
  assertEquals(image, await decodeImage(bytes));
});

Deno.test("decodeImage() rejects JPEGs with no frame, no scan, two frames or another process", async () => {
  const bytes = readImage("gray.jpg");
  const at = (marker: number) =>
    bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === marker);
  const frame = at(0xc0), scan = at(0xda);
  const frameEnd = frame + 2 + (bytes[frame + 2] << 8 | bytes[frame + 3]);
  const end = [0xff, 0xd9];
  assertEquals(
    await failure(concat(bytes.subarray(0, frame), bytes.subarray(frameEnd))),
    "the JPEG is damaged: it has no frame header",
  );
  assertEquals(
    await failure(concat(bytes.subarray(0, scan), end)),
    "the JPEG is damaged: it has no image data",
  );
  assertEquals(
    await failure(concat(bytes.subarray(0, frameEnd), bytes.subarray(frame))),
    "the JPEG is damaged: it has 2 frame headers",
  );
  const deep = bytes.slice();
  deep[frame + 4] = 12;
  assertEquals(await failure(deep), "is a JPEG with 12 bits per sample; only 8 are supported");
  const lossless = bytes.slice();
  lossless[frame + 1] = 0xc3;
  assertEquals(
    await failure(lossless),
    "the JPEG cannot be decoded: Unsupported JPEG process: SOF type 0xc3",
  );
});

Deno.test("decodeImage() rejects a BMP whose pixels have no colours", async () => {
  const bytes = readImage("32.bmp");
  bytes[30] = 3; // masks, here in the pixels
  bytes.fill(0, 54, 58);
  assertEquals(await failure(bytes), "the BMP is damaged: a colour has no bits");
  bytes[30] = 0;
  bytes[28] = 5;
  assertEquals(await failure(bytes), "the BMP is damaged: it has 5 bits per pixel");
});

Deno.test("decodeImage() rejects files of very many chunks or segments", async () => {
  const withParts = (file: Uint8Array, at: number, part: Uint8Array) => {
    const bytes = new Uint8Array(file.length + part.length * 2 ** 16);
    bytes.set(file.subarray(0, at));
    for (let i = 0; i < 2 ** 16; i++) bytes.set(part, at + i * part.length);
    bytes.set(file.subarray(at), bytes.length - file.length + at);
    return bytes;
  };
  const png = withParts(readImage("rgb.png"), 33, pngChunk("tEXt", []));
  assertEquals(await failure(png), "the PNG is damaged: it has more than 65536 chunks");
  const jpeg = withParts(readImage("gray.jpg"), 2, Uint8Array.of(0xff, 0xe0, 0, 2));
  assertEquals(await failure(jpeg), "the JPEG is damaged: it has more than 65536 segments");
  const still = readImage("lossless.webp");
  const webp = withParts(still, still.length, concat("JUNK", uint32(0)));
  new DataView(webp.buffer).setUint32(4, webp.length - 8, true);
  assertEquals(await failure(webp), "the WebP is damaged: it has more than 65536 chunks");
});

Deno.test("decodeImage() rejects a WebP whose canvas and image differ in size", async () => {
  const bytes = readImage("lossy-alpha.webp");
  bytes[24] = 100; // canvas width − 1
  assert((await failure(bytes)).startsWith("the WebP cannot be decoded"));
});

Deno.test("decodeImage() says what to do when the runtime has no decoder", async () => {
  const original = globalThis.createImageBitmap;
  // deno-lint-ignore no-explicit-any
  (globalThis as any).createImageBitmap = undefined;
  try {
    const compressed = readImage("palette.bmp");
    compressed[30] = 1; // run lengths
    for (
      const [bytes, what] of [
        [compressed, "compressed BMP"],
        [readImage("cmyk.jpg"), "CMYK JPEG"],
      ] as const
    ) {
      assertEquals(
        await failure(bytes),
        `is a ${what}, which this runtime cannot decode (it has no createImageBitmap); ` +
          `convert it to PNG or RGB JPEG`,
      );
    }
  } finally {
    globalThis.createImageBitmap = original;
  }
});

Deno.test("decodeImage() rejects invalid arguments", async () => {
  const bytes = readImage("rgb.png");
  for (const maxPixels of [0, -1, NaN]) {
    await assertRejects(() => decodeImage(bytes, { maxPixels }), ArgumentError, "maxPixels");
  }
  // deno-lint-ignore no-explicit-any
  await assertRejects(() => decodeImage("cat.jpg" as any), ArgumentError, "bytes is");
});
