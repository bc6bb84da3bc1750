/** Files that are damaged or unusual, but which other tools read. */

import { FileError, TooLargeError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { imageMemory } from "../../src/image/header.ts";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "../assert.ts";
import { assertQuick } from "../quick.ts";
import { concat, pngChunk, readCases, readFault, readImage, uint32 } from "./fixtures.ts";
import { scansJpeg } from "./hostile.ts";

interface FaultCase {
  file: string;
  width: number;
  height: number;
  sha256: string;
}

/** Decodes an image, and returns it with its warnings. */
async function decodeWithWarnings(bytes: Uint8Array) {
  const warnings: string[] = [];
  const image = await decodeImage(bytes, { onWarning: (line) => warnings.push(line) });
  return { image, warnings };
}

for (const { file, width, height, sha256 } of readCases<FaultCase>("faults.json")) {
  Deno.test(`decodeImage() returns the same pixels as Pillow for ${file}`, async () => {
    const { image, warnings } = await decodeWithWarnings(readFault(file));
    assertEquals([image.width, image.height], [width, height]);
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(image.data));
    assertEquals(new Uint8Array(digest).toHex(), sha256);
    const damaged = file.endsWith(".png");
    assertEquals(warnings.length > 0, damaged, warnings.join());
  });
}

Deno.test("decodeImage() says what is wrong with a PNG that it decodes all the same", async () => {
  const warningsOf = async (file: string) => (await decodeWithWarnings(readFault(file))).warnings;
  assertEquals(await warningsOf("bad_crc.png"), [
    "image: the PNG is damaged: the IDAT chunk at byte 33 fails its checksum",
  ]);
  assertEquals(await warningsOf("no_iend.png"), [
    "image: the PNG is damaged: it ends without an IEND chunk",
  ]);
});

Deno.test("decodeImage() warns once about the checksums of a PNG", async () => {
  const bytes = readImage("rgb.png"); // has five IDAT chunks
  const view = new DataView(bytes.buffer);
  for (let at = 33; at < bytes.length; at += 12 + view.getUint32(at)) {
    bytes[at + 8 + view.getUint32(at)] ^= 1;
  }
  const { warnings } = await decodeWithWarnings(bytes);
  assertEquals(warnings.length, 1);
});

Deno.test("decodeImage() rejects a PNG whose header or palette has a wrong checksum", async () => {
  const bytes = readImage("palette-8.png");
  for (const [type, at] of [["IHDR", 8], ["PLTE", 33]] as const) {
    const changed = bytes.slice();
    changed[at + 8 + new DataView(bytes.buffer).getUint32(at)] ^= 1;
    await assertRejects(
      () => decodeImage(changed),
      FileError,
      `the PNG is damaged: the ${type} chunk at byte ${at} fails its checksum`,
    );
  }
});

Deno.test("decodeImage() takes black for colours past the palette of a PNG", async () => {
  for (const [bits, row] of [[8, [0, 1, 2]], [4, [0x01, 0x20]], [2, [0b00_01_10_00]]] as const) {
    const rows = Uint8Array.of(0, ...row); // three pixels, not filtered
    const zlib = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
    const png = concat(
      "\x89PNG\r\n\x1a\n",
      pngChunk("IHDR", [...uint32(3), ...uint32(1), bits, 3, 0, 0, 0]),
      pngChunk("PLTE", [1, 2, 3, 4, 5, 6]),
      pngChunk("IDAT", await new Response(zlib).bytes()),
      pngChunk("IEND", []),
    );
    const { data } = await decodeImage(png);
    assertEquals([...data], [1, 2, 3, 4, 5, 6, 0, 0, 0], `${bits} bits`);
  }
});

Deno.test("decodeImage() rejects a PNG whose image data is interrupted", async () => {
  const bytes = readImage("rgb.png");
  const second = 33 + 12 + new DataView(bytes.buffer).getUint32(33);
  for (const type of ["tEXt", "IDaT", "PLTE"]) {
    const other = pngChunk(type, [1, 2, 3]);
    const changed = concat(bytes.subarray(0, second), other, bytes.subarray(second));
    await assertRejects(
      () => decodeImage(changed),
      FileError,
      "the PNG is damaged: other chunks interrupt its image data (IDAT)",
    );
  }
  await assertRejects(() => decodeImage(readFault("x_consecutive_idat.png")), FileError, "IDAT");
});

Deno.test("decodeImage() says that a JPEG has no end marker", async () => {
  const gray = readImage("gray.jpg");
  for (const bytes of [readFault("no_eoi.jpg"), gray.slice(0, -1), gray.slice(0, -2)]) {
    await assertRejects(() => decodeImage(bytes), FileError, "its end marker (EOI) is missing");
  }
});

Deno.test("decodeImage() ignores an EXIF orientation that is not one SHORT", async () => {
  const { image } = await decodeWithWarnings(readFault("exif_le_type1.jpg"));
  assertEquals([image.width, image.height], [64, 48]);
  const bytes = readImage("orientation-6.jpg");
  const tag = bytes.findIndex((byte, i) => byte === 1 && bytes[i + 1] === 0x12); // big-endian
  const size = async (changes: Record<number, number>) => {
    const changed = bytes.slice();
    for (const [offset, value] of Object.entries(changes)) changed[tag + Number(offset)] = value;
    const { width, height } = await decodeImage(changed);
    return [width, height];
  };
  assertEquals(await size({}), [27, 40]);
  for (let type = 0; type <= 13; type++) {
    assertEquals(await size({ 3: type }), type === 3 ? [27, 40] : [40, 27], `${type}`);
  }
  for (const count of [0, 2]) {
    assertEquals(await size({ 7: count }), [40, 27], `count ${count}`);
  }
});

