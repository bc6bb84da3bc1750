/** Makes images that take much more time or memory than their files suggest. */

import { joinBytes } from "../bytes.ts";
import { concat, pngChunk, uint32 } from "./fixtures.ts";

/** A segment of a JPEG. */
function segment(marker: number, content: number[]): number[] {
  return [0xff, marker, (content.length + 2) >> 8, (content.length + 2) & 255, ...content];
}

/** Bits as bytes of scan data: padded with ones, 0xff escaped. */
function scanData(bits: string): number[] {
  const padded = bits + "1".repeat((8 - bits.length % 8) % 8), bytes: number[] = [];
  for (let i = 0; i < padded.length; i += 8) {
    const byte = parseInt(padded.slice(i, i + 8), 2);
    bytes.push(byte);
    if (byte === 0xff) bytes.push(0);
  }
  return bytes;
}

/**
 * A valid progressive grey JPEG, whose scans after the first say "nothing more" for every block.
 */
export function scansJpeg(width: number, height: number, scans: number): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const run = scanData(("0" + "1".repeat(14)).repeat(Math.ceil(blocks / 32767)));
  const last = [...segment(0xda, [1, 1, 0, 1, 63, 0]), ...run];
  const parts: number[][] = [
    [0xff, 0xd8],
    segment(0xdb, [0, ...new Array(64).fill(16)]),
    segment(0xc2, [8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0]),
    segment(0xc4, [0, 1, ...new Array(15).fill(0), 0]), // DC: one code, no difference
    segment(0xc4, [0x10, 1, ...new Array(15).fill(0), 0xe0]), // AC: one code, a run of blocks
    segment(0xda, [1, 1, 0, 0, 0, 0]),
    new Array(Math.ceil(blocks / 8)).fill(0),
  ];
  for (let scan = 0; scan < scans; scan++) {
    // First regular ones: 63 coefficients, 14 bits.
    const bit = 13 - Math.floor(scan / 63), coefficient = 1 + scan % 63;
    const approximation = bit === 13 ? bit : (bit + 1) << 4 | bit;
    if (bit < 0) parts.push(last);
    else {
      parts.push(segment(0xda, [1, 1, 0, coefficient, coefficient, approximation]), run);
    }
  }
  parts.push([0xff, 0xd9]);
  return joinBytes(parts);
}

/** An RGB PNG of this size, whose image data inflates to this many bytes. */
export async function inflatingPng(
  width: number,
  height: number,
  inflatedBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let left = inflatedBytes;
  const zeros = new ReadableStream<BufferSource>({
    pull(controller) {
      const length = Math.min(left, 2 ** 20);
      if (length === 0) return controller.close();
      left -= length;
      controller.enqueue(new Uint8Array(length));
    },
  });
  const data = await new Response(zeros.pipeThrough(new CompressionStream("deflate"))).bytes();
  return concat(
    "\x89PNG\r\n\x1a\n",
    pngChunk("IHDR", [...uint32(width), ...uint32(height), 8, 2, 0, 0, 0]),
    pngChunk("IDAT", data),
    pngChunk("IEND", []),
  );
}

/** A black lossless WebP of 1024×1024 pixels, with 65,536 groups of Huffman codes. */
export function groupsWebp(): Uint8Array<ArrayBuffer> {
  const data = [0x2f];
  let buffer = 0, filled = 0;
  const write = (value: number, bits: number) => {
    buffer |= value << filled;
    for (filled += bits; filled >= 8; filled -= 8, buffer >>>= 8) data.push(buffer & 255);
  };
  /** Codes whose only symbol is 0. */
  const writeZeros = (count: number) => {
    for (let i = 0; i < count; i++) write(1, 4);
  };
  write(1023, 14);
  write(1023, 14);
  write(0, 4); // no alpha, version 0
  write(0b100, 3); // no transform, no colour cache, but several groups
  write(0, 3); // blocks of 4×4 pixels
  write(0, 1); // the image of groups has no colour cache
  for (const isGreen of [true, false]) { // 256 symbols of 8 bits
    write(8 << 1, 5); // lengths of 12 code lengths, of which only that of 8 is not 0
    for (let i = 0; i < 12; i++) write(Number(i === 11), 3);
    write(Number(isGreen), 1);
    if (isGreen) write(3 | 254 << 3, 11); // the first 256 symbols
  }
  writeZeros(3); // blue, alpha and distance
  for (let group = 0; group < 2 ** 16; group++) write(group, 16);
  writeZeros(5 * 2 ** 16);
  write(0, 15);
  if (data.length % 2) data.push(0);
  const int32 = (value: number) => uint32(value).reverse();
  const chunk = concat("VP8L", int32(data.length), data);
  return concat("RIFF", int32(4 + chunk.length), "WEBP", chunk);
}
