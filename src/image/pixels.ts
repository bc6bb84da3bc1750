/**
 * Images in memory: RGB bytes, and conversion from RGBA.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";

/**
 * An image of 8-bit RGB pixels, row by row from the top left, 3 bytes each. {@linkcode decodeImage}
 * returns one, {@linkcode fromRgba} makes one of a canvas's pixels, and any object with these fields is
 * one.
 */
export interface RgbImage {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width × height × 3` bytes: red, green and blue of each pixel. */
  readonly data: Uint8Array | Uint8ClampedArray;
}

/**
 * An image of 8-bit RGBA pixels, 4 bytes each. An `ImageData` from a canvas is one.
 */
export interface RgbaImage {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width × height × 4` bytes: red, green, blue and alpha of each pixel, not premultiplied. */
  readonly data: Uint8Array | ImageData["data"];
}

/**
 * Drops the alpha channel, like Pillow's `Image.convert("RGB")`. Transparent pixels keep their stored
 * colour; they are not blended with a background.
 *
 * @param image The pixels, for example from `context.getImageData(…)`.
 * @returns A copy without alpha.
 * @throws {ArgumentError} When `data` does not have `width × height × 4` bytes.
 *
 * @example
 * ```ts
 * import { fromRgba } from "./pixels.ts";
 *
 * const image = fromRgba({ width: 1, height: 1, data: Uint8Array.of(200, 100, 50, 0) });
 * console.log(image.data); // Uint8Array(3) [ 200, 100, 50 ]
 * ```
 */
export function fromRgba(image: RgbaImage): RgbImage {
  checkPixels("fromRgba", image, 4);
  const { width, height, data: rgba } = image;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, data };
}

/** The luma of the pixel whose red is at an index (ITU-R BT.601), rounded as in Pillow. */
export function lumaAt(data: RgbImage["data"], i: number): number {
  return (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16;
}

/** Throws unless the size is valid and the data has the length for it. */
export function checkPixels(op: string, image: RgbImage | RgbaImage, channels: 3 | 4): void {
  if (!ArrayBuffer.isView(image?.data)) {
    const expected = "an object with width, height and data, as decodeImage() returns";
    throw new ArgumentError(op, "image", image, expected);
  }
  checkSize(op, "image.width", image.width);
  checkSize(op, "image.height", image.height);
  const expected = image.width * image.height * channels;
  if (image.data.BYTES_PER_ELEMENT !== 1) { // an ImageData can hold half floats
    throw new ArgumentError(op, "image.data", image.data.constructor.name, "bytes");
  }
  if (image.data.length !== expected) {
    throw new ArgumentError(
      op,
      "image.data.length",
      image.data.length,
      `${expected} (${image.width}×${image.height} pixels of ${channels} bytes)`,
    );
  }
}

/** Throws unless the value is a positive integer. */
export function checkSize(op: string, parameter: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(op, parameter, value, "a positive integer");
  }
}
