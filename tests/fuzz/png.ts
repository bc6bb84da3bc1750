/** PNG files with plausible and implausible headers, chunks and rows. */

import { concat, pngChunk, uint32 } from "../image/fixtures.ts";
import { checkImage, joinParts, mutateBytes, mutateParts, type Part } from "./images.ts";
import type { FuzzRandom } from "./random.ts";

/** Decodes a random PNG. */
export default async function fuzzPng(random: FuzzRandom): Promise<void> {
  const valid = random.chance(0.7);
  const width = valid ? 1 + random.below(40) : random.edgy(random.pick([8, 16, 32]));
  const height = valid ? 1 + random.below(40) : random.edgy(random.pick([8, 16, 32]));
  const [colour, bits] = valid
    ? random.pick([[0, 1], [0, 8], [0, 16], [2, 8], [2, 16], [3, 2], [3, 8], [4, 8], [6, 8], [
      6,
      16,
    ]])
    : [random.below(8), random.pick([1, 2, 4, 8, 16, random.below(256)])];
  const interlaced = random.chance(0.3) ? 1 : 0;
  const method = random.chance(0.05) ? random.below(256) : 0;
  const header = [...uint32(width), ...uint32(height), bits, colour, method, 0, interlaced];

  // Some more or fewer rows than needed, with mostly valid filters.
  const samples = [1, 0, 3, 1, 2, 0, 4][colour] ?? 1;
  const row = Math.min(1 + Math.ceil(width * samples * bits / 8), 4000);
  const rows = Math.min(height + (random.chance(0.3) ? random.below(9) - 4 : 0), 100);
  const raw = new Uint8Array(Math.max(0, row * rows + (interlaced ? 60 : 0)));
  const noise = random.bytes(64);
  for (let i = 0; i < raw.length; i++) {
    raw[i] = i % row === 0
      ? (random.chance(0.02) ? random.below(256) : random.below(5))
      : noise[i % 64];
  }
  if (interlaced) raw.fill(random.below(5)); // row lengths differ: every byte is a filter
  const zlib = new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate"));
  let data: Uint8Array = await new Response(zlib).bytes();
  if (random.chance(0.15)) data = mutateBytes(data, random);

  const parts: Part[] = [concat("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", header)];
  const optional = () => {
    while (random.chance(0.2)) {
      const types = ["tEXt", "zTXt", "gAMA", "eXIf", "tRNS", "acTL", "fcTL", "fdAT", "zzzz"];
      const type = random.pick(types), content = random.bytes(random.below(40));
      const keyword = /^(tEXt|zTXt)$/.test(type) ? "Raw profile type exif\0" : "";
      parts.push(pngChunk(type, concat(keyword, content)));
    }
  };
  optional();
  if (colour === 3 || random.chance(0.1)) {
    parts.push(pngChunk("PLTE", random.bytes(random.pick([0, 3, 12, 768, random.below(800)]))));
  }
  optional();
  for (let at = 0; at < data.length;) {
    const length = random.chance(0.5) ? data.length : random.below(data.length) + random.below(2);
    parts.push(pngChunk("IDAT", data.subarray(at, at + length)));
    at += length;
  }
  optional();
  parts.push(pngChunk("IEND", []));
  await checkImage(joinParts(random.chance(0.5) ? parts : mutateParts(parts, random), random));
}
