/**
 * From a file's bytes to pixels.
 *
 * The header is read before memory is taken or a codec loaded: a file that promises too many pixels
 * costs nothing. Then the file is walked to its end, because decoders fill what is missing with grey
 * and say nothing.
 *
 * @module
 */

import { ArgumentError, FileError, TooLargeError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import type { CodecModules, Decoder } from "./formats/format.ts";
import { recognise } from "./formats/mod.ts";
import { applyOrientation } from "./orient.ts";
import type { RgbImage } from "./pixels.ts";
import { release } from "./release.ts";

export type { CodecModules, Decoder };

/** Options of {@linkcode decodeImage}. */
export interface DecodeOptions {
  /** What errors call the image: its path or URL. Default: "image". */
  readonly name?: string;
  /** Refuse images of more pixels than this. Default: 64,000,000 (64 megapixels). */
  readonly maxPixels?: number;
  /**
   * Called with one line, the name included, about damage inside the picture that a viewer would show
   * as a wrong patch. Default: nothing happens.
   */
  readonly onWarning?: (message: string) => void;
  /** Compiled codecs or decoders of one's own, where the runtime cannot load codecs by itself. */
  readonly codecs?: CodecModules;
  /**
   * Keep a codec for the next picture as it is instead of making it as new, which costs as much as
   * decoding 100×100 pixels. For files that one trusts: a hostile one could spoil those after it. A
   * codec that has complained about a picture is never kept. Default: false.
   */
  readonly reuse?: boolean;
}

const DEFAULT_MAX_PIXELS = 64_000_000;

/**
 * Decodes a JPEG, PNG, WebP, GIF (its first frame) or BMP to RGB, upright.
 *
 * The pixels are those of `Image.open(file).convert("RGB")` in Pillow, bit for bit for JPEG, PNG and
 * WebP, with two exceptions: EXIF orientation is applied, as `ImageOps.exif_transpose` does; and of
 * 16-bit grey the high byte is taken, where Pillow clips at 255 and gives an almost white image.
 * Alpha is dropped, not blended. Colour profiles are ignored.
 *
 * The format is recognised from the bytes. JPEG and WebP are decoded by a WebAssembly codec that is
 * loaded when the first such image comes; PNG needs none. Deno loads it from npm: a project with a
 * package.json, or with `"nodeModulesDir": "manual"`, must have `@jsquash/jpeg` or `@jsquash/webp`
 * among its packages, and the error says how to add it. GIF, BMP, animated WebP and JPEGs in CMYK
 * are left to the runtime's `createImageBitmap`; their colours may differ from Pillow's by a few
 * levels, and where the runtime has none they are refused. In Deno nothing of this asks for a
 * permission.
 *
 * @param bytes The whole file.
 * @param options What errors call it, how large it may be, codecs to use.
 * @returns The pixels.
 * @throws {TooLargeError} If the header promises too many pixels.
 * @throws {FileError} If the bytes are no such image, are cut off or damaged.
 * @throws {ArgumentError} If `maxPixels` is not a positive number.
 *
 * @example
 * ```ts
 * import { decodeImage } from "./decode.ts";
 *
 * // A GIF of a single white pixel.
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
  const format = recognise(bytes, name);
  const size = format.readSize(bytes, name);
  const { width, height } = size;
  if (width === 0 || height === 0) {
    throw new FileError(name, `its header says ${width}×${height} pixels`);
  }
  if (width * height > maxPixels) {
    throw new TooLargeError(
      name,
      `is ${width}×${height} pixels, ${megapixels(width * height)} megapixels, ` +
        `more than the ${megapixels(maxPixels)} allowed`,
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
      `the ${format.name} holds ${image.width}×${image.height} pixels, its header says ` +
        `${width}×${height}`,
    );
  }
  const upright = applyOrientation(image, orientation);
  if (upright !== image) release(image.data);
  return upright;
}

/** Enough digits to tell one pixel too many. */
function megapixels(pixels: number): string {
  return String(pixels / 1e6);
}
