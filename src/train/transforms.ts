/**
 * Random changes of images, with the names of `torchvision.transforms`.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkPixels, lumaAt, type RgbImage } from "../image/pixels.ts";
import { crop, resize, type Window } from "../image/resize.ts";
import { checkFraction, checkInteger, checkNonNegative } from "../ops/checks.ts";
import { checkOptions } from "../options.ts";
import type { RandomGenerator } from "../random.ts";

/**
 * Returns a changed image. It may return the image itself, but does not change it.
 */
export type Transform = (image: RgbImage, generator: RandomGenerator) => RgbImage;

/** A uniform number from [from, to). */
function between(generator: RandomGenerator, from: number, to: number): number {
  return from + (to - from) * generator.random() * 2 ** -32;
}

/**
 * Options of {@linkcode randomResizedCrop}.
 */
export interface RandomResizedCropOptions {
  /** The area of the crop as a share of the image, [min, max]. Default: [0.08, 1]. */
  readonly scale?: readonly [number, number];
  /** Width / height of the crop, [min, max]. Default: [3/4, 4/3]. */
  readonly ratio?: readonly [number, number];
}

/**
 * Crops a random part and resizes it to a square, `torchvision.transforms.RandomResizedCrop`. If no
 * part fits in ten tries, it is the largest one at the centre with an allowed ratio.
 *
 * @param size The side of the result, in pixels.
 * @param options `scale`, the least and largest share of the area (default [0.08, 1]), and
 * `ratio`, the least and largest width / height (default [3/4, 4/3]).
 * @returns The change. It draws random numbers from the generator that it gets.
 * @throws {ArgumentError} When an option is invalid.
 *
 * @example
 * ```ts
 * import { RandomGenerator } from "../random.ts";
 * import { randomResizedCrop } from "./transforms.ts";
 *
 * const image = { width: 4, height: 2, data: new Uint8Array(4 * 2 * 3) };
 * const crop = randomResizedCrop(2, { scale: [0.5, 1] });
 * const { width, height } = crop(image, new RandomGenerator(1));
 * console.log(width, height); // 2 2
 * ```
 */
export function randomResizedCrop(
  size: number,
  options: RandomResizedCropOptions = {},
): Transform {
  const op = "randomResizedCrop";
  checkInteger(op, "size", size, 1);
  checkOptions(op, options, ["scale", "ratio"]);
  const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3] } = options;
  checkRange(op, "scale", scale);
  checkRange(op, "ratio", ratio);
  return (image, generator) => {
    checkPixels(op, image, 3);
    return resize(crop(image, randomPart(image, scale, ratio, generator)), size, size);
  };
}

/** Draws a part of an image, as torchvision does. */
function randomPart(
  image: RgbImage,
  scale: readonly [number, number],
  ratio: readonly [number, number],
  generator: RandomGenerator,
): Window {
  for (let i = 0; i < 10; i++) {
    const area = image.width * image.height * between(generator, ...scale);
    const shape = Math.exp(between(generator, Math.log(ratio[0]), Math.log(ratio[1])));
    const width = Math.round(Math.sqrt(area * shape));
    const height = Math.round(Math.sqrt(area / shape));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const left = Math.floor(between(generator, 0, image.width - width + 1));
    const top = Math.floor(between(generator, 0, image.height - height + 1));
    return { left, top, width, height };
  }
  const whole = image.width / image.height;
  const shape = Math.min(Math.max(whole, ratio[0]), ratio[1]);
  const width = shape < whole ? Math.round(image.height * shape) : image.width;
  const height = shape > whole ? Math.round(image.width / shape) : image.height;
  const left = Math.floor((image.width - width) / 2), top = Math.floor((image.height - height) / 2);
  return { left, top, width: Math.max(width, 1), height: Math.max(height, 1) };
}

/**
 * Swaps left and right with a probability, `torchvision.transforms.RandomHorizontalFlip`.
 *
 * @param p The probability. Default: 0.5.
 * @throws {ArgumentError} When p is not between 0 and 1.
 *
 * @example
 * ```ts
 * import { RandomGenerator } from "../random.ts";
 * import { randomHorizontalFlip } from "./transforms.ts";
 *
 * const image = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
 * const { data } = randomHorizontalFlip(1)(image, new RandomGenerator(1));
 * console.log(data); // Uint8Array(6) [ 4, 5, 6, 1, 2, 3 ]
 * ```
 */
