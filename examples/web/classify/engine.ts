/** The network in use, and the images that it gets. Runs in the worker. */

import { type Classifier, decodeImage, fromRgba, type RgbImage } from "../../../mod.ts";
import type { Photo } from "./protocol.ts";

let current: Classifier | undefined;

/**
 * The network in use, on the backend in use.
 *
 * @throws {Error} When none is loaded.
 */
export function currentClassifier(): Classifier {
  if (!current) throw new Error("no network is loaded: choose one first");
  return current;
}

/** Puts another network to use, and disposes of the one before. */
export function setClassifier(next: Classifier | undefined): void {
  current?.dispose();
  current = next;
}

/** The pixels of a photo. The library decodes files, so that results equal those of the command. */
export async function imageOf(photo: Photo): Promise<RgbImage> {
  return "bytes" in photo ? await decodeImage(photo.bytes, { name: photo.name }) : fromRgba(photo);
}
