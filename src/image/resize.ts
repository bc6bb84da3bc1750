/**
 * Resizes with Pillow's antialiasing filters, bit for bit.
 *
 * The filter is a triangle (bilinear) or a piecewise cubic (bicubic). When an image shrinks, the
 * filter is stretched by the scale, so that every source pixel counts. Weights are fixed-point numbers
 * with 22 fractional bits, and each of the two passes rounds to 8 bits. The result equals
 * `Image.resize(size, Image.BILINEAR)` or `Image.BICUBIC`; see Pillow's `src/libImaging/Resample.c`.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkPixels, checkSize, type RgbImage } from "./pixels.ts";
import { release } from "./release.ts";

/**
 * A resizing filter. Bicubic gives sharper results.
 */
export type Interpolation = "bilinear" | "bicubic";

/** Each filter's half width in source pixels, before stretching, and its value at x. */
const filters: Record<Interpolation, { support: number; at: (x: number) => number }> = {
  bilinear: { support: 1, at: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: { support: 2, at: (x) => cubic(Math.abs(x)) },
};

/** Keys' cubic convolution kernel with a = −1/2. */
function cubic(x: number): number {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/** The names of all filters. */
export const interpolations = Object.keys(filters) as readonly Interpolation[];

/** Fractional bits of a weight. The sum of weight × pixel stays below 2³¹ and fits into an int32. */
const precisionBits = 22;
const roundingHalf = 1 << (precisionBits - 1);

/** A rectangle of an image, in whole pixels. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Resizes to exactly `width × height`, bit for bit like Pillow's
 * `Image.resize((width, height), Image.BILINEAR)` or `Image.BICUBIC`. A side that keeps its size is
 * not filtered.
 *
 * @param image The image. It is not changed.
 * @param width Width of the result in pixels.
 * @param height Height of the result in pixels.
 * @param interpolation The filter. Default: bilinear.
 * @returns A new image.
 * @throws {ArgumentError} When a size is not a positive integer, or the filter is unknown.
 *
 * @example
 * ```ts
 * import { resize } from "./resize.ts";
 *
 * const image = { width: 2, height: 1, data: Uint8Array.of(0, 0, 0, 100, 200, 50) };
 * console.log(resize(image, 1, 1).data); // Uint8Array(3) [ 50, 100, 25 ]
 * ```
 */
export function resize(
  image: RgbImage,
  width: number,
  height: number,
  interpolation: Interpolation = "bilinear",
): RgbImage {
  checkPixels("resize", image, 3);
  checkSize("resize", "width", width);
  checkSize("resize", "height", height);
  checkInterpolation("resize", interpolation);
  return resizeWindow(image, width, height, { left: 0, top: 0, width, height }, interpolation);
}

/**
 * Resizes the shorter side to `size` pixels, like `torchvision.transforms.Resize(size)`. The longer
 * side keeps the aspect ratio, rounded down.
 *
 * @param image The image. It is not changed.
 * @param size The shorter side of the result, in pixels.
 * @returns A new image.
 * @throws {ArgumentError} When the size is not a positive integer.
 *
 * @example
 * ```ts
 * import { resizeShorterSide } from "./resize.ts";
 *
 * const image = { width: 5, height: 3, data: new Uint8Array(5 * 3 * 3) };
 * const { width, height } = resizeShorterSide(image, 2);
 * console.log(width, height); // 3 2
 * ```
 */
export function resizeShorterSide(image: RgbImage, size: number): RgbImage {
  checkPixels("resizeShorterSide", image, 3);
  checkSize("resizeShorterSide", "size", size);
  const [width, height] = shorterSideTo(size, image);
  return resizeWindow(image, width, height, { left: 0, top: 0, width, height });
}

/**
 * Width and height with a shorter side of `size`. Like torchvision: `int(size * long / short)`, or
 * rounded.
 */
export function shorterSideTo(
  size: number,
  { width, height }: Pick<RgbImage, "width" | "height">,
  rounding: "torchvision" | "caffe" = "torchvision",
): [number, number] {
  const round = rounding === "caffe" ? Math.round : Math.trunc;
  return width <= height
    ? [size, round(size * height / width)]
    : [round(size * width / height), size];
}

/** Throws unless the filter exists. */
export function checkInterpolation(op: string, interpolation: Interpolation): void {
  if (!Object.hasOwn(filters, interpolation)) {
    throw new ArgumentError(op, "interpolation", interpolation, interpolations.join(" or "));
  }
}

/** Resizes to `width × height`, but computes and returns only the pixels inside a window of the result. */
export function resizeWindow(
  image: RgbImage,
  width: number,
  height: number,
  window: Window,
  interpolation: Interpolation = "bilinear",
): RgbImage {
  if (image.width === width && image.height === height) return crop(image, window);
  const across = tapsOf(image.width, width, window.left, window.width, interpolation);
  const down = tapsOf(image.height, height, window.top, window.height, interpolation);
  // The source rows that the window needs. First and last source rows increase with the row.
  const last = window.height - 1;
  const from = down.first[0], to = down.first[last] + down.count[last];
  const rows = resizeRows(image, from, to, across);
  const data = resizeColumns(rows, window.width * 3, from, down);
  release(rows);
  return { width: window.width, height: window.height, data };
}

/** Copies the pixels inside a window. */
export function crop(image: RgbImage, { left, top, width, height }: Window): RgbImage {
  const data = new Uint8ClampedArray(width * height * 3), length = width * 3;
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + length), y * length);
  }
  return { width, height, data };
}

