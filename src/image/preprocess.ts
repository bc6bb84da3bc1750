/**
 * Turns pixels into a network's input, like torchvision's transforms. Nothing here loads a codec.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkOptions } from "../options.ts";
import { checkPixels, checkSize, lumaAt, type RgbImage } from "./pixels.ts";
import { release } from "./release.ts";
import { checkInterpolation, type Interpolation, resizeWindow, shorterSideTo } from "./resize.ts";

/**
 * How an image is resized, cropped and normalised for a network: as its training images were. Values
 * from 0 to 1 become `(value − mean) / std`. {@linkcode Classifier} has that of its network.
 */
export interface Preprocessing {
  /** The shorter side after resizing, in pixels. */
  readonly resize: number;
  /** The antialiasing filter for resizing: "bilinear", the default, or "bicubic". */
  readonly interpolation?: Interpolation;
  /** The side of the centre crop, in pixels; its height, if there is a `cropWidth`. */
  readonly crop: number;
  /** The width of the centre crop, in pixels. Default: a square. */
  readonly cropWidth?: number;
  /** Means of red, green and blue, on a scale from 0 to 1. */
  readonly mean: readonly [number, number, number];
  /** Standard deviations of red, green and blue, on a scale from 0 to 1. */
  readonly std: readonly [number, number, number];
  /**
   * The order of the planes in the tensor: "rgb", the default, or "bgr". "gray" is a single plane of
   * luma (ITU-R BT.601, as Pillow's `convert("L")`), with the first mean and standard deviation.
   */
  readonly channels?: ChannelOrder;
  /** The axes of the tensor: "nchw", the default, is [C, H, W], and "nhwc" is [H, W, C]. */
  readonly layout?: ChannelLayout;
  /**
   * How fractions of a pixel are rounded. "torchvision", the default, truncates the longer side and
   * rounds the start of the crop to the nearest even number. "caffe" rounds the longer side and
   * truncates the start of the crop.
   */
  readonly rounding?: PixelRounding;
}

/**
 * The order of the colour planes in a tensor.
 */
export type ChannelOrder = "rgb" | "bgr" | "gray";

/**
 * Whether the channels of a tensor come before the pixels, or after them.
 */
export type ChannelLayout = "nchw" | "nhwc";

/**
 * Whose rounding of sizes and positions to use.
 */
export type PixelRounding = "torchvision" | "caffe";

/** The values of the options that are names. The first one is the default. */
export const preprocessingChoices = {
  channels: ["rgb", "bgr", "gray"],
  layout: ["nchw", "nhwc"],
  rounding: ["torchvision", "caffe"],
} as const satisfies { [K in keyof Preprocessing]?: readonly Preprocessing[K][] };

/** The names of the fields of {@linkcode Preprocessing}. */
export const preprocessingNames = [
  "resize",
  "interpolation",
  "crop",
  "cropWidth",
  "mean",
  "std",
  "channels",
  "layout",
  "rounding",
] as const;

/**
 * The preprocessing of torchvision's ImageNet models: the centre of 224×224 pixels, after the shorter side
 * was resized to 256.
 */