Deno.test("decodeImage() reads the orientation that ImageMagick writes into a PNG as text", async () => {
  const image = readImage("rgb.png");
  const withChunk = (type: string, content: Uint8Array) =>
    concat(image.subarray(0, -12), pngChunk(type, content), image.subarray(-12));
  // little-endian, with one entry: its tag, its type SHORT, one value, 6, padded to four bytes
  const entry = concat([0x12, 1], [3, 0], [1, 0, 0, 0], [6, 0, 0, 0]);
  const exif = concat("II*\0", [8, 0, 0, 0], [1, 0], entry, [0, 0, 0, 0]);
  const digits = Array.from(concat("Exif\0\0", exif), (byte) => byte.toString(16).padStart(2, "0"));
  const text = `\nexif\n      32\n${digits.join("").replace(/.{11}/g, "$&\n")}\n`;
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate"));
  const deflated = new Uint8Array(await new Response(stream).arrayBuffer());
  const expected = withChunk("eXIf", exif), upright = await decodeImage(expected);
  assertEquals([upright.width, upright.height], [27, 40]);
  const keyword = "Raw profile type exif\0";
  for (
    const bytes of [
      withChunk("tEXt", concat(keyword, text)),
      withChunk("zTXt", concat(keyword, [0], deflated)),
      withChunk("zTXt", concat(keyword, [0], deflated.subarray(0, -4))), // without its checksum
    ]
  ) {
    assertEquals(await decodeImage(bytes), upright);
    assert(imageMemory(bytes) >= imageMemory(image) + 3 * 40 * 27, "a turned copy");
  }
  for (const content of [[], [0], [0, 1, 2, 3], concat([0], text)]) {
    const { width } = await decodeImage(withChunk("zTXt", concat(keyword, content)));
    assertEquals(width, 40);
  }
});

Deno.test("decodeImage() rejects a GIF whose first frame ends too early or is damaged", async () => {
  const bytes = readFault("partial.gif"); // its frame has 20×20 pixels, its codes start at byte 36
  const reason = async (change: (copy: Uint8Array) => void) => {
    const copy = bytes.slice();
    change(copy);
    return (await assertRejects(() => decodeImage(copy), FileError)).reason;
  };
  assertEquals(
    await reason((gif) => gif[30] = 40),
    "the GIF is damaged: its image data ends too early",
  );
  assertEquals(
    await reason((gif) => gif[30] = 0),
    "the GIF is damaged: its first frame has no pixels",
  );
  assertEquals(
    await reason((gif) => gif[35] = 12),
    "the GIF is damaged: its codes start with 12 bits",
  );
  assertMatch(
    await reason((gif) => gif.fill(0xff, 38, 50)),
    /^the GIF is damaged: its image data /,
  );
});

Deno.test("decodeImage() rejects an animated WebP whose first frame is missing or misplaced", async () => {
  const bytes = readFault("animated-lossy.webp");
  const frame = bytes.findIndex((_, i) =>
    String.fromCharCode(...bytes.subarray(i, i + 4)) === "ANMF"
  );
  const reason = async (change: (copy: Uint8Array) => void) => {
    const copy = bytes.slice();
    change(copy);
    assertThrows(() => imageMemory(copy), FileError); // before the codec allocates it
    return (await assertRejects(() => decodeImage(copy), FileError)).reason;
  };
  assertEquals(
    await reason((webp) => webp[frame + 8] = 50),
    "the WebP is damaged: its first frame is larger than its canvas",
  );
  assertEquals(
    await reason((webp) => webp[frame + 14]--),
    "the first frame of the WebP has 40×27 pixels, but its header says 39×27",
  );
  assertEquals(
    await reason((webp) => webp[frame + 39] = 0x3f), // the high byte of the width in the image data
    "the first frame of the WebP has 16168×27 pixels, but its header says 40×27",
  );
  assertEquals(
    await reason((webp) => webp[frame + 24] = 88),
    "the WebP is damaged: its first frame has no image data",
  );
});

Deno.test("decodeImage() decodes a progressive JPEG with many scans, if it is small", async () => {
  const { width } = await decodeImage(scansJpeg(100, 80, 882));
  assertEquals(width, 100);
});

Deno.test("decodeImage() rejects a JPEG with too many scans for its size, before it decodes any", async () => {
  for (
    const [width, height, scans] of [
      [4000, 4000, 882],
      [2000, 2000, 882],
      [8000, 8000, 100],
      [65535, 900, 40],
    ]
  ) {
    const bytes = scansJpeg(width, height, scans);
    await assertQuick(1000, () =>
      assertRejects(
        () => decodeImage(bytes, { name: "a.jpg" }),
        TooLargeError,
        "a.jpg: the JPEG has too many scans for its size",
      ));
  }
});

Deno.test("decodeImage() spends little time on a JPEG whose headers list thousands of channels", async () => {
  const frame = new Uint8Array(2 + 65535).fill(1); // its channels have number 1, those of scans 7
  frame.set([0xff, 0xc0, 0xff, 0xff, 8, 0, 8, 0, 8, 255]);
  const scan = new Uint8Array(2 + 516).fill(7);
  scan.set([0xff, 0xda, 516 >> 8, 516 & 255, 255]);
  const bytes = concat(
    Uint8Array.of(0xff, 0xd8),
    frame,
    ...Array.from({ length: 50 }, () => scan),
    Uint8Array.of(0xff, 0xd9),
  );
  await assertQuick(
    1000,
    () => assertRejects(() => decodeImage(bytes), FileError, "the JPEG cannot be decoded"),
  );
});
