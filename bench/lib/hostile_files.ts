/**
 * Small files that are expensive to decode.
 *
 * @module
 */

import { deflateSync } from "node:zlib";
import { crc32 } from "../../src/io/crc32.ts";

/** The files, by what they are. */
export function hostileFiles(): Record<string, Uint8Array<ArrayBuffer>> {
  return {
    [expensivePng]: png(8000, 8000, 16),
    "PNG of 7900×8000": png(7900, 8000, 8),
    "PNG of 60000×60000": png(60_000, 60_000, 8, 1),
    "JPEG of 8000×8000 with 20000 scans": jpegScans(8000, 8000, 20_000),
    "JPEG of 4000×4000 with 882 scans": jpegScans(4000, 4000, 882),
    "animated WebP of 8000×8000": webp(8000, 8000),
    "text": new TextEncoder().encode("no image"),
    "10 MB of zeros": new Uint8Array(10_000_000),
  };
}

/** The file that is within all limits, and takes the longest to decode. */
export const expensivePng = "RGBA PNG of 16 bits, 8000×8000";

/** A PNG of zeros: RGBA, or grey with one channel. */
function png(width: number, height: number, bits: 8 | 16, channels: 1 | 4 = 4) {
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = bits;
  header[9] = channels === 4 ? 6 : 0;
  const rows = Math.min(height, 8000), row = 1 + width * channels * bits / 8;
  const data = deflateSync(new Uint8Array(Math.min(rows * row, 2 ** 29)));
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", header)];
  return concat([...parts, chunk("IDAT", data), chunk("IEND", new Uint8Array(0))]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(12 + data.length), view = new DataView(result.buffer);
  view.setUint32(0, data.length);
  result.set(new TextEncoder().encode(type), 4);
  result.set(data, 8);
  view.setUint32(8 + data.length, crc32(result.subarray(4, 8 + data.length)));
  return result;
}

/** A progressive grey JPEG with many scans that refine one coefficient. */
function jpegScans(width: number, height: number, scans: number) {
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  const tables = [0xff, 0xdb, 0, 67, 0, ...Array(64).fill(1)];
  const frame = [0xff, 0xc2, 0, 11, 8, ...size, 1, 1, 0x11, 0];
  const huffman = (kind: number) => [0xff, 0xc4, 0, 20, kind, 1, ...Array(15).fill(0), 0];
  const first = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x01, ...Array(8).fill(0)];
  const scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x10, ...Array(8).fill(0)];
  return concat([
    Uint8Array.of(0xff, 0xd8, ...tables, ...frame, ...huffman(0), ...huffman(0x10), ...first),
    ...Array(scans).fill(Uint8Array.from(scan)),
    Uint8Array.of(0xff, 0xd9),
  ]);
}

/** An animated WebP whose only frame is small, on a large canvas. */
function webp(width: number, height: number) {
  const u24 = (value: number) => [value & 255, value >> 8 & 255, value >> 16];
  const u32 = (value: number) => [...u24(value & 0xffffff), value >>> 24];
  const text = (value: string) => [...new TextEncoder().encode(value)];
  const part = (type: string, data: number[]) => [
    ...text(type),
    ...u32(data.length),
    ...data,
    ...data.length % 2 ? [0] : [],
  ];
  const image = part("VP8L", [0x2f, 0, 0, 0, 0, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 8, 8]);
  const frame = [...u24(0), ...u24(0), ...u24(0), ...u24(0), ...u24(100), 0, ...image];
  const body = [
    ...text("WEBP"),
    ...part("VP8X", [2, 0, 0, 0, ...u24(width - 1), ...u24(height - 1)]),
    ...part("ANIM", [0, 0, 0, 0, 0, 0]),
    ...part("ANMF", frame),
  ];
  return Uint8Array.from([...text("RIFF"), ...u32(body.length), ...body]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (result.set(part, at), at + part.length), 0);
  return result;
}
