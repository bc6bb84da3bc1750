/**
 * Writes PNG files (W3C PNG 3).
 *
 * @module
 */

import { crc32 } from "../io/crc32.ts";
import { pngSignature } from "./formats/png_chunks.ts";
import { paeth } from "./paeth.ts";
import { checkPixels, type RgbImage } from "./pixels.ts";

/** Bytes of a pixel. */
const channels = 3;
/** Bytes to compress at a time. */
const pieceBytes = 2 ** 16;

/**
 * Writes an image as a PNG of 8-bit RGB. It works wherever `CompressionStream` does: in Deno, Node and
 * browsers.
 *
 * @returns The bytes of the file.
 * @throws {ArgumentError} When `data` does not have `width × height × 3` bytes.
 *
 * @example
 * ```ts
 * import { encodePng } from "./encode_png.ts";
 *
 * const png = await encodePng({ width: 1, height: 1, data: Uint8Array.of(200, 100, 50) });
 * console.log(png.length, png.subarray(1, 4)); // 69 bytes, which start with "PNG"
 * ```
 */
export async function encodePng(image: RgbImage): Promise<Uint8Array<ArrayBuffer>> {
  checkPixels("encodePng", image, 3);
  const parts = [
    Uint8Array.from(pngSignature, (letter) => letter.charCodeAt(0)),
    ...chunk("IHDR", headerOf(image)),
    ...chunk("IDAT", await deflate(filteredRows(image))),
    ...chunk("IEND", new Uint8Array()),
  ];
  const file = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** The header. Its last three bytes are 0: deflate, adaptive filters, not interlaced. */
function headerOf({ width, height }: RgbImage): Uint8Array<ArrayBuffer> {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits of a sample
  header.setUint8(9, 2); // RGB
  return new Uint8Array(header.buffer);
}

/** Without blobs, which Deno frees late, and in small pieces, which do not block a page. */
async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new CompressionStream("deflate");
  const result = new Response(readable).arrayBuffer(); // many browsers lack bytes()
  const writer = writable.getWriter();
  for (let at = 0; at < bytes.length;) {
    await writer.write(bytes.subarray(at, at += pieceBytes));
  }
  await writer.close();
  return new Uint8Array(await result);
}

/** A chunk: its length, its type, its data, and the checksum of the last two. */
function chunk(type: string, data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const name = new TextEncoder().encode(type);
  return [uint32(data.length), name, data, uint32(crc32(data, crc32(name)))];
}

function uint32(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/**
 * The rows, each after the number of its filter: the one whose differences have the smallest sum of
 * magnitudes (what the specification recommends in "Filter selection").
 */
function filteredRows({ width, height, data }: RgbImage): Uint8Array<ArrayBuffer> {
  const length = width * channels, out = new Uint8Array(height * (length + 1));
  let above = new Uint8Array(length);
  const tries = filters.map(() => new Uint8Array(length));
  for (let y = 0; y < height; y++) {
    const row = Uint8Array.from(data.subarray(y * length, (y + 1) * length));
    let best = 0, least = Infinity;
    for (const [i, predict] of filters.entries()) {
      const sum = filterRow(tries[i], row, above, predict);
      if (sum < least) [best, least] = [i, sum];
    }
    out[y * (length + 1)] = best;
    out.set(tries[best], y * (length + 1) + 1);
    above = row;
  }
  return out;
}

/** The predictions of PNG's five filters, by the numbers of the filters. */
const filters: readonly ((left: number, above: number, aboveLeft: number) => number)[] = [
  () => 0,
  (left) => left,
  (_, above) => above,
  (left, above) => left + above >> 1,
  paeth,
];

/** Filters a row, and returns the sum of the magnitudes of its differences. */
function filterRow(
  out: Uint8Array,
  row: Uint8Array,
  above: Uint8Array,
  predict: typeof filters[number],
): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const left = i < channels ? 0 : row[i - channels];
    const aboveLeft = i < channels ? 0 : above[i - channels];
    const difference = row[i] - predict(left, above[i], aboveLeft) & 0xff;
    out[i] = difference;
    sum += difference < 128 ? difference : 256 - difference;
  }
  return sum;
}
