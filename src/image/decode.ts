/**
 * Decodes an image file to pixels.
 *
 * The header is read before any memory is allocated or a codec loaded, so a file that claims too
 * many pixels costs nothing. Then the whole file is walked, because decoders silently fill missing
 * data with grey.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { checkFunction, checkObject, checkOptions, checkSignal } from "../options.ts";
import type { CodecModules, Decoder } from "./formats/format.ts";
import { decodeNames, type ImageHeader, readHeader } from "./header.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { applyOrientation } from "./orient.ts";
import type { RgbImage } from "./pixels.ts";
import { release } from "./release.ts";

export type { CodecModules, Decoder };

/** Options of {@linkcode decodeImage}. */
export interface DecodeOptions {
  /** The image's name in errors and warnings, such as its path or URL. Default: "image". */
  readonly name?: string;
  /**
   * Rejects images with more pixels than this, before memory is allocated or a codec is loaded. Default:
   * 64,000,000 (64 megapixels).
   */
  readonly maxPixels?: number;
  /**
   * Called with a one-line message, which includes the name, if some of the image data is damaged
   * and the image was decoded anyway. Default: warnings are ignored.
   */
  readonly onWarning?: (message: string) => void;
  /** Compiled codecs or your own decoders, for runtimes that cannot load codecs by themselves. */
  readonly codecs?: CodecModules;
  /**
   * Keeps the codec's memory for the next image instead of resetting it, which takes as long as
   * decoding 100×100 pixels. Only set `reuse` if you trust the images: a malicious one could corrupt the
   * images after it. A codec that reported a problem is never reused. Default: false.
   */
  readonly reuse?: boolean;
  /**
   * Memory that images share: the image waits until its share is free. An image that needs more than
   * the whole budget is rejected before it is decoded. Default: no limit.
   */
  readonly memory?: MemoryBudget;
  /**
   * Stops waiting for memory, or decoding a PNG; the promise then rejects with the signal's reason.
   * Codecs cannot be interrupted.
   */
  readonly signal?: AbortSignal;
}

/**
 * Decodes a JPEG, PNG, WebP, GIF or BMP to upright RGB pixels. Of an animation, it decodes the
 * first frame.
 *
 * The pixels are the same as those of `Image.open(file).convert("RGB")` in Pillow, bit for bit: alpha is
 * dropped, not blended, and colour profiles are ignored. There are four exceptions:
 *
 * - EXIF orientation is applied, as by `ImageOps.exif_transpose`.
 * - 16-bit grey keeps the high byte, where Pillow clips at 255 and returns an almost white image.
 * - An index past the end of a palette is black, as in libpng.
 * - A JPEG whose colours have half the height only (4:4:0) may differ by two levels.
 *
 * The format is detected from the bytes. A WebAssembly codec decodes JPEG and WebP; it is loaded with
 * the first such image. PNG, GIF and BMP need no codec. Deno loads the codec from npm. A project with a
 * package.json, or with `"nodeModulesDir": "manual"`, must have `@jsquash/jpeg` or `@jsquash/webp`
 * installed; otherwise the error says how to add it.
 *
 * The runtime's `createImageBitmap` decodes CMYK JPEG and compressed BMP. Their colours may differ from
 * Pillow's by a few levels. Runtimes without it reject these formats.
 *
 * Decoding needs no permission in Deno.
 *
 * @param bytes The whole file.
 * @param options The image's name, its size limit, and the codecs to use.
 * @returns The pixels.
 * @throws {TooLargeError} When the header states more than `maxPixels` pixels, when the image needs more
 * memory than `memory` has, or when a JPEG has far more scans than its size justifies.
 * @throws {FileError} When the file is not a supported image, or is truncated or damaged.
 * @throws {ArgumentError} When `bytes` is not a Uint8Array, or an option is invalid.
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
  checkOptions("decodeImage", options, decodeNames);
  checkSignal("decodeImage", options.signal);
  const { memory, name, signal, codecs, onWarning } = options;
  checkFunction("decodeImage", "onWarning", onWarning);
  if (codecs !== undefined) checkCodecs(codecs);
  if (memory !== undefined && typeof memory?.acquire !== "function") {
    throw new ArgumentError("decodeImage", "memory", memory, "a MemoryBudget");
  }
  const header = readHeader(bytes, options);
  if (!memory) return await decodeWithHeader(bytes, header, options);
  const share = await memory.acquire(header.memory, { name, signal });
  try {
    return await decodeWithHeader(bytes, header, options);
  } finally {
    share.release();
  }
}

function checkCodecs(codecs: CodecModules): void {
  checkObject("decodeImage", "codecs", codecs);
  checkOptions("codecs", codecs, ["jpeg", "webp"]);
  for (const [name, codec] of Object.entries(codecs)) {
    if (kindOf(codec) === "WebAssembly.Module") continue;
    checkFunction("decodeImage", `codecs.${name}`, codec, "a WebAssembly.Module or a function");
  }
}

async function decodeWithHeader(
  bytes: Uint8Array,
  { format, size, orientation, memory }: ImageHeader,
  { name = "image", onWarning, codecs = {}, reuse = false, signal }: DecodeOptions,
): Promise<RgbImage> {
  const warn = (message: string) => onWarning?.(`${name}: ${message}`);
  format.check(bytes, name, warn);
  const image = await format.decode(bytes, { name, size, memory, warn, codecs, reuse, signal });
  if (image.width !== size.width || image.height !== size.height) {
    throw new FileError(
      name,
      `the ${format.name} decodes to ${image.width}×${image.height} pixels, but its header says ` +
        `${size.width}×${size.height}`,
    );
  }
  const upright = applyOrientation(
    image,
    typeof orientation === "function" ? await orientation() : orientation,
  );
  if (upright !== image) release(image.data);
  return upright;
}
