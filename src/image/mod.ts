/**
 * Images in and tensors out: decoding, resizing and normalising as PyTorch's torchvision does.
 *
 * Importing this loads no codec; {@linkcode decodeImage} loads the one it needs. Programs that bring
 * their own pixels call {@linkcode fromRgba} and {@linkcode preprocess}, and never load any. `mod.ts`
 * exports the same function; for a program that imports this module, `deno cache` fetches the codecs
 * ahead.
 *
 * Deno and current browsers find the codecs by themselves. Where WebAssembly has to be compiled
 * ahead, as on Cloudflare Workers, import the two files as modules and pass them:
 * `decodeImage(bytes, { codecs: { jpeg, webp } })`.
 *
 * @example Pixels from a canvas to what AlexNet takes
 * ```ts
 * import { fromRgba, preprocess } from "./mod.ts";
 *
 * const pixels = new ImageData(320, 240); // or context.getImageData(0, 0, 320, 240)
 * const tensor = preprocess(fromRgba(pixels));
 * console.log(tensor.length); // 150528, which is 3 × 224 × 224
 * ```
 *
 * @module
 */

import "./codecs/ahead.js";

export { type CodecModules, decodeImage, type DecodeOptions, type Decoder } from "./decode.ts";
export { fromRgba, type RgbaImage, type RgbImage } from "./pixels.ts";
export {
  caffePreprocessing,
  centerCrop,
  type ChannelOrder,
  imagenetPreprocessing,
  preprocess,
  type Preprocessing,
} from "./preprocess.ts";
export { type Interpolation, resize, resizeShorterSide } from "./resize.ts";
export { ArgumentError, FileError, PembrokeError, TooLargeError } from "../errors.ts";
