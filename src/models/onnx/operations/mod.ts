/**
 * The ONNX operations that layers compute.
 *
 * @module
 */

import type { Operation } from "../builder.ts";
import * as activation from "./activation.ts";
import * as arithmetic from "./arithmetic.ts";
import { expand, tile } from "./broadcast.ts";
import { conv, convTranspose } from "./convolution.ts";
import * as masks from "./masks.ts";
import { einsum } from "./einsum.ts";
import { gemm, matMul } from "./matrix.ts";
import * as normalization from "./normalization.ts";
import { averagePool, globalPool, maxPool } from "./pooling.ts";
import * as positions from "./positions.ts";
import { div, exp, log, pow, reciprocal, reduction, sqrt } from "./power.ts";
import { dequantizeLinear, moving, onIntegers, quantizeLinear } from "./quantization.ts";
import { resize } from "./resize.ts";
import * as shape from "./shape.ts";

/** The operations by name. */
export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>(
  Object.entries({
    Abs: activation.abs,
    Add: arithmetic.add,
    And: masks.and,
    ArgMax: masks.indexOf(1),
    ArgMin: masks.indexOf(-1),
    AveragePool: averagePool,
    BatchNormalization: normalization.batchNorm,
    Cast: activation.cast,
    CastLike: activation.identity,
    Ceil: masks.ceil,
    Celu: activation.celu,
    Clip: activation.clip,
    Concat: moving(shape.concat),
    Conv: conv,
    ConvInteger: onIntegers,
    ConvTranspose: convTranspose,
    DepthToSpace: moving(shape.depthToSpace),
    DequantizeLinear: dequantizeLinear,
    Div: div,
    DynamicQuantizeLinear: onIntegers,
    Dropout: moving(activation.dropout),
    Einsum: einsum,
    Elu: activation.elu,
    Equal: masks.equal,
    Erf: arithmetic.pattern,
    Exp: exp,
    Expand: expand,
    Flatten: moving(shape.flatten),
    Floor: masks.floor,
    Gather: moving(positions.gather),
    Gelu: activation.gelu,
    Gemm: gemm,
    GlobalAveragePool: globalPool("mean"),
    GlobalMaxPool: moving(globalPool("max")),
    Greater: masks.greater,
    GreaterOrEqual: masks.greaterOrEqual,
    GroupNormalization: normalization.groupNormalization,
    HardSigmoid: activation.hardSigmoid,
    HardSwish: activation.hardSwish,
    Identity: moving(activation.identity),
    InstanceNormalization: normalization.instanceNormalization,
    LRN: normalization.localResponseNorm,
    LayerNormalization: normalization.layerNormalization,
    LeakyRelu: activation.leakyRelu,
    Less: masks.less,
    LessOrEqual: masks.lessOrEqual,
    Log: log,
    LogSoftmax: activation.logSoftmax,
    MatMul: matMul,
    MatMulInteger: onIntegers,
    Max: activation.extremum("Max"),
    MaxPool: moving(maxPool),
    Min: activation.extremum("Min"),
    Mish: activation.mish,
    Mul: arithmetic.mul,
    Neg: arithmetic.neg,
    Not: masks.not,
    Or: masks.or,
    PRelu: activation.pRelu,
    Pad: positions.pad,
    Pow: pow,
    QLinearConv: onIntegers,
    QLinearMatMul: onIntegers,
    QuantizeLinear: quantizeLinear,
    Reciprocal: reciprocal,
    ReduceL1: reduction("L1"),
    ReduceL2: reduction("L2"),
    ReduceLogSumExp: reduction("logSumExp"),
    ReduceMax: reduction("max"),
    ReduceMean: reduction("mean"),
    ReduceMin: reduction("min"),
    ReduceSum: reduction("sum"),
    ReduceSumSquare: reduction("squares"),
    Relu: activation.relu,
    Reshape: moving(shape.reshape),
    Resize: resize,
    Round: masks.round,
    Selu: activation.selu,
    Sigmoid: activation.sigmoid,
    Sign: masks.sign,
    Slice: moving(positions.slice),
    Softmax: activation.softmax,
    Softplus: activation.softplus,
    SpaceToDepth: moving(shape.spaceToDepth),
    Split: moving(positions.split),
    Sqrt: sqrt,
    Squeeze: moving(shape.squeeze),
    Sub: arithmetic.sub,
    Sum: arithmetic.sum,
    Tanh: activation.tanh,
    Tile: tile,
    Transpose: moving(shape.transpose),
    Unsqueeze: moving(shape.unsqueeze),
    Upsample: resize,
    Where: masks.where,
  }),
);

/** Operations with several outputs, of which the first, or all, are supported. */
export const severalOutputs: ReadonlySet<string> = new Set([
  ...["Dropout", "DynamicQuantizeLinear", "LayerNormalization", "MaxPool", "Split"],
]);

/** Operations that take integers for floats. */
export const takesIntegers: ReadonlySet<string> = new Set([
  ...["Cast", "Concat", "DepthToSpace", "DequantizeLinear", "Dropout", "Flatten", "Gather"],
  ...[
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
  ],
  ...["Transpose", "Unsqueeze"],
]);
