/**
 * The kernels of a device: one function for each operation and each gradient. The operations in
 * ops/ have checked the arguments. Unless a comment says otherwise, a kernel writes all of its
 * first parameter.
 *
 * @module
 */

import type { Shape, Tensor } from "../tensor.ts";
import type { DepthwiseKernels } from "./depthwise_kernels.ts";
import type {
  Activation,
  AdamWStep,
  AdaptiveGeometry,
  AxisGeometry,
  BatchNormTensors,
  BroadcastGeometry,
  Conv2dGeometry,
  DropoutMask,
  Epilogue,
  FusedKind,
  LocalResponseNormGeometry,
  MatMulGeometry,
  Pool2dGeometry,
  SgdStep,
} from "./geometry.ts";
import type { LayoutKernels, RowNormKernels } from "./row_kernels.ts";

/** The filters and bias of a convolution. */
export interface Filters {
  /** [outC, inC/groups, (kH,) kW]. */
  readonly weight: Tensor;
  /** [outC]. */
  readonly bias: Tensor;
}

/** The shape and groups of a convolution whose weights are rounded to 8 bits. */
export interface Int8Filters {
  /** [outC, inC/groups, (kH,) kW]. */
  readonly shape: Shape;
  /** Groups of channels. */
  readonly groups: number;
}

/** Weights in 8 bits. */
export interface Int8Weight {
  readonly packed: Tensor<Int8Array>;
  /** The factor of each row's integers, [outC]. */
  readonly scale: Tensor;
}

/** The kernels of forward passes. */
export interface ForwardKernels {
  /** Lays out [outC, inC/groups, (kH,) kW] for {@linkcode ForwardKernels.conv2d}. */
  packConv2d(weight: Tensor, groups: number): Tensor;
  /** y = activation(x ⋆ packed + bias + residual). */
  conv2d(
    y: Tensor,
    x: Tensor,
    packed: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    epilogue: Epilogue,
  ): void;
  /**
   * As conv2d without dilation, by Winograd's minimal filtering; ⌈k/stride⌉ = 3 to 5, 4 only with a
   * stride.
   */
  winograd(
    y: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    g: Conv2dGeometry,
    epilogue: Epilogue,
  ): void;
  /** y = the maxima of the windows; indices = their positions in the plane. Null for no indices. */
  maxPool2d(y: Tensor, indices: Tensor<Int32Array> | null, x: Tensor, g: Pool2dGeometry): void;
  /** y = the sums of the windows, divided by their area, or by `divisor`. */
  avgPool2d(
    y: Tensor,
    x: Tensor,
    g: Pool2dGeometry,
    countIncludePad: boolean,
    divisor: number | null,
  ): void;
  /** y = the means of the windows. Their sizes follow from the shapes of x and y. */
  adaptiveAvgPool2d(y: Tensor, x: Tensor, g: AdaptiveGeometry): void;
  /** As maxPool2d, in the windows of adaptiveAvgPool2d. */
  adaptiveMaxPool2d(
    y: Tensor,
    indices: Tensor<Int32Array> | null,
    x: Tensor,
    g: AdaptiveGeometry,
  ): void;
  /** y = activation(x · weightᵀ + bias). */
  linear(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, activation: FusedKind): void;
  /** y = a · b for each pair of matrices. */
  matmul(y: Tensor, a: Tensor, b: Tensor, g: MatMulGeometry): void;
  /** y = softmax of x along an axis. */
  softmax(y: Tensor, x: Tensor, g: AxisGeometry): void;
  /** y = log-softmax of x along an axis. */
  logSoftmax(y: Tensor, x: Tensor, g: AxisGeometry): void;
  /** y = x normalised by neighbouring channels. */
  localResponseNorm(y: Tensor, x: Tensor, g: LocalResponseNormGeometry): void;
  /** y = activation(x normalised by the statistics of each channel). */
  batchNorm(
    y: Tensor,
    x: Tensor,
    tensors: BatchNormTensors,
    eps: number,
    activation: FusedKind,
  ): void;
  /**
   * folded = the weight and bias of a convolution that includes the batch normalisation after it.
   */
  foldBatchNorm(
    folded: Filters,
    weight: Tensor,
    bias: Tensor | null,
    tensors: BatchNormTensors,
    eps: number,
  ): void;
}