export const imagenetPreprocessing: Preprocessing = {
  resize: 256,
  crop: 224,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

/**
 * The preprocessing of networks that were trained on Tiny ImageNet, 64×64 images of Stanford's course
 * CS231n. The mean and deviation are those of its training images. These are center crops of photos, too,
 * but were resized without antialiasing: the sharper bicubic filter comes closest to them.
 */
export const tinyImagenetPreprocessing: Preprocessing = {
  resize: 64,
  interpolation: "bicubic",
  crop: 64,
  mean: [0.4801, 0.4481, 0.3982],
  std: [0.273, 0.266, 0.2778],
};

/**
 * The preprocessing of Caffe's ImageNet models: blue, green and red from 0 to 255, minus their means.
 *
 * The means are those of the script that measures AlexNet's accuracy in ONNX's model zoo. That script
 * stretches an image to 224×224, and Caffe's own tools stretch it to 256×256 and crop. This keeps the
 * aspect ratio.
 *
 * Source: https://github.com/onnx/models, the README of AlexNet, and the script it refers to:
 * https://github.com/intel/neural-compressor, examples/onnxrt/image_recognition/onnx_model_zoo/alexnet/quantization/ptq/main.py
 */
export const caffePreprocessing: Preprocessing = {
  resize: 256,
  crop: 224,
  mean: [123.68 / 255, 116.779 / 255, 103.939 / 255],
  std: [1 / 255, 1 / 255, 1 / 255],
  channels: "bgr",
};

/**
 * Crops a square from the centre, like `torchvision.transforms.CenterCrop(size)`. An image that is too
 * small is padded with black first. Half a pixel is rounded to the even side.
 *
 * @param image The image. It is not changed.
 * @param size Side of the square, in pixels.
 * @returns A new image of `size × size` pixels.
 * @throws {ArgumentError} When the size is not a positive integer.
 *
 * @example
 * ```ts
 * import { centerCrop } from "./preprocess.ts";
 *
 * const image = { width: 3, height: 1, data: Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3) };
 * console.log(centerCrop(image, 1).data); // Uint8ClampedArray(3) [ 2, 2, 2 ]
 * ```
 */
export function centerCrop(image: RgbImage, size: number): RgbImage {
  checkPixels("centerCrop", image, 3);
  checkSize("centerCrop", "size", size);
  return resizeAndCrop(image, image, { width: size, height: size });
}

/**
 * Resizes the shorter side, crops the centre and normalises. The result equals torchvision's
 * `Compose([Resize(resize, interpolation), CenterCrop(crop), ToTensor(), Normalize(mean, std)])`, bit
 * for bit.
 *
 * Only the pixels inside the crop are computed, so a long thin image costs no more than any other.
 *
 * @param image The image. It is not changed.
 * @param options Sizes and statistics. Default: those of ImageNet.
 * @returns `3 × crop × cropWidth` floats: the red, green and blue planes, or what `channels` and
 * `layout` say.
 * @throws {ArgumentError} When a size is not a positive integer, a mean or standard deviation is not
 * finite, a standard deviation is 0, or an option or its value is unknown.
 *
 * @example
 * ```ts
 * import { preprocess } from "./preprocess.ts";
 *
 * const grey = { width: 300, height: 200, data: new Uint8Array(300 * 200 * 3).fill(124) };
 * const tensor = preprocess(grey);
 * console.log(tensor.length, tensor[0].toFixed(4)); // 150528 0.0056
 * ```
 */
export function preprocess(
  image: RgbImage,
  options: Preprocessing = imagenetPreprocessing,
): Float32Array<ArrayBuffer> {
  checkPixels("preprocess", image, 3);
  checkOptions("preprocess", options, preprocessingNames);
  checkSize("preprocess", "resize", options.resize);
  const { crop, cropWidth = crop, interpolation = "bilinear" } = options;
  checkSize("preprocess", "crop", crop);
  checkSize("preprocess", "cropWidth", cropWidth);
  checkInterpolation("preprocess", interpolation);
  const channels = choice(options, "channels"), layout = choice(options, "layout");
  const rounding = choice(options, "rounding");
  const [width, height] = shorterSideTo(options.resize, image, rounding);
  const cropped = { width: cropWidth, height: crop };
  const { data } = resizeAndCrop(image, { width, height }, cropped, { interpolation, rounding });
  const area = crop * cropWidth, planes = channels === "gray" ? 1 : 3;
  if (channels === "gray") redToLuma(data);
  const tensor = new Float32Array(planes * area);
  const [planeStep, pixelStep] = layout === "nchw" ? [area, 1] : [1, planes];
  for (let c = 0; c < planes; c++) {
    const values = normalisationTable(options, c);
    const start = (channels === "bgr" ? 2 - c : c) * planeStep;
    for (let i = 0; i < area; i++) tensor[start + i * pixelStep] = values[data[i * 3 + c]];
  }
  release(data);
  return tensor;
}

/**
 * A part of an image, in pixels.
 */
export interface Region {
  /** The distance of its left edge from that of the image. Negative where the crop is padded. */
  readonly left: number;
  /** The distance of its upper edge from that of the image. Negative where the crop is padded. */
  readonly top: number;
  /** Its width. */
  readonly width: number;
  /** Its height. */
  readonly height: number;
}

/**
 * Returns the part of an image that {@linkcode preprocess} crops, in the pixels of the image itself.
 * Edges may lie inside a pixel.
 */
export function cropRegion(
  image: { readonly width: number; readonly height: number },
  options: Preprocessing = imagenetPreprocessing,
): Region {
  const { resize, crop, cropWidth = crop, rounding } = options;
  const [width, height] = shorterSideTo(resize, image, rounding);
  const across = image.width / width, down = image.height / height;
  return {
    left: cropStart(width, cropWidth, rounding) * across,
    top: cropStart(height, crop, rounding) * down,
    width: cropWidth * across,
    height: crop * down,
  };
}

/** The value of an option that is a name. */
function choice<K extends keyof typeof preprocessingChoices>(
  options: Preprocessing,
  name: K,
): NonNullable<Preprocessing[K]> {
  const values: readonly unknown[] = preprocessingChoices[name];
  const value = options[name] ?? preprocessingChoices[name][0];
  if (values.includes(value)) return value as NonNullable<Preprocessing[K]>;
  const expected = values.map((known) => `"${known}"`).join(" or ");
  throw new ArgumentError("preprocess", name, value, expected);
}

/** Replaces the red of each pixel by its luma. */
function redToLuma(data: RgbImage["data"]): void {
  for (let i = 0; i < data.length; i += 3) data[i] = lumaAt(data, i);
}

/** The normalised value of each byte of a channel. Every step is rounded to float32, as in PyTorch. */
function normalisationTable(options: Preprocessing, channel: number): Float32Array {
  const f32 = Math.fround, mean = options.mean?.[channel], std = options.std?.[channel];
  if (!Number.isFinite(mean)) {
    throw new ArgumentError("preprocess", "mean", options.mean, "three finite numbers");
  }
  if (!Number.isFinite(std) || f32(std) === 0) {
    throw new ArgumentError("preprocess", "std", options.std, "three finite numbers other than 0");
  }
  const table = new Float32Array(256); // storing rounds the last step
  for (let byte = 0; byte < 256; byte++) {
    table[byte] = f32(f32(byte / 255) - f32(mean)) / f32(std);
  }
  return table;
}

/** A width and a height in pixels. */
interface PlaneSize {
  readonly width: number;
  readonly height: number;
}

/** The centre of the image in another size, padded with black. */
function resizeAndCrop(
  image: RgbImage,
  resized: PlaneSize,
  { width, height }: PlaneSize,
  { interpolation, rounding }: Pick<Preprocessing, "interpolation" | "rounding"> = {},
): RgbImage {
  const left = cropStart(resized.width, width, rounding);
  const top = cropStart(resized.height, height, rounding);
  const window = {
    left: Math.max(left, 0),
    top: Math.max(top, 0),
    width: Math.min(resized.width, width),
    height: Math.min(resized.height, height),
  };
  const inner = resizeWindow(image, resized.width, resized.height, window, interpolation);
  if (inner.width === width && inner.height === height) return inner;
  const data = new Uint8ClampedArray(width * height * 3);
  const x = Math.max(-left, 0), y = Math.max(-top, 0);
  for (let row = 0; row < inner.height; row++) {
    const from = row * inner.width * 3;
    data.set(inner.data.subarray(from, from + inner.width * 3), ((y + row) * width + x) * 3);
  }
  release(inner.data);
  return { width, height, data };
}

/**
 * The start of the crop on an axis; if negative, the number of padding pixels in front. torchvision
 * puts the smaller half of an odd padding first, and crops at Python's `round()`, which rounds a half
 * to the even number. Caffe truncates it.
 */
function cropStart(length: number, size: number, rounding?: PixelRounding): number {
  const spare = length - size;
  if (spare < 0) return -Math.floor(-spare / 2);
  const half = Math.floor(spare / 2);
  return rounding !== "caffe" && spare % 2 === 1 && half % 2 === 1 ? half + 1 : half;
}
