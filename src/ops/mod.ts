/**
 * Operations on tensors, like those of `torch.nn.functional`, and all their gradients. The main
 * `mod.ts` exports the operations, too. Layers of your own need this module for their backward pass.
 *
 * @example The gradient of an activation
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { gelu, geluBackward } from "./mod.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([-1, 0, 1], [3]), dy = backend.upload([1, 1, 1], [3]);
 * using y = gelu(x), dx = geluBackward(dy, x);
 * console.log(await y.read(), await dx.read()); // -0.16, 0, 0.84 and -0.08, 0.5, 1.08
 * ```
 *
 * @module
 */

export * from "./activation.ts";
export * from "./activation_backward.ts";
export { add, addBackward, mul, mulBackward } from "./arithmetic.ts";
export type { AccumulateOptions, OutOptions } from "./checks.ts";
export { cat, slice, sliceBackward } from "./concat.ts";
export * from "./conv1d_matrix.ts";
export { conv1d, conv2d } from "./conv.ts";
export { foldConv } from "./fold.ts";
export type { ActivationOptions, FusedActivation, FusedOptions } from "./fused.ts";
export {
  biasBackward,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv2dBackwardInput,
  conv2dBackwardWeight,
} from "./conv_backward.ts";
export {
  convTranspose1d,
  convTranspose2d,
  convTransposeBackwardInput,
  convTransposeBackwardWeight,
  type ConvTransposeOptions,
} from "./conv_transpose.ts";
export type { Conv1dOptions, Conv2dOptions, Padding1d, Padding2d } from "./conv_geometry.ts";
export * from "./dropout.ts";
export { half } from "./half.ts";
export { interpolate, interpolateBackward, type InterpolateOptions } from "./interpolate.ts";
export * from "./linear.ts";
export * from "./loss.ts";
export { matmul, matmulBackward } from "./matmul.ts";
export * from "./norm.ts";
export { pad, padBackward, type PadMode } from "./pad.ts";
export { channelShuffle, inversePermutation, permute } from "./permute.ts";
export * from "./pool.ts";
export type { Pool1dOptions, Pool2dOptions } from "./pool_geometry.ts";
export {
  type AlgorithmOptions,
  type ConvAlgorithm,
  prepareConv,
  PreparedConv,
  type PrepareOptions,
} from "./prepared_conv.ts";
export * from "./prelu.ts";
export { type InputRange, quantizeConv, QuantizedConv } from "./quantize_conv.ts";
export { QuantizedLinear, quantizeLinear } from "./quantize.ts";
export { groupNorm, groupNormBackward, layerNorm, layerNormBackward } from "./row_norm.ts";
export * from "./softmax.ts";
