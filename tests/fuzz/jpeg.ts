/** JPEG files made of the segments of real ones, with other headers, tables and scans. */

import { readImage } from "../image/fixtures.ts";
import { checkImage, joinParts, mutateBytes, mutateParts, type Part } from "./images.ts";
import type { FuzzRandom } from "./random.ts";

const files = [
  "baseline-420.jpg",
  "baseline-444.jpg",
  "progressive.jpg",
  "gray.jpg",
  "restart.jpg",
  "cmyk.jpg",
  "orientation-6.jpg",
].map((file) => segments(readImage(file)));

/** Decodes a random JPEG. */
export default async function fuzzJpeg(random: FuzzRandom): Promise<void> {
  const parts = random.pick(files).map((part) => random.chance(0.25) ? change(part, random) : part);
  if (random.chance(0.2)) { // more scans
    const scan = parts.findLastIndex((part) => part[1] === 0xda);
    const count = scan < 0 ? 0 : random.below(300); // a change may have removed all
    for (let i = 0; i < count; i++) parts.splice(scan, 0, parts[scan]);
  }
  if (random.chance(0.1)) parts.splice(1 + random.below(5), 0, ...random.pick(files).slice(1, -1));
  await checkImage(joinParts(random.chance(0.5) ? parts : mutateParts(parts, random), random));
}

/** Changes a field that decoders depend on, or any bytes. */
function change(part: Part, random: FuzzRandom): Part {
  const copy = part.slice(), marker = copy[1];
  const set = (at: number, value: number) => {
    if (at < copy.length) copy[at] = value;
  };
  if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4) {
    switch (random.below(4)) {
      case 0: // size
        set(5 + random.below(4), random.edgy(8));
        break;
      case 1: // components
        set(9, random.below(6));
        break;
      case 2: // sampling factors
        set(11 + 3 * random.below(4), random.edgy(8));
        break;
      case 3: // baseline, progressive, lossless, arithmetic
        set(1, 0xc0 + random.below(16));
    }
    return copy;
  }
  if (marker === 0xda && random.chance(0.7)) { // component, table, first and last coefficient, bits
    const header = copy[2] << 8 | copy[3];
    set(4 + random.below(header), random.edgy(8));
    return copy;
  }
  return mutateBytes(copy, random);
}

/** Splits a file at its markers; scan data stays with its header. */
function segments(bytes: Uint8Array): Part[] {
  const parts: Part[] = [bytes.subarray(0, 2)];
  for (let at = 2; at < bytes.length;) {
    let end = at + 2;
    if (bytes[at + 1] !== 0xd9) end += bytes[at + 2] << 8 | bytes[at + 3];
    const isMarker = (i: number) =>
      bytes[i] === 0xff && (bytes[i + 1] & 0xf8) !== 0xd0 && bytes[i + 1];
    if (bytes[at + 1] === 0xda) { while (end < bytes.length && !isMarker(end)) end++; }
    if (bytes[at + 1] === 0xd9) end = bytes.length;
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}
