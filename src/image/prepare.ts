/**
 * From a file's bytes to a network's input: decodes, preprocesses and times both steps.
 *
 * @module
 */

import { decodeImage, type DecodeOptions } from "./decode.ts";
import { preprocess, type Preprocessing } from "./preprocess.ts";
import { release } from "./release.ts";

/** An image ready for a network. */
export interface PreparedImage {
  /** Width of the image in pixels. */
  readonly width: number;
  /** Height of the image in pixels. */
  readonly height: number;
  /** The network's input: the result of `preprocess()`. */
  readonly values: Float32Array<ArrayBuffer>;
  /** One line for each defect that did not prevent decoding. */
  readonly warnings: readonly string[];
  /** Milliseconds spent decoding. */
  readonly decodeMs: number;
  /** Milliseconds spent in `preprocess()`. */
  readonly preprocessMs: number;
}

/** Options of {@linkcode prepareImage}. */
export type PrepareOptions = Pick<DecodeOptions, "name" | "maxPixels" | "reuse">;

/**
 * Decodes an image and preprocesses it.
 *
 * @param bytes The whole file.
 * @throws {FileError} When the image cannot be decoded; see `decodeImage()`.
 */
export async function prepareImage(
  bytes: Uint8Array,
  preprocessing: Preprocessing,
  options: PrepareOptions = {},
): Promise<PreparedImage> {
  const warnings: string[] = [];
  const onWarning = (line: string) => void warnings.push(line);
  const start = performance.now();
  const image = await decodeImage(bytes, { ...options, onWarning });
  const decoded = performance.now();
  const values = preprocess(image, preprocessing);
  release(image.data);
  const decodeMs = decoded - start, preprocessMs = performance.now() - decoded;
  return { width: image.width, height: image.height, values, warnings, decodeMs, preprocessMs };
}
