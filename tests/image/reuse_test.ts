/** Reused codecs: a damaged image must not affect the images after it. */

import { FileError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { assert, assertEquals } from "../assert.ts";
import { concat, countStarts, readImage } from "./fixtures.ts";

const jpegs = ["baseline-444.jpg", "baseline-420.jpg", "progressive.jpg", "restart.jpg"];
const webps = ["lossy.webp", "lossy-alpha.webp", "lossless.webp", "lossless-alpha.webp"];

/** Offset of the image data: after a JPEG's scan header, or a WebP's chunk header. */
function dataOf(bytes: Uint8Array): number {
  const scan = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xda);
  return bytes[0] === 0xff ? scan + 14 : 30;
}

/** Damages an image: truncates it, and flips bits of its header and its data. */
function* damaged(bytes: Uint8Array): Generator<[kind: string, Uint8Array]> {
  const data = dataOf(bytes);
  for (let tenth = 1; tenth < 10; tenth++) {
    const start = bytes.subarray(0, Math.ceil(bytes.length * tenth / 10));
    yield ["truncated", start];
    yield ["truncated, with an end marker", concat(start, [0xff, 0xd9])];
    // A WebP with lengths that fit the truncated file.
    const short = bytes.slice(0, start.length & ~1), view = new DataView(short.buffer);
    view.setUint32(4, short.length - 8, true);
    view.setUint32(16, short.length - 20, true);
    yield ["truncated, with matching lengths", short];
  }
  for (const [kind, start, end] of [["header", 2, data], ["data", data, bytes.length]] as const) {
    for (let i = 0; i < 80; i++) {
      const changed = bytes.slice();
      changed[start + Math.floor((end - start) * i / 80)] ^= 1 << i % 8;
      yield [kind, changed];
    }
  }
}

for (const [format, files] of [["JPEG", jpegs], ["WebP", webps]] as const) {
  Deno.test(`decodeImage() with reuse decodes a ${format} correctly after any damaged image`, async () => {
    const good = files.map(readImage);
    const expected = await Promise.all(good.map((bytes) => decodeImage(bytes)));
    using codecs = countStarts();
    const outcomes = new Set<string>();
    let next = 0, reused = 0;
    for (const file of files) {
      for (const [kind, bytes] of damaged(readImage(file))) {
        const outcome = await decodeImage(bytes, { reuse: true, maxPixels: 1e6 }).then(
          () => "pixels",
          (error) => {
            assert(error instanceof FileError, String(error));
            return error.reason.includes("cannot be decoded") ? "no pixels" : "rejected";
          },
        );
        outcomes.add(`${kind}: ${outcome}`);
        const i = next++ % good.length, before = codecs.starts;
        const after = await decodeImage(good[i], { reuse: true });
        assertEquals(after, expected[i], `${files[i]} after ${file}, ${kind}: ${outcome}`);
        const started = codecs.starts - before;
        if (outcome === "no pixels") assertEquals(started, 1, `the codec of ${file}, ${kind}`);
        else reused += 1 - started;
      }
    }
    // The test is only worth something if both outcomes occurred, and codecs were reused.
    for (const kind of ["header", "data"]) {
      for (const outcome of ["pixels", "no pixels"]) {
        assert(outcomes.has(`${kind}: ${outcome}`), [...outcomes].join(", "));
      }
    }
    assert(reused > 100, `${reused} reused`);
  });
}
