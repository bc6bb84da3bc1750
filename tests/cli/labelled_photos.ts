/** Labelled photos: parts of the photos in tests/photos, all different. */

import { encodePng } from "../../src/image/encode_png.ts";
import { decodeImage } from "../../src/image/decode.ts";
import type { RgbImage } from "../../src/image/pixels.ts";
import { resize } from "../../src/image/resize.ts";
import { RandomGenerator } from "../../src/random.ts";
import type { TempFolder } from "./run.ts";

/** The photos of each class. */
const sources = {
  cat: ["chelsea.png"],
  coffee: ["coffee.jpg"],
  ground: ["grass.jpg", "gravel.jpg"],
} as const;

/** Sides of the parts, in pixels. */
const side = 80;

/** A file with the name of its class before its own: "cat/0.png". */
export interface LabelledPhoto {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Makes a number of photos of each class. */
export async function labelledPhotos(count: number, seed = 1): Promise<LabelledPhoto[]> {
  const generator = new RandomGenerator(seed), random = new Float32Array(3);
  const files: LabelledPhoto[] = [];
  for (const [name, photos] of Object.entries(sources)) {
    for (let i = 0; i < count; i++) {
      const image = await photo(photos[i % photos.length]);
      generator.uniform(random, 0, 1);
      const part = partOf(image, 0.6 + 0.3 * random[0], random[1], random[2]);
      files.push({ name: `${name}/${i}.png`, bytes: await encodePng(resize(part, side, side)) });
    }
  }
  return files;
}

/** Writes a number of photos of each class to folders with the names of the classes. */
export async function writeLabelled(
  folder: TempFolder,
  path: string,
  count: number,
  seed = 1,
): Promise<void> {
  for (const { name, bytes } of await labelledPhotos(count, seed)) {
    await folder.write(`${path}/${name}`, bytes);
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
