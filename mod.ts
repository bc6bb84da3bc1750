/**
 * Convolution kernels for Deno, browsers and edge runtimes: AssemblyScript compiled to SIMD
 * WebAssembly, and the AlexNet that proves them.
 *
 * Operations are functions of tensors, in the manner of `torch.nn.functional`; layers carry their
 * parameters, in the manner of `torch.nn`. Tensors are N, C, H, W and weights O, I, kH, kW.
 *
 * @example A layer
 * ```ts
 * import { Conv2d, createBackend } from "./mod.ts";
 *
 * using backend = await createBackend();
 * using conv = new Conv2d(3, 8, 3, { padding: 1 }).init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(3 * 5 * 5), [1, 3, 5, 5]);
 * using y = conv.forward(x);
 * console.log(y.shape, await y.read());
 * ```
 *
 * @example A photo
 * ```ts
 * import { loadModel, decodeImage } from "./mod.ts";
 *
 * using model = await loadModel();
 * const image = await decodeImage(await Deno.readFile("tests/photos/coffee.jpg"));
 * const [best] = await model.classify(image);
 * console.log(best.label); // espresso
 * ```
 *
 * @module
 */

export * from "./src/backend/mod.ts";
export type { Chunks } from "./src/io/download.ts";
export * from "./src/errors.ts";
export * from "./src/layers/mod.ts";
export * from "./src/models/mod.ts";
export * from "./src/ops/mod.ts";
export * from "./src/random.ts";
export { type Shape, Tensor, type TensorStorage, type Values } from "./src/tensor.ts";
export * from "./src/train/mod.ts";
export * from "./src/weights/mod.ts";
export {
  type CodecModules,
  decodeImage,
  type DecodeOptions,
  type Decoder,
} from "./src/image/decode.ts";
export { fromRgba, type RgbaImage, type RgbImage } from "./src/image/pixels.ts";
export {
  caffePreprocessing,
  type ChannelOrder,
  imagenetPreprocessing,
  preprocess,
  type Preprocessing,
} from "./src/image/preprocess.ts";
export type { Interpolation } from "./src/image/resize.ts";
