/** Operations on tensors, in the manner of `torch.nn.functional`. */

export * from "./activation.ts";
export { conv1d, conv2d, type FusedOptions, prepareConv, type PreparedConv } from "./conv.ts";
export * from "./conv_geometry.ts";
export * from "./linear.ts";
export * from "./loss.ts";
export * from "./norm.ts";
export * from "./pool.ts";
export * from "./pool_geometry.ts";
