/**
 * Reads and checks an image's header, before any memory is allocated or a codec loaded.
 *
 * @module
 */

import { ArgumentError, FileError, TooLargeError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { checkOptions } from "../options.ts";
import type { Format, Size } from "./formats/format.ts";
import { detectFormat } from "./formats/mod.ts";

/** Limits on images. */
export interface HeaderOptions {
  /** The image's name in errors. Default: "image". */
  readonly name?: string;
  /** Reject images with more pixels than this. Default: 64,000,000 (64 megapixels). */
  readonly maxPixels?: number;
}

/** What the header says. */
export interface ImageHeader {
  readonly format: Format;
  /** The size as stored, before orientation is applied. */
  readonly size: Size;
  readonly orientation: ReturnType<Format["readOrientation"]>;
  /** The memory in bytes that decoding takes at most, including the pixels but not the file. */
  readonly memory: number;
}

/** The names of the options of `decodeImage()`. */
export const decodeNames = [
  "name",
  "maxPixels",
  "onWarning",
  "codecs",
  "reuse",
  "memory",
  "signal",
] as const;

const defaultMaxPixels = 64_000_000;

/**
 * Reads an image's header.
 *
 * @param op The name of the function in errors.
 * @throws {TooLargeError} When it states more than `maxPixels` pixels.
 * @throws {FileError} When it is not the header of a supported image.
 */
export function readHeader(
  bytes: Uint8Array,
  { name = "image", maxPixels = defaultMaxPixels }: HeaderOptions = {},
  op = "decodeImage",
): ImageHeader {
  if (kindOf(bytes) !== "Uint8Array") throw new ArgumentError(op, "bytes", bytes, "a Uint8Array");
  if (!(maxPixels > 0)) {
    throw new ArgumentError(op, "maxPixels", maxPixels, "a positive number");
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
  const orientation = format.readOrientation(bytes, name);
  // To turn an image takes a copy.
  const copy = orientation === 1 ? 0 : width * height * 3;
  return { format, size, orientation, memory: format.memory(bytes, name, size) + copy };
}

/**
 * Estimates the memory that {@linkcode decodeImage} takes at most for an image, from its header. It
 * includes the pixels of the result, but not `bytes` nor the codec itself (16 MiB for JPEG or WebP).
 *
 * @param bytes The whole file.
 * @param options The image's name in errors, and the limit of its size.
 * @returns Bytes.
 * @throws {TooLargeError} When the header states more than `maxPixels` pixels.
 * @throws {FileError} When it is not the header of a supported image.
 *
 * @example
 * ```ts
 * import { imageMemory } from "./header.ts";
 *
 * const bytes = await Deno.readFile("tests/photos/coffee.jpg");
 * console.log(Math.round(imageMemory(bytes) / 2 ** 20)); // 2
 * ```
 */
export function imageMemory(bytes: Uint8Array, options: HeaderOptions = {}): number {
  const op = "imageMemory";
  // one object may be the options of both
  const all: Partial<Record<typeof decodeNames[number], unknown>> = options;
  checkOptions(op, all, decodeNames);
  return readHeader(bytes, options, op).memory;
}

/** With all digits, so that an image with one pixel too many does not seem to be within the limit. */
function megapixels(pixels: number): string {
  return String(pixels / 1e6);
}
