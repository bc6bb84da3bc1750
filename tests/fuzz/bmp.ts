/** BMP files with plausible and implausible headers, palettes, masks and rows. */

import { concat } from "../image/fixtures.ts";
import { checkImage, joinParts, mutateBytes, type Part } from "./images.ts";
import type { FuzzRandom } from "./random.ts";

/** Lengths of bitmap headers: OS/2's two, and Windows' from the oldest to the newest. */
const headerLengths = [12, 64, 40, 52, 56, 108, 124];

/** Decodes a random BMP. */
export default async function fuzzBmp(random: FuzzRandom): Promise<void> {
  const headerBytes = random.chance(0.9) ? random.pick(headerLengths) : random.edgy(9);
  const width = random.chance(0.9) ? 1 + random.below(60) : random.edgy(16);
  const height = random.chance(0.9) ? 1 + random.below(60) : random.edgy(16);
  const bits = random.chance(0.9) ? random.pick([1, 2, 4, 8, 16, 24, 32]) : random.edgy(16);
  const compression = random.pick([0, 0, 0, 3, 3, random.below(8)]);
  const header = bitmapHeader(headerBytes, { width, height, bits, compression }, random);
  const tables = random.bytes(random.pick([0, 0, 8, 12, 16, 64, 768, 1024]));
  const start = 14 + header.length + tables.length;
  const rows = random.bytes(Math.min(Math.ceil(width * bits / 32) * 4 * height, 20_000));
  const stated = random.chance(0.9) ? start : random.edgy(32);
  const fileHeader = concat("BM", uint32(start + rows.length), uint32(0), uint32(stated));
  const parts: Part[] = [fileHeader, header, tables, rows];
  const file = joinParts(parts, random);
  await checkImage(random.chance(0.7) ? file : mutateBytes(file, random));
}

function bitmapHeader(
  length: number,
  { width, height, bits, compression }: {
    readonly width: number;
    readonly height: number;
    readonly bits: number;
    readonly compression: number;
  },
  random: FuzzRandom,
): Part {
  const planes = [1, 0], depth = uint32(bits).slice(0, 2);
  if (length === 12) {
    const sizes = [width, height].flatMap((size) => uint32(size).slice(0, 2));
    return concat(uint32(length), sizes, planes, depth);
  }
  const signed = random.chance(0.2) ? -height : height; // top row first
  const colours = random.chance(0.7) ? 0 : random.edgy(9);
  const fields = [uint32(width), uint32(signed), planes, depth, uint32(compression)];
  const masks = Array.from({ length: 4 }, () => uint32(random.edgy(32)));
  const rest = [uint32(0), uint32(0), uint32(0), uint32(colours), uint32(0), ...masks];
  const header = concat(uint32(length), ...fields, ...rest);
  return concat(header, new Uint8Array(124)).slice(0, Math.max(length, 4));
}

/** A little-endian 32-bit integer. */
function uint32(value: number): number[] {
  return [value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24];
}