/** For each result pixel on one axis: its first source pixel, their number, and their weights. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `stride` weights for each pixel, of which the first `count` are used. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** The taps of pixels `start` to `start + length` on an axis resized from `size` to `newSize`. */
function tapsOf(
  size: number,
  newSize: number,
  start: number,
  length: number,
  interpolation: Interpolation,
): Taps {
  if (size === newSize) return ownTaps(start, length);
  const first = new Int32Array(length), count = new Int32Array(length);
  const scale = size / newSize, filter = filters[interpolation];
  const stretch = Math.max(scale, 1); // never narrower than the original filter
  const support = filter.support * stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const weights = new Int32Array(length * stride);
  const exact = new Float64Array(stride);
  for (let i = 0; i < length; i++) {
    const center = (start + i + 0.5) * scale;
    const begin = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), size);
    let sum = 0;
    for (let k = 0; k < end - begin; k++) {
      // Multiply by 1/stretch instead of dividing, as Pillow does: the last bit depends on it.
      exact[k] = filter.at((k + begin - center + 0.5) * (1 / stretch));
      sum += exact[k];
    }
    for (let k = 0; k < end - begin; k++) {
      const weight = exact[k] / sum;
      weights[i * stride + k] = Math.trunc(
        weight * (1 << precisionBits) + (weight < 0 ? -0.5 : 0.5),
      );
    }
    first[i] = begin;
    count[i] = end - begin;
  }
  return { first, count, weights, stride };
}

/** The taps on an axis that keeps its size, which Pillow does not filter: each pixel is its only one. */
function ownTaps(start: number, length: number): Taps {
  return {
    first: Int32Array.from({ length }, (_, i) => start + i),
    count: new Int32Array(length).fill(1),
    weights: new Int32Array(length).fill(1 << precisionBits),
    stride: 1,
  };
}

/** The horizontal pass over source rows `from` to `to`. */
function resizeRows(image: RgbImage, from: number, to: number, taps: Taps): Uint8ClampedArray {
  const { data, width } = image, length = taps.first.length * 3;
  const out = new Uint8ClampedArray((to - from) * length);
  for (let y = from; y < to; y++) resizeRow(out, (y - from) * length, data, y * width * 3, taps);
  return out;
}

/** Resizes a row. A function of its own, because an engine optimises it sooner than a long loop. */
function resizeRow(
  out: Uint8ClampedArray,
  to: number,
  data: RgbImage["data"],
  row: number,
  { first, count, weights, stride }: Taps,
): void {
  for (let x = 0; x < first.length; x++) {
    let r = roundingHalf, g = roundingHalf, b = roundingHalf;
    let p = row + first[x] * 3;
    const w = x * stride, end = w + count[x];
    for (let k = w; k < end; k++, p += 3) {
      const weight = weights[k];
      r = (r + Math.imul(weight, data[p])) | 0;
      g = (g + Math.imul(weight, data[p + 1])) | 0;
      b = (b + Math.imul(weight, data[p + 2])) | 0;
    }
    out[to++] = r >> precisionBits;
    out[to++] = g >> precisionBits;
    out[to++] = b >> precisionBits;
  }
}

/** The vertical pass: `rows` holds the source from row `from` on, `length` bytes each. */
function resizeColumns(
  rows: Uint8ClampedArray,
  length: number,
  from: number,
  { first, count, weights, stride }: Taps,
): Uint8ClampedArray {
  const out = new Uint8ClampedArray(first.length * length);
  const sums = new Int32Array(length); // one row at a time, to read memory sequentially
  for (let y = 0; y < first.length; y++) {
    sums.fill(roundingHalf);
    for (let k = 0; k < count[y]; k++) {
      addRow(sums, rows, (first[y] + k - from) * length, weights[y * stride + k]);
    }
    for (let i = 0; i < length; i++) out[y * length + i] = sums[i] >> precisionBits;
  }
  return out;
}

/** sums += weight · a row */
function addRow(sums: Int32Array, rows: Uint8ClampedArray, row: number, weight: number): void {
  for (let i = 0; i < sums.length; i++) {
    sums[i] = (sums[i] + Math.imul(weight, rows[row + i])) | 0;
  }
}
