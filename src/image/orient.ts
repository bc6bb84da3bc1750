/**
 * EXIF orientation: how to rotate or mirror the stored pixels so that the image is upright.
 *
 * @module
 */

import type { RgbImage } from "./pixels.ts";

/** 1 is upright, 2–4 are mirrored or upside down, and 5–8 also swap width and height. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const orientationTag = 0x0112;
/** The type that the standard requires: an integer of 16 bits. */
const shortType = 3;

/**
 * Reads the orientation from EXIF data (a TIFF header and its first directory). Malformed data counts
 * as upright: bad metadata is no reason to reject an image.
 *
 * @param exif The TIFF data, with or without "Exif\0\0" in front.
 */
export function readOrientation(exif: Uint8Array): Orientation {
  const start = exif[0] === 0x45 && exif[1] === 0x78 ? 6 : 0; // "Ex"
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  try {
    const order = view.getUint16(start);
    if (order !== 0x4949 && order !== 0x4d4d) return 1; // "II", "MM"
    const little = order === 0x4949;
    if (view.getUint16(start + 2, little) !== 42) return 1;
    const directory = start + view.getUint32(start + 4, little);
    const entries = view.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const entry = directory + 2 + i * 12;
      if (view.getUint16(entry, little) !== orientationTag) continue;
      const type = view.getUint16(entry + 2, little), count = view.getUint32(entry + 4, little);
      const value = view.getUint16(entry + 8, little);
      const valid = type === shortType && count === 1 && value >= 1 && value <= 8;
      return valid ? value as Orientation : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // an offset beyond the data
  }
  return 1;
}

/** Makes an image upright, like Pillow's `ImageOps.exif_transpose`. */
export function applyOrientation(image: RgbImage, orientation: Orientation): RgbImage {
  if (orientation === 1) return image;
  const { width: w, height: h, data } = image;
  // The source position of the result's first pixel, and the source steps for one pixel right or down.
  const [start, right, down] = {
    2: [w - 1, -1, w],
    3: [w * h - 1, -1, -w],
    4: [w * (h - 1), 1, -w],
    5: [0, w, 1],
    6: [w * (h - 1), -w, 1],
    7: [w * h - 1, -w, -1],
    8: [w - 1, w, -1],
  }[orientation];
  const [width, height] = orientation < 5 ? [w, h] : [h, w];
  const out = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (start + x * right + y * down) * 3;
      out[to++] = data[from];
      out[to++] = data[from + 1];
      out[to++] = data[from + 2];
    }
  }
  return { width, height, data: out };
}
