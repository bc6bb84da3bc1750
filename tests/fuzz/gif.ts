/** GIF files with plausible and implausible screens, frames, tables and codes. */

import { concat } from "../image/fixtures.ts";
import { checkImage, joinParts, mutateParts, type Part } from "./images.ts";
import type { FuzzRandom } from "./random.ts";

/** Decodes a random GIF. */
export default async function fuzzGif(random: FuzzRandom): Promise<void> {
  const width = random.chance(0.9) ? 1 + random.below(60) : random.edgy(16);
  const height = random.chance(0.9) ? 1 + random.below(60) : random.edgy(16);
  const flags = random.chance(0.7) ? 0x80 | random.below(8) : random.below(256);
  const parts: Part[] = [
    concat(random.pick(["GIF87a", "GIF89a"])),
    concat(uint16(width), uint16(height), [flags, random.below(256), 0]),
    random.bytes(tableBytes(flags)),
  ];
  do {
    while (random.chance(0.4)) parts.push(extension(random));
    parts.push(...frame(width, height, random));
  } while (random.chance(0.3));
  parts.push(concat([0x3b]));
  await checkImage(joinParts(random.chance(0.5) ? parts : mutateParts(parts, random), random));
}

function extension(random: FuzzRandom): Part {
  const control = [0xf9, 4, random.below(256), 0, 0, random.below(256), 0];
  const other = [random.below(256), ...blocks(random.bytes(random.below(300)))];
  return concat([0x21], random.chance(0.5) ? control : other);
}

function frame(width: number, height: number, random: FuzzRandom): Part[] {
  const inside = random.chance(0.9);
  const w = inside ? 1 + random.below(width) : random.edgy(16);
  const h = inside ? 1 + random.below(height) : random.edgy(16);
  const x = inside ? random.below(Math.max(width - w, 0) + 1) : random.edgy(16);
  const y = inside ? random.below(Math.max(height - h, 0) + 1) : random.edgy(16);
  const flags = random.chance(0.5) ? random.pick([0, 0x40]) : random.below(256);
  const bits = random.chance(0.8) ? 2 + random.below(7) : random.below(256);
  const bytes = random.chance(0.6)
    ? codes(Math.min(w * h, 5000), Math.min(bits, 8), random)
    : random.bytes(random.below(3000));
  return [
    concat([0x2c], uint16(x), uint16(y), uint16(w), uint16(h), [flags]),
    random.bytes(tableBytes(flags)),
    concat([bits], blocks(bytes)),
  ];
}

/** Codes that are mostly valid: a model of the decoder's table chooses them. */
function codes(pixels: number, rootBits: number, random: FuzzRandom): number[] {
  const clear = 1 << rootBits, bytes: number[] = [];
  let next = clear + 2, bits = rootBits + 1, buffer = 0, filled = 0, first = true;
  const write = (code: number) => {
    buffer |= code << filled;
    for (filled += bits; filled >= 8; filled -= 8, buffer >>>= 8) bytes.push(buffer & 255);
  };
  write(clear);
  for (let i = 0; i < pixels; i++) {
    if (random.chance(0.01)) {
      write(clear);
      [next, bits, first] = [clear + 2, rootBits + 1, true];
    }
    const table = first || random.chance(0.5) ? clear : next + 1;
    let code = random.below(table);
    if (code === clear || code === clear + 1) code = random.chance(0.05) ? code : 0;
    write(code);
    if (!first && next < 4096 && ++next === 1 << bits && bits < 12) bits++;
    first = false;
  }
  write(clear + 1);
  bytes.push(buffer & 255);
  return bytes;
}

function blocks(bytes: ArrayLike<number>): number[] {
  const all = Array.from(bytes), out: number[] = [];
  for (let at = 0; at < all.length; at += 255) {
    const block = all.slice(at, at + 255);
    out.push(block.length, ...block);
  }
  return [...out, 0];
}

function tableBytes(flags: number): number {
  return flags & 0x80 ? 3 << (flags & 7) + 1 : 0;
}

function uint16(value: number): number[] {
  return [value & 255, value >> 8];
}