/** The kernels of activation functions, sums and products of elements, forward and backward. */
export interface ElementwiseKernels {
  /** y = a + alpha · b, b repeated; y may be a, or b if that is not repeated. */
  add(y: Tensor, a: Tensor, b: Tensor, g: BroadcastGeometry, alpha: number): void;
  /** y = a · b, b repeated; y may be a, or b if that is not repeated. */
  mul(y: Tensor, a: Tensor, b: Tensor, g: BroadcastGeometry): void;
  /** y = a where x is positive, a · weight elsewhere, weight repeated; y may be a. */
  prelu(y: Tensor, a: Tensor, weight: Tensor, x: Tensor, g: BroadcastGeometry): void;
  /** y = f of each element of x; y may be x. */
  activation(y: Tensor, x: Tensor, f: Activation): void;
  /** dx = dy · f′, from the output or the input of f; dx may be dy. */
  activationBackward(dx: Tensor, dy: Tensor, saved: Tensor, f: Activation): void;
  /**
   * db += Σ dy · a over the elements for which b is repeated. A null a counts as 1. With
   * `negative`, only elements whose a is not positive count.
   */
  sumProducts(
    db: Tensor,
    dy: Tensor,
    a: Tensor | null,
    g: BroadcastGeometry,
    negative: boolean,
  ): void;
}

/** The kernels of weights in 8 or 16 bits. */
export interface QuantizedKernels {
  /**
   * An empty tensor for packed weights of {@linkcode QuantizedKernels.conv2dInt8}. A backend has
   * all kernels of 8-bit convolutions, or none.
   */
  emptyConv2dInt8?(filters: Int8Filters): Tensor<Int8Array>;
  /**
   * Quantises rows of weights, [rows, …], to packed and scale, from row `row` on. With `isScaled`,
   * it uses the present values of scale.
   */
  packConv2dInt8?(
    packed: Tensor<Int8Array>,
    scale: Tensor,
    weight: Tensor,
    row: number,
    filters: Int8Filters,
    isScaled: boolean,
  ): void;
  /**
   * packed = whole rows of integers, from row `row` on, in order. Rounds their scales as
   * {@linkcode QuantizedKernels.packConv2dInt8} does. A backend has this and
   * {@linkcode QuantizedKernels.packLinearIntegers}, or neither.
   */
  packConv2dIntegers?(
    packed: Tensor<Int8Array>,
    scale: Tensor,
    integers: Int8Array,
    row: number,
    filters: Int8Filters,
  ): void;
  /** values = the integers of packed, [outC, inC/groups, (kH,) kW]. */
  unpackConv2dInt8?(
    values: Tensor<Int8Array>,
    packed: Tensor<Int8Array>,
    filters: Int8Filters,
  ): void;
  /**
   * y = activation(x ⋆ (scale · packed) + bias + residual), with x rounded to 7 or 14 bits. `range`
   * is the least and the largest input. If it is null, the kernel finds them in each sample or
   * pixel.
   */
  conv2dInt8?(
    y: Tensor,
    x: Tensor,
    weight: Int8Weight,
    bias: Tensor | null,
    g: Conv2dGeometry,
    epilogue: Epilogue,
    range: readonly [number, number] | null,
  ): void;
  /** An empty tensor for packed weights [outF, inF] of {@linkcode QuantizedKernels.linearInt8}. */
  emptyLinearInt8(outF: number, inF: number): Tensor<Int8Array>;
  /**
   * Quantises rows of weights, [rows, inF], to packed and scale, from row `row` on. `row` is a
   * multiple of 8, and so is the number of rows, except for the last ones.
   */
  packLinearInt8(packed: Tensor<Int8Array>, scale: Tensor, weight: Tensor, row: number): void;
  /** packed = whole rows of integers, from row `row` on, in order. */
  packLinearIntegers?(
    packed: Tensor<Int8Array>,
    integers: Int8Array,
    row: number,
    shape: Shape,
  ): void;
  /** values = the integers of packed, as rows, [outF, inF]. */
  unpackLinearInt8(values: Tensor<Int8Array>, packed: Tensor<Int8Array>): void;
  /** y = activation(x · (scale · packed)ᵀ + bias). */
  linearInt8(
    y: Tensor,
    x: Tensor,
    packed: Tensor<Int8Array>,
    scale: Tensor,
    bias: Tensor | null,
    activation: FusedKind,
  ): void;
  /** An empty tensor for float16 values. A backend has all kernels of float16, or none. */
  emptyHalf?(shape: Shape): Tensor<Uint16Array>;
  /** half = values, rounded to nearest even, from element `offset` on, an even number. */
  packHalf?(half: Tensor<Uint16Array>, values: Tensor, offset: number): void;
  /** y = activation(x · weightᵀ + bias). */
  linearHalf?(
    y: Tensor,
    x: Tensor,
    weight: Tensor<Uint16Array>,
    bias: Tensor | null,
    activation: FusedKind,
  ): void;
}

