/**
 * What an image is inside this library: bytes of red, green and blue, and nothing else.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";

/** An image of 8-bit RGB pixels, row by row from the top left, 3 bytes each. */
export interface RgbImage {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width × height × 3` bytes: red, green, blue of the first pixel, then of its right neighbour. */
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Pixels with alpha, 4 bytes each: what a canvas gives. Every `ImageData` is one. */
export interface RgbaImage {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width × height × 4` bytes, alpha last and not premultiplied. */
  readonly data: Uint8Array | ImageData["data"];
}

/**
 * Drops the alpha channel, as `Image.convert("RGB")` of Pillow does: transparent pixels keep the
 * colour stored under them and are not blended with any background.
 *
 * @param image The pixels, of a canvas for instance (`context.getImageData(…)`).
 * @returns A copy without alpha.
 * @throws {ArgumentError} If the data are not `width × height × 4` bytes.
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

/** Refuses an image whose size is not a size, or whose data has another length than that size. */
export function checkPixels(op: string, image: RgbImage | RgbaImage, channels: 3 | 4): void {
  if (!ArrayBuffer.isView(image?.data)) {
    throw new ArgumentError(op, "image", image, "an object with width, height and data");
  }
  checkSize(op, "image.width", image.width);
  checkSize(op, "image.height", image.height);
  const takes = image.width * image.height * channels;
  if (image.data.BYTES_PER_ELEMENT !== 1) { // an ImageData of half floats
    throw new ArgumentError(op, "image.data", image.data.constructor.name, "bytes");
  }
  if (image.data.length !== takes) {
    throw new ArgumentError(
      op,
      "image.data.length",
      image.data.length,
      `${takes} (${image.width}×${image.height} pixels of ${channels} bytes)`,
    );
  }
}

/** Refuses what is no number of pixels. */
export function checkSize(op: string, parameter: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(op, parameter, value, "a positive integer");
  }
}
