/** A codec that is kept from one picture to the next: what a damaged one does to it stays with that one. */

import { FileError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { assert, assertEquals } from "../assert.ts";
import { concat, countStarts, readImage } from "./fixtures.ts";

const jpegs = ["baseline-444.jpg", "baseline-420.jpg", "progressive.jpg", "restart.jpg"];
const webps = ["lossy.webp", "lossy-alpha.webp", "lossless.webp", "lossless-alpha.webp"];

/** Where a picture's data begins: behind a JPEG's scan header, or a WebP's chunk header. */
function dataOf(bytes: Uint8Array): number {
  const scan = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xda);
  return bytes[0] === 0xff ? scan + 14 : 30;
}

/** The picture cut off, and with bits of its header and of its data changed. */
function* damaged(bytes: Uint8Array): Generator<[kind: string, Uint8Array]> {
  const data = dataOf(bytes);
  for (let tenth = 1; tenth < 10; tenth++) {
    const cut = bytes.subarray(0, Math.ceil(bytes.length * tenth / 10));
    yield ["cut", cut];
    yield ["cut, with an end", concat(cut, [0xff, 0xd9])];
    // a WebP whose chunks and container end where the file does
    const short = bytes.slice(0, cut.length & ~1), view = new DataView(short.buffer);
    view.setUint32(4, short.length - 8, true);
    view.setUint32(16, short.length - 20, true);
    yield ["cut, with a shorter length", short];
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
  Deno.test(`decodeImage() gives a ${format} the same pixels in a kept codec, whatever came before`, async () => {
    const good = files.map(readImage);
    const expected = await Promise.all(good.map((bytes) => decodeImage(bytes)));
    using codecs = countStarts();
    const ends = new Set<string>();
    let next = 0, kept = 0;
    for (const file of files) {
      for (const [kind, bytes] of damaged(readImage(file))) {
        const end = await decodeImage(bytes, { reuse: true, maxPixels: 1e6 }).then(
          () => "pixels",
          (error) => {
            assert(error instanceof FileError, String(error));
            return error.reason.includes("cannot be decoded") ? "no pixels" : "refused";
          },
        );
        ends.add(`${kind}: ${end}`);
        const i = next++ % good.length, before = codecs.starts;
        const after = await decodeImage(good[i], { reuse: true });
        assertEquals(after, expected[i], `${files[i]} after ${file}, ${kind}: ${end}`);
        const started = codecs.starts - before;
        if (end === "no pixels") assertEquals(started, 1, `the codec of ${file}, ${kind}`);
        else kept += 1 - started;
      }
    }
    // pictures of each kind went through a codec, and it was kept for many of those after them
    for (const kind of ["header", "data"]) {
      assert(ends.has(`${kind}: pixels`) && ends.has(`${kind}: no pixels`), [...ends].join(", "));
    }
    assert(kept > 100, `${kept} kept`);
  });
}
