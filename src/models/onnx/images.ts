/**
 * Images for networks of one channel, or with the channels last.
 *
 * @module
 */

import type { RgbImage } from "../../image/pixels.ts";
import { imagenetPreprocessing, type Preprocessing } from "../../image/preprocess.ts";

/** The means of ImageNet's statistics, for networks of one channel. */
export const grayPreprocessing: Preprocessing = {
  ...imagenetPreprocessing,
  mean: [0.449, 0.449, 0.449],
  std: [0.226, 0.226, 0.226],
};

/**
 * Converts an image to gray, with three equal channels.
 *
 * Source: the luma of ITU-R BT.601, rounded as in Pillow's `convert("L")`
 */
export function toGray({ width, height, data }: RgbImage): RgbImage {
  const gray = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const luma = (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16;
    gray.fill(luma, i, i + 3);
  }
  return { width, height, data: gray };
}

/** Reorders planes [C, H, W] to pixels [H, W, C]. */
export function toLastChannels(planes: Float32Array, channels: number): Float32Array {
  const area = planes.length / channels, pixels = new Float32Array(planes.length);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) pixels[i * channels + c] = planes[c * area + i];
  }
  return pixels;
}
