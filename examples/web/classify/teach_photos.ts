/** The photos that the reader has shown. Runs in the worker. */

import { fromRgba, RandomGenerator, randomHorizontalFlip, type RgbImage } from "../../../mod.ts";
import { centerCrop, resizeShorterSide } from "../../../src/image/mod.ts";
import { imageOf } from "./engine.ts";
import type { Photo, Pixels } from "./protocol.ts";
import type { KeptPhoto } from "./teach_protocol.ts";

/** Pixels of a thumbnail's side: shown at half that size, for fine screens. */
const thumbnailSide = 128;

/** The shorter side of photos from the camera: enough for every network, and they arrive in bursts. */
const cameraSide = 384;

/** A photo that is kept. One from a file is a blob, which a browser may keep on disk: it has megabytes. */
interface Kept {
  readonly photo: RgbImage | { readonly name: string; readonly file: Blob };
  /** How often it was kept, and not forgotten since: a copy may arrive while the page removes the photo. */
  times: number;
}

/** The photos by key. */
const kept = new Map<string, Kept>();

/** Keeps a photo, and returns its pixels, too. */
export async function keep(photo: Photo): Promise<KeptPhoto & { readonly image: RgbImage }> {
  const image = "bytes" in photo ? await imageOf(photo) : small(fromRgba(photo));
  const key = keyOf("bytes" in photo ? photo.bytes : image.data), known = kept.get(key);
  if (known) known.times++;
  else {
    const source = "bytes" in photo ? { name: photo.name, file: new Blob([photo.bytes]) } : image;
    kept.set(key, { photo: source, times: 1 });
  }
  return { key, thumbnail: thumbnailOf(image), image };
}

/** Forgets a photo as often as it was kept. Returns whether it is gone. */
export function forget(key: string): boolean {
  const known = kept.get(key);
  if (known && --known.times > 0) return false;
  return kept.delete(key);
}

/** The pixels of a photo that was kept. */
export async function keptImage(key: string): Promise<RgbImage> {
  const { photo } = kept.get(key)!;
  if (!("file" in photo)) return photo;
  return await imageOf({ name: photo.name, bytes: new Uint8Array(await photo.file.arrayBuffer()) });
}

/** Swaps left and right. */
export function mirrored(image: RgbImage): RgbImage {
  return randomHorizontalFlip(1)(image, new RandomGenerator(0));
}

/** Shrinks a photo from the camera. */
function small(image: RgbImage): RgbImage {
  return Math.min(image.width, image.height) > cameraSide
    ? resizeShorterSide(image, cameraSide)
    : image;
}

function thumbnailOf(image: RgbImage): Pixels {
  const square = centerCrop(image, Math.min(image.width, image.height)); // first: a photo may be long
  const { width, height, data } = resizeShorterSide(square, thumbnailSide);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
  return { width, height, data: rgba };
}

/**
 * A key for the content of a photo: two multiplicative hashes. A SHA-256 would do better against an
 * attacker, but the reader is none, and pages without HTTPS have no SHA-256.
 */
function keyOf(bytes: Uint8Array | Uint8ClampedArray): string {
  let a = 0x811c9dc5, b = bytes.length;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul((b ^ b >>> 15) + byte, 0x2c1b3c6d);
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
