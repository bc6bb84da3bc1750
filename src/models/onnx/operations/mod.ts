/**
 * The ONNX operations that layers compute.
 *
 * @module
 */

import type { Operation } from "../builder.ts";
import * as activation from "./activation.ts";
import * as arithmetic from "./arithmetic.ts";
import { conv, convTranspose, gemm, matMul } from "./convolution.ts";
import * as normalization from "./normalization.ts";
import { averagePool, globalPool, maxPool } from "./pooling.ts";
import { resize } from "./resize.ts";
import * as shape from "./shape.ts";

/** The operations by name. */
export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["Add", arithmetic.add],
  ["AveragePool", averagePool],
  ["BatchNormalization", normalization.batchNorm],
  ["Cast", activation.cast],
  ["CastLike", activation.identity],
  ["Clip", activation.clip],
  ["Concat", shape.concat],
  ["Conv", conv],
  ["ConvTranspose", convTranspose],
  ["DepthToSpace", shape.depthToSpace],
  ["Div", arithmetic.div],
  ["Dropout", activation.dropout],
  ["Elu", activation.elu],
  ["Erf", arithmetic.pattern],
  ["Flatten", shape.flatten],
  ["Gather", shape.gather],
  ["Gelu", activation.gelu],
  ["Gemm", gemm],
  ["GlobalAveragePool", globalPool("mean")],
  ["GlobalMaxPool", globalPool("max")],
  ["GroupNormalization", normalization.groupNormalization],
  ["HardSigmoid", activation.hardSigmoid],
  ["HardSwish", activation.hardSwish],
  ["Identity", activation.identity],
  ["InstanceNormalization", normalization.instanceNormalization],
  ["LRN", normalization.localResponseNorm],
  ["LayerNormalization", normalization.layerNormalization],
  ["LeakyRelu", activation.leakyRelu],
  ["LogSoftmax", activation.logSoftmax],
  ["MatMul", matMul],
  ["Max", activation.extremum("Max")],
  ["MaxPool", maxPool],
  ["Min", activation.extremum("Min")],
  ["Mul", arithmetic.mul],
  ["Neg", arithmetic.neg],
  ["PRelu", activation.pRelu],
  ["Pad", shape.pad],
  ["Pow", arithmetic.pow],
  ["ReduceMax", arithmetic.reduction("max")],
  ["ReduceMean", arithmetic.reduction("mean")],
  ["ReduceSum", arithmetic.reduction("sum")],
  ["Relu", activation.relu],
  ["Reshape", shape.reshape],
  ["Resize", resize],
  ["Sigmoid", activation.sigmoid],
  ["Slice", shape.slice],
  ["Softmax", activation.softmax],
  ["Softplus", activation.softplus],
  ["SpaceToDepth", shape.spaceToDepth],
  ["Split", shape.split],
  ["Sqrt", arithmetic.pattern],
  ["Squeeze", shape.squeeze],
  ["Sub", arithmetic.sub],
  ["Sum", arithmetic.sum],
  ["Tanh", activation.tanh],
  ["Transpose", shape.transpose],
  ["Unsqueeze", shape.unsqueeze],
  ["Upsample", resize],
]);

/** Operations with several outputs, of which the first, or all, are supported. */
export const severalOutputs: ReadonlySet<string> = new Set([
  ...["Dropout", "LayerNormalization", "MaxPool", "Split"],
]);
