/** WebP files made of the chunks of real ones, with other headers, frames and lengths. */

import { concat, readFault, readImage } from "../image/fixtures.ts";
import { checkImage, joinParts, mutateBytes, mutateParts, type Part } from "./images.ts";
import type { FuzzRandom } from "./random.ts";

const files = [
  ...["lossy.webp", "lossy-alpha.webp", "lossless.webp", "lossless-alpha.webp"].map(readImage),
  ...["animated.webp", "orientation-8.webp"].map(readImage),
  ...["animated-lossy-alpha.webp", "animated-lossless.webp"].map(readFault),
].map((bytes) => chunks(bytes, 12));
const images = files.flat().filter((chunk) => /^(VP8 |VP8L|ALPH)/.test(typeOf(chunk)));

/** Decodes a random WebP. */
export default async function fuzzWebp(random: FuzzRandom): Promise<void> {
  let parts = random.pick(files).map((part) => random.chance(0.3) ? change(part, random) : part);
  if (random.chance(0.3)) parts.unshift(extendedHeader(random));
  if (random.chance(0.3)) parts.push(frame(random));
  if (random.chance(0.5)) parts = mutateParts(parts, random);
  let length = 4 + parts.reduce((sum, part) => sum + part.length, 0);
  if (random.chance(0.1)) length = random.edgy(random.pick([8, 16, 32]));
  const header = concat("RIFF", uint32(length), "WEBP");
  await checkImage(joinParts([header, ...parts], random));
}

function extendedHeader(random: FuzzRandom): Part {
  const side = () => random.chance(0.7) ? random.below(64) : random.edgy(24);
  return chunk("VP8X", concat([random.below(256), 0, 0, 0], uint24(side()), uint24(side())));
}

function frame(random: FuzzRandom): Part {
  const side = () => random.chance(0.7) ? random.pick([39, 26, 0]) : random.edgy(24);
  const place = () => random.chance(0.7) ? random.below(10) : random.edgy(24);
  const header = [place(), place(), side(), side(), 100].flatMap(uint24);
  const content = [random.pick(images), random.pick(images)].slice(random.below(2));
  return chunk("ANMF", concat(header, [random.below(4)], ...content));
}

/** Changes the type, the length or the content of a chunk. */
function change(part: Part, random: FuzzRandom): Part {
  const action = random.below(5);
  if (action === 0) {
    return concat(random.pick(["VP8 ", "VP8L", "VP8X", "ALPH", "ANMF", "EXIF"]), part.subarray(4));
  }
  if (action === 1) return concat(part.subarray(0, 4), uint32(random.edgy(32)), part.subarray(8));
  const changed = mutateBytes(part.subarray(8, random.chance(0.7) ? 28 : part.length), random);
  const content = concat(changed, part.subarray(8 + changed.length));
  return chunk(typeOf(part), content);
}

/** Splits the chunks from an offset on. */
function chunks(bytes: Uint8Array, from: number): Part[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), parts: Part[] = [];
  for (let at = from; at < bytes.length;) {
    const length = view.getUint32(at + 4, true), end = at + 8 + length + length % 2;
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}

function typeOf(part: Part): string {
  return String.fromCharCode(...part.subarray(0, 4));
}

function chunk(type: string, content: Uint8Array): Part {
  return concat(type, uint32(content.length), content, content.length % 2 ? [0] : []);
}

function uint24(value: number): number[] {
  return [value & 255, value >> 8 & 255, value >> 16 & 255];
}

function uint32(value: number): number[] {
  return [...uint24(value), value >>> 24];
}