/** What the gradient of a batch normalisation reads, and adds to; each of shape [C]. */
export interface BatchNormBackwardTensors {
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly weight: Tensor | null;
  readonly dweight: Tensor | null;
  readonly dbias: Tensor | null;
}

/** The kernels of training: gradients, dropout and optimisers. */
export interface TrainingKernels {
  /** Lays out [outC, inC/groups, (kH,) kW] for {@linkcode TrainingKernels.conv2dBackwardInput}. */
  packConv2dTransposed(weight: Tensor, groups: number): Tensor;
  /** dx = the columns Wᵀ · dy, each added to the elements of its window (col2im). */
  conv2dBackwardInput(dx: Tensor, dy: Tensor, packed: Tensor, g: Conv2dGeometry): void;
  /** dw += dy · columnsᵀ, with the column matrix of x (im2col). */
  conv2dBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void;
  /**
   * As conv2dBackwardInput with stride and dilation 1, by Winograd's minimal filtering; k = 3 or 5.
   */
  winogradBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor, g: Conv2dGeometry): void;
  /** As conv2dBackwardWeight without dilation, by Winograd's minimal filtering; dw += …. */
  winogradBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor, g: Conv2dGeometry): void;
  /** db += Σ dy over all axes but the second. */
  biasBackward(db: Tensor, dy: Tensor): void;
  /** dx = dy, added at the positions of the maxima, plane by plane. */
  maxPool2dBackward(dx: Tensor, dy: Tensor, indices: Tensor<Int32Array>, planes: number): void;
  /** dx = dy, added to all inputs of its window, divided as in the forward pass. */
  avgPool2dBackward(
    dx: Tensor,
    dy: Tensor,
    g: Pool2dGeometry,
    countIncludePad: boolean,
    divisor: number | null,
  ): void;
  /** dx = dy, added to all inputs of its window of an adaptive pooling, divided by its area. */
  adaptiveAvgPool2dBackward(dx: Tensor, dy: Tensor, g: AdaptiveGeometry): void;
  /** dx = dy · weight. */
  linearBackwardInput(dx: Tensor, dy: Tensor, weight: Tensor): void;
  /** dw += dyᵀ · x. */
  linearBackwardWeight(dw: Tensor, dy: Tensor, x: Tensor): void;
  /** dx = y · (dy − Σ dy·y). */
  softmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void;
  /** dx = dy − exp(y) · Σ dy. */
  logSoftmaxBackward(dx: Tensor, dy: Tensor, y: Tensor, g: AxisGeometry): void;
  /** loss and dx = the mean cross-entropy of logits x [N, C] and its gradient. */
  crossEntropy(
    loss: Tensor,
    dx: Tensor,
    x: Tensor,
    targets: Tensor<Int32Array>,
    labelSmoothing: number,
  ): void;
  /** dx = the gradient of local response normalisation. */
  localResponseNormBackward(
    dx: Tensor,
    dy: Tensor,
    x: Tensor,
    g: LocalResponseNormGeometry,
  ): void;
  /** mean and variance of each channel of x. */
  batchNormStatistics(mean: Tensor, variance: Tensor, x: Tensor): void;
  /** dx = the gradient by the statistics of the batch; dweight += … and dbias += …, unless null. */
  batchNormBackward(
    dx: Tensor,
    dy: Tensor,
    x: Tensor,
    tensors: BatchNormBackwardTensors,
    eps: number,
  ): void;
  /** y = x · scale for the elements that the mask keeps, 0 for the others. */
  dropout(y: Tensor, x: Tensor, mask: DropoutMask): void;

  /** Updates w and, unless null, its velocity by a step along the gradient. */
  sgdStep(w: Tensor, dw: Tensor, velocity: Tensor | null, step: SgdStep): void;
  /** Updates w, the mean m of dw and the mean v of dw² by a step along the gradient. */
  adamwStep(w: Tensor, dw: Tensor, m: Tensor, v: Tensor, step: AdamWStep): void;
  /** y = a·x + b·y. */
  axpby(y: Tensor, x: Tensor, a: number, b: number): void;
  /** Σ x². */
  squaredNorm(x: Tensor): Promise<number>;
}

/** All kernels of a backend. */
export type Kernels =
  & ForwardKernels
  & ElementwiseKernels
  & DepthwiseKernels
  & QuantizedKernels
  & TrainingKernels
  & LayoutKernels
  & RowNormKernels;
