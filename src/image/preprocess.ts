/**
 * From pixels to the tensor a network takes, as torchvision's transforms make it. Nothing here loads
 * a codec.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkPixels, checkSize, type RgbImage } from "./pixels.ts";
import { release } from "./release.ts";
import { checkInterpolation, type Interpolation, resizeWindow, shorterSideTo } from "./resize.ts";

/** What happens to an image before a network sees it. */
export interface Preprocessing {
  /** The shorter side after resizing, in pixels. */
  readonly resize: number;
  /** The filter that resizes, antialiased. Default bilinear. */
  readonly interpolation?: Interpolation;
  /** The side of the square cut from the centre, in pixels. */
  readonly crop: number;
  /** Subtracted from red, green and blue, which run from 0 to 1. */
  readonly mean: readonly [number, number, number];
  /** Divides what the subtraction leaves: of red, green and blue again. */
  readonly std: readonly [number, number, number];
  /** The order of the planes in the tensor. Default "rgb". */
  readonly channels?: ChannelOrder;
}

/** The order of the planes of colour in a tensor. */
export type ChannelOrder = "rgb" | "bgr";

/** All of them. */
export const channelOrders: readonly ChannelOrder[] = ["rgb", "bgr"];

/** What the ImageNet models of torchvision were trained with. */
export const imagenetPreprocessing: Preprocessing = {
  resize: 256,
  crop: 224,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

/**
 * What Caffe's ImageNet models take: blue, green and red from 0 to 255, less their means. The numbers
 * are those of the script by which ONNX's model zoo measures its AlexNet. That script squeezes an image
 * into 224×224, and Caffe's own tools squeeze it into 256×256 and crop; this keeps its proportions.
 *
 * Source: https://github.com/onnx/models, AlexNet's README, and the script it names for its accuracy:
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
 * Cuts a square from the centre, as `torchvision.transforms.CenterCrop(size)` does: an image that is
 * too small is padded with black first, and half a pixel goes to the even side.
 *
 * @param image The image; it is not changed.
 * @param size Side of the square, in pixels.
 * @returns A new image of `size × size`.
 * @throws {ArgumentError} If the size is not a positive integer.
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
  return resizeAndCrop(image, image.width, image.height, size);
}

/**
 * Resizes the shorter side, crops the centre and normalises: torchvision's
 * `Compose([Resize(resize, interpolation), CenterCrop(crop), ToTensor(), Normalize(mean, std)])`, bit
 * for bit.
 *
 * Only the pixels inside the crop are computed, so a long thin image costs no more than another.
 *
 * @param image The image; it is not changed.
 * @param options Sizes and statistics, ImageNet's unless told otherwise.
 * @returns `3 × crop × crop` floats: the red plane, the green, the blue; or the other way round.
 * @throws {ArgumentError} If a size is not a positive integer, a standard deviation is 0, or the order
 * of channels is unknown.
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
  checkSize("preprocess", "resize", options.resize);
  checkSize("preprocess", "crop", options.crop);
  const { interpolation = "bilinear", channels = "rgb" } = options;
  checkInterpolation("preprocess", interpolation);
  if (!channelOrders.includes(channels)) {
    throw new ArgumentError("preprocess", "channels", channels, '"rgb" or "bgr"');
  }
  const [width, height] = shorterSideTo(options.resize, image);
  const { data } = resizeAndCrop(image, width, height, options.crop, interpolation);
  const area = options.crop * options.crop;
  const tensor = new Float32Array(3 * area);
  for (let c = 0; c < 3; c++) {
    const values = normalised(options.mean[c], options.std[c]);
    const plane = channels === "rgb" ? c : 2 - c;
    for (let i = 0; i < area; i++) tensor[plane * area + i] = values[data[i * 3 + c]];
  }
  release(data);
  return tensor;
}

/** What each of the 256 bytes becomes, every step rounded to float32 as PyTorch rounds it. */
function normalised(mean: number, std: number): Float32Array {
  const f32 = Math.fround;
  if (!Number.isFinite(mean)) {
    throw new ArgumentError("preprocess", "mean", mean, "three finite numbers");
  }
  if (!Number.isFinite(std) || f32(std) === 0) {
    throw new ArgumentError("preprocess", "std", std, "three finite numbers other than 0");
  }
  const table = new Float32Array(256); // it rounds the last step
  for (let byte = 0; byte < 256; byte++) {
    table[byte] = f32(f32(byte / 255) - f32(mean)) / f32(std);
  }
  return table;
}

/** The centre `size × size` of the image resized to `width × height`, black where there is none. */
function resizeAndCrop(
  image: RgbImage,
  width: number,
  height: number,
  size: number,
  interpolation?: Interpolation,
): RgbImage {
  const left = cropStart(width, size), top = cropStart(height, size);
  const window = {
    left: Math.max(left, 0),
    top: Math.max(top, 0),
    width: Math.min(width, size),
    height: Math.min(height, size),
  };
  const inner = resizeWindow(image, width, height, window, interpolation);
  if (inner.width === size && inner.height === size) return inner;
  const data = new Uint8ClampedArray(size * size * 3);
  const x = Math.max(-left, 0), y = Math.max(-top, 0);
  for (let row = 0; row < inner.height; row++) {
    const from = row * inner.width * 3;
    data.set(
      inner.data.subarray(from, from + inner.width * 3),
      ((y + row) * size + x) * 3,
    );
  }
  release(inner.data);
  return { width: size, height: size, data };
}

/**
 * Where the crop begins on an axis; negative: so many pixels of padding. torchvision pads the smaller
 * half first, and crops at Python's `round()`, which takes a half to the even side.
 */
function cropStart(length: number, size: number): number {
  const spare = length - size;
  if (spare < 0) return -Math.floor(-spare / 2);
  const half = Math.floor(spare / 2);
  return spare % 2 === 1 && half % 2 === 1 ? half + 1 : half;
}