export function randomHorizontalFlip(p = 0.5): Transform {
  checkFraction("randomHorizontalFlip", "p", p);
  return (image, generator) => {
    checkPixels("randomHorizontalFlip", image, 3);
    if (between(generator, 0, 1) >= p) return image;
    const { width, height, data } = image, flipped = new Uint8Array(data.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = (y * width + width - 1 - x) * 3, to = (y * width + x) * 3;
        for (let c = 0; c < 3; c++) flipped[to + c] = data[from + c];
      }
    }
    return { width, height, data: flipped };
  };
}

/**
 * Options of {@linkcode colorJitter}. Each factor is from 1 − the option, but at least 0, to 1 + the
 * option.
 */
export interface ColorJitterOptions {
  /** The range of the factor of all colours. Default: 0. */
  readonly brightness?: number;
  /** The range of the factor of the difference from the mean grey of the image. Default: 0. */
  readonly contrast?: number;
  /** The range of the factor of the difference from the grey of the pixel. Default: 0. */
  readonly saturation?: number;
}

/**
 * Changes brightness, contrast and saturation by random factors, `torchvision.transforms.ColorJitter`
 * without hue. Each rounds to bytes, in this order; torchvision shuffles the order.
 *
 * @param options `brightness`, `contrast` and `saturation`: each factor is from 1 − the option,
 * but at least 0, to 1 + the option. Default: 0, no change.
 * @throws {ArgumentError} When an option is negative.
 *
 * @example
 * ```ts
 * import { RandomGenerator } from "../random.ts";
 * import { colorJitter } from "./transforms.ts";
 *
 * const image = { width: 1, height: 1, data: Uint8Array.of(100, 100, 100) };
 * const jitter = colorJitter({ brightness: 0.5 });
 * const { data } = jitter(image, new RandomGenerator(1));
 * console.log(data[0]); // from 50 to 150
 * ```
 */
export function colorJitter(options: ColorJitterOptions = {}): Transform {
  const op = "colorJitter";
  checkOptions(op, options, ["brightness", "contrast", "saturation"]);
  const { brightness = 0, contrast = 0, saturation = 0 } = options;
  for (const [name, value] of Object.entries({ brightness, contrast, saturation })) {
    checkNonNegative(op, name, value);
  }
  const factorOf = (generator: RandomGenerator, spread: number) =>
    between(generator, Math.max(0, 1 - spread), 1 + spread);
  return (image, generator) => {
    checkPixels(op, image, 3);
    const { width, height } = image, data = new Uint8ClampedArray(image.data);
    const [light, difference, color] = [brightness, contrast, saturation].map((spread) =>
      factorOf(generator, spread)
    );
    if (brightness > 0) blend(data, light, () => 0);
    if (contrast > 0) {
      let sum = 0;
      for (let i = 0; i < data.length; i += 3) sum += lumaAt(data, i);
      const mean = Math.floor(sum / (width * height) + 0.5);
      blend(data, difference, () => mean);
    }
    if (saturation > 0) blend(data, color, (i) => lumaAt(data, i));
    return { width, height, data };
  };
}

/** Multiplies the difference of each pixel from another colour by a factor, as Pillow's `blend`. */
function blend(data: Uint8ClampedArray, factor: number, other: (i: number) => number): void {
  for (let i = 0; i < data.length; i += 3) {
    const base = other(i);
    for (let c = 0; c < 3; c++) {
      data[i + c] = Math.trunc(base + factor * (data[i + c] - base));
    }
  }
}

function checkRange(op: string, name: string, range: readonly [number, number]): void {
  const valid = Array.isArray(range) && range.length === 2 && range.every(Number.isFinite) &&
    range[0] > 0 && range[0] <= range[1];
  if (!valid) throw new ArgumentError(op, name, range, "two positive numbers in order");
}
