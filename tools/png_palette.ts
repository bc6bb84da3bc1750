/**
 * Writes an image of few colours as a small PNG with a palette.
 *
 * @module
 */

import { crc32, deflateSync } from "node:zlib";
import type { RgbImage } from "../mod.ts";

/**
 * Encodes an image with its 256 most frequent colours, and the nearest of them for each other one.
 */
export function encodePalettePng({ width, height, data }: RgbImage): Uint8Array<ArrayBuffer> {
  const pixels = Array.from(
    { length: width * height },
    (_, i) => data[3 * i] << 16 | data[3 * i + 1] << 8 | data[3 * i + 2],
  );
  const counts = new Map<number, number>();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts].sort(([, a], [, b]) => b - a).slice(0, 256).map(([colour]) => colour);
  const indices = new Map([...counts.keys()].map((colour) => [colour, nearest(palette, colour)]));

  const rows = new Uint8Array((width + 1) * height);
  for (const [i, colour] of pixels.entries()) {
    rows[i + 1 + Math.floor(i / width)] = indices.get(colour)!; // each row begins with a 0: no filter
  }
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 3], 8); // 8 bits, a palette
  return concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("PLTE", Uint8Array.from(palette.flatMap(channels))),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array()),
  ]);
}

const channels = (colour: number) => [colour >> 16, colour >> 8 & 255, colour & 255];

/** The index of the nearest colour. */
function nearest(palette: readonly number[], colour: number): number {
  const [r, g, b] = channels(colour);
  let best = 0, least = Infinity;
  for (const [i, each] of palette.entries()) {
    const [r2, g2, b2] = channels(each), distance = (r - r2) ** 2 + (g - g2) ** 2 + (b - b2) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

function chunk(type: string, contents: Uint8Array): Uint8Array {
  const body = concat([new TextEncoder().encode(type), contents]), numbers = new Uint8Array(8);
  const view = new DataView(numbers.buffer);
  view.setUint32(0, contents.length);
  view.setUint32(4, crc32(body));
  return concat([numbers.subarray(0, 4), body, numbers.subarray(4)]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
