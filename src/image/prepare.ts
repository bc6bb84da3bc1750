/**
 * From a file's bytes to what a network takes, in one step and with what it cost.
 *
 * @module
 */

import { decodeImage, type DecodeOptions } from "./decode.ts";
import { preprocess, type Preprocessing } from "./preprocess.ts";
import { release } from "./release.ts";

/** An image as a network takes it. */
export interface Decoded {
  /** Width of the image in pixels. */
  readonly width: number;
  /** Its height. */
  readonly height: number;
  /** What `preprocess()` makes of it. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Damage that did not prevent decoding, a line each. */
  readonly warnings: readonly string[];
  /** Milliseconds that decoding took. */
  readonly decodeMs: number;
  /** Milliseconds that `preprocess()` took. */
  readonly preprocessMs: number;
}

/**
 * Decodes an image and preprocesses it.
 *
 * @param bytes The whole file.
 * @throws {FileError} As `decodeImage()` does.
 */
export async function decodeFor(
  preprocessing: Preprocessing,
  bytes: Uint8Array,
  options: Pick<DecodeOptions, "name" | "maxPixels" | "reuse"> = {},
): Promise<Decoded> {
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
