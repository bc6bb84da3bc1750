/** Operations on tensors, in the manner of `torch.nn.functional`. */

export type * from "../backend/geometry.ts";
export * from "./activation.ts";
export type { AccumulateOptions, OutOptions } from "./checks.ts";
export * from "./conv1d_matrix.ts";
export {
  biasBackward,
  conv1d,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv2d,
  conv2dBackwardInput,
  conv2dBackwardWeight,
  type ConvAlgorithm,
  type FusedOptions,
  prepareConv,
  PreparedConv,
} from "./conv.ts";
export type { Conv1dOptions, Conv2dOptions, Padding1d, Padding2d } from "./conv_geometry.ts";
export * from "./linear.ts";
export * from "./loss.ts";
export * from "./norm.ts";
export * from "./pool.ts";
export type { Pool1dOptions, Pool2dOptions } from "./pool_geometry.ts";
export { QuantizedWeight, quantizeLinear } from "./quantize.ts";
