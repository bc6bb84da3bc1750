/** Operations on tensors, in the manner of `torch.nn.functional`. */

export * from "./activation.ts";
export * from "./conv.ts";
export * from "./linear.ts";
export * from "./norm.ts";
export * from "./pool.ts";
