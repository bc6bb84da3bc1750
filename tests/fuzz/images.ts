/** What image fuzzers share: the check of an input, and mutations. */

import { FileError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { imageMemory } from "../../src/image/header.ts";
import { assert } from "../assert.ts";
import { joinBytes } from "../bytes.ts";
import type { FuzzRandom } from "./random.ts";

const maxPixels = 1e6;
/** Generous: other processes may keep the processors busy. */
const maxMs = 5000;
/** For garbage that was not collected yet. */
const spareBytes = 256 * 2 ** 20;

/** Decodes an image. Asserts pixels or a FileError, within the time and memory of a small image. */
export async function checkImage(bytes: Uint8Array): Promise<void> {
  const start = performance.now(), { rss } = Deno.memoryUsage();
  let memory = 0;
  try {
    memory = imageMemory(bytes, { maxPixels });
    const { width, height, data } = await decodeImage(bytes, { maxPixels });
    assert(width * height <= maxPixels && data.length === width * height * 3, "wrong size");
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    assert(!error.message.includes("\n"), error.message);
  }
  const ms = performance.now() - start, taken = Deno.memoryUsage().rss - rss;
  assert(memory < 32 * maxPixels + 3 * bytes.length, `an estimate of ${memory} bytes`);
  assert(ms < maxMs, `took ${ms} ms`);
  assert(taken < memory + spareBytes, `took ${taken} bytes of memory`);
}

/** A part of a file, such as a chunk or segment. */
export type Part = Uint8Array;

/** Drops, repeats, swaps and damages parts, at random and seldom. */
export function mutateParts(parts: readonly Part[], random: FuzzRandom): Part[] {
  const mutated = [...parts];
  while (random.chance(0.4)) {
    const at = random.below(mutated.length + 1), other = random.below(mutated.length + 1);
    switch (random.below(5)) {
      case 0:
        mutated.splice(at, 1);
        break;
      case 1:
        if (mutated[at]) mutated.splice(other, 0, mutated[at]);
        break;
      case 2:
        if (mutated[at] && mutated[other]) {
          [mutated[at], mutated[other]] = [mutated[other], mutated[at]];
        }
        break;
      case 3:
        mutated.splice(at, 0, random.bytes(random.below(20)));
        break;
      case 4:
        if (mutated[at]) mutated[at] = mutateBytes(mutated[at], random);
    }
  }
  return mutated;
}

/** Changes, inserts or deletes a few bytes. */
export function mutateBytes(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const values = [...bytes];
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(values.length);
    const action = random.below(6);
    if (action === 0) values.splice(at, random.below(8));
    else if (action === 1) values.splice(at, 0, ...random.bytes(random.below(8)));
    else if (action === 2) values[at] = random.edgy(8);
    else values[at] ^= 1 << random.below(8);
  }
  return Uint8Array.from(values);
}

/** Joins parts, and sometimes cuts the file off or appends to it. */
export function joinParts(parts: readonly Part[], random: FuzzRandom): Uint8Array<ArrayBuffer> {
  const file = joinBytes(parts);
  if (random.chance(0.1)) return file.slice(0, random.below(file.length + 1));
  return file;
}
