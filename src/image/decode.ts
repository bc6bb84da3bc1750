/**
 * Decodes an image file to pixels.
 *
 * The header is read before any memory is allocated or a codec loaded, so a file that claims too
 * many pixels costs nothing. Then the whole file is walked, because decoders silently fill missing
 * data with grey.
 *
 * @module
 */

import { ArgumentError, FileError, TooLargeError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import type { CodecModules, Decoder } from "./formats/format.ts";
import { detectFormat } from "./formats/mod.ts";
import { applyOrientation } from "./orient.ts";
import type { RgbImage } from "./pixels.ts";
import { release } from "./release.ts";

export type { CodecModules, Decoder };

/** Options of {@linkcode decodeImage}. */
export interface DecodeOptions {
  /** The image's name in errors and warnings, such as its path or URL. Default: "image". */
  readonly name?: string;
  /** Reject images with more pixels than this. Default: 64,000,000 (64 megapixels). */
  readonly maxPixels?: number;
  /**
   * Called with a one-line message, which includes the name, if some of the image data is damaged
   * and the image was decoded anyway. Default: warnings are ignored.
   */
  readonly onWarning?: (message: string) => void;
  /** Compiled codecs or your own decoders, for runtimes that cannot load codecs by themselves. */
  readonly codecs?: CodecModules;
  /**
   * Keep the codec's memory for the next image instead of resetting it, which takes as long as
   * decoding 100×100 pixels. Set `reuse` when you trust the images: a malicious one could corrupt the
   * images after it. A codec that reported a problem is never reused. Default: false.
   */
  readonly reuse?: boolean;
}

const DEFAULT_MAX_PIXELS = 64_000_000;

/**
 * Decodes a JPEG, PNG, WebP, GIF (first frame) or BMP to upright RGB pixels.
 *
 * JPEG, PNG and WebP give the same pixels as `Image.open(file).convert("RGB")` in Pillow, bit for
 * bit, with two exceptions. EXIF orientation is applied, as by `ImageOps.exif_transpose`. 16-bit grey
 * keeps the high byte, where Pillow clips at 255 and returns an almost white image. Alpha is dropped,
 * not blended. Colour profiles are ignored.
 *
 * The format is detected from the bytes. A WebAssembly codec decodes JPEG and WebP; it is loaded with
 * the first such image. PNG needs no codec. Deno loads the codec from npm. A project with a
 * package.json, or with `"nodeModulesDir": "manual"`, must have `@jsquash/jpeg` or `@jsquash/webp`
 * installed; otherwise the error says how to add it.
 *
 * The runtime's `createImageBitmap` decodes GIF, BMP, animated WebP and CMYK JPEG. Their colours may
 * differ from Pillow's by a few levels. Runtimes without it reject these formats.
 *
 * Decoding needs no permission in Deno.
 *
 * @param bytes The whole file.
 * @param options The image's name, its size limit, and the codecs to use.
 * @returns The pixels.
 * @throws {TooLargeError} If the header states more than `maxPixels` pixels.
 * @throws {FileError} If the file is not a supported image, or is truncated or damaged.
 * @throws {ArgumentError} If `bytes` is not a Uint8Array, or `maxPixels` is not positive.
 *
 * @example
 * ```ts
 * import { decodeImage } from "./decode.ts";
 *
 * // A GIF with a single white pixel.
 * const bytes = Uint8Array.from(
 *   atob("R0lGODdhAQABAIAAAP///////ywAAAAAAQABAAACAkQBADs="),
 *   (letter) => letter.charCodeAt(0),
 * );
 * const image = await decodeImage(bytes, { name: "white.gif" });
 * console.log(image.width, image.height, image.data[0]); // 1 1 255
 * ```
 */
export async function decodeImage(
  bytes: Uint8Array,
  options: DecodeOptions = {},
): Promise<RgbImage> {
  const { name = "image", maxPixels = DEFAULT_MAX_PIXELS, onWarning } = options;
  const { codecs = {}, reuse = false } = options;
  if (kindOf(bytes) !== "Uint8Array") {
    throw new ArgumentError("decodeImage", "bytes", bytes, "a Uint8Array");
  }
  if (!(maxPixels > 0)) {
    throw new ArgumentError("decodeImage", "maxPixels", maxPixels, "a positive number");
  }
  const format = detectFormat(bytes, name);
  const size = format.readSize(bytes, name);
  const { width, height } = size;
  if (width === 0 || height === 0) {
    throw new FileError(name, `the ${format.name} has a size of ${width}×${height} pixels`);
  }
  if (width * height > maxPixels) {
    throw new TooLargeError(
      name,
      `is ${width}×${height} pixels (${megapixels(width * height)} megapixels), ` +
        `larger than the limit of ${megapixels(maxPixels)} megapixels`,
    );
  }
  const orientation = format.check(bytes, name);
  const image = await format.decode(bytes, {
    name,
    size,
    warn: (message) => onWarning?.(`${name}: ${message}`),
    codecs,
    reuse,
  });
  if (image.width !== width || image.height !== height) {
    throw new FileError(
      name,
      `the ${format.name} decodes to ${image.width}×${image.height} pixels, but its header says ` +
        `${width}×${height}`,
    );
  }
  const upright = applyOrientation(image, orientation);
  if (upright !== image) release(image.data);
  return upright;
}

/** With all digits, so that an image with one pixel too many does not seem to be within the limit. */
function megapixels(pixels: number): string {
  return String(pixels / 1e6);
}
