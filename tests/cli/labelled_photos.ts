/** Labelled photos: parts of the photos in tests/photos, all different. */

import { encodePng } from "../../src/image/encode_png.ts";
import { decodeImage } from "../../src/image/decode.ts";
import type { RgbImage } from "../../src/image/pixels.ts";
import { resize } from "../../src/image/resize.ts";
import { RandomGenerator } from "../../src/random.ts";
import type { TempFolder } from "./run.ts";

/** The class of each photo. */
const sources = { cat: "chelsea.png", coffee: "coffee.jpg", rocket: "rocket.jpg" } as const;

/** Sides of the parts, in pixels. */
const side = 80;

/** Writes a number of parts of each photo to folders with the names of the classes. */
export async function writeLabelled(
  folder: TempFolder,
  path: string,
  count: number,
  seed = 1,
): Promise<void> {
  const generator = new RandomGenerator(seed), random = new Float32Array(3);
  for (const [name, file] of Object.entries(sources)) {
    const image = await photo(file);
    for (let i = 0; i < count; i++) {
      generator.uniform(random, 0, 1);
      const part = partOf(image, 0.6 + 0.3 * random[0], random[1], random[2]);
      await folder.write(`${path}/${name}/${i}.png`, await encodePng(resize(part, side, side)));
    }
  }
}

const cache = new Map<string, RgbImage>();

/** A photo at a third of its size. */
async function photo(file: string): Promise<RgbImage> {
  const known = cache.get(file);
  if (known) return known;
  const bytes = await Deno.readFile(new URL(`../photos/${file}`, import.meta.url));
  const image = await decodeImage(bytes, { name: file });
  const [width, height] = [image.width, image.height].map((length) => Math.round(length / 3));
  cache.set(file, resize(image, width, height));
  return cache.get(file)!;
}

/** A square part with a share of the shorter side; `x` and `y` from 0 to 1 place it. */
function partOf({ width, height, data }: RgbImage, share: number, x: number, y: number): RgbImage {
  const size = Math.floor(Math.min(width, height) * share);
  const left = Math.floor(x * (width - size)), top = Math.floor(y * (height - size));
  const part = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const from = ((top + row) * width + left) * 3;
    part.set(data.subarray(from, from + size * 3), row * size * 3);
  }
  return { width: size, height: size, data: part };
}
