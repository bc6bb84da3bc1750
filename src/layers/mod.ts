/** Layers like those of `torch.nn`. */

export {
  ElementwiseActivation,
  ELU,
  GELU,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LeakyReLU,
  ReLU,
  ReLU6,
  Sigmoid,
  SiLU,
  Softplus,
  Tanh,
} from "./activation.ts";
export * from "./concat.ts";
export * from "./conv.ts";
export * from "./conv1d.ts";
export * from "./conv_transpose.ts";
export { Dropout, StochasticDepth } from "./dropout.ts";
export * from "./fold.ts";
export { Graph, type GraphOptions } from "./graph.ts";
export { GraphBuilder, type GraphNode } from "./graph_builder.ts";
export { type ForwardOptions, type InitOptions, Layer } from "./layer.ts";
export { MatMul } from "./matmul.ts";
export { MergeLayer } from "./merge_layer.ts";
export * from "./merge.ts";
export { Parameter, parameterCount } from "./parameter.ts";
export * from "./linear.ts";
export { LinearWeight } from "./rounded_weight.ts";
export * from "./norm.ts";
export * from "./pad.ts";
export * from "./permute.ts";
export * from "./pool.ts";
export * from "./precision.ts";
export { PReLU } from "./prelu.ts";
export * from "./row_norm.ts";
export { type Layers, Sequential } from "./sequential.ts";
export * from "./softmax.ts";
export * from "./upsample.ts";
export { Flatten, Identity, Reshape, Unflatten } from "./view.ts";
