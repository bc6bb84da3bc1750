/**
 * Decodes, resizes and normalises images, with the same results as PyTorch's torchvision.
 *
 * Importing this module loads no codec: {@linkcode decodeImage} loads a codec when it needs one.
 * Programs that have pixels already call {@linkcode fromRgba} and {@linkcode preprocess}, and never
 * load any. The main `mod.ts` exports `decodeImage` too; import this module instead if `deno cache`
 * should download the codecs ahead of time.
 *
 * Deno and current browsers find the codecs by themselves. On runtimes that cannot compile
 * WebAssembly from bytes, such as Cloudflare Workers, import the two binaries as modules and pass
 * them: `decodeImage(bytes, { codecs: { jpeg, webp } })`.
 *
 * @example From canvas pixels to AlexNet's input
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

import "./codecs/npm_packages.js";

export { type CodecModules, decodeImage, type DecodeOptions, type Decoder } from "./decode.ts";
export { type HeaderOptions, imageMemory } from "./header.ts";
export { type AcquireOptions, MemoryBudget, type MemoryShare } from "./memory_budget.ts";
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
