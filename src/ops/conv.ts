/**
 * Convolution in one and two dimensions: cross-correlation without kernel flip, as in every
 * deep-learning library.
 *
 * @module
 */

import type { Conv2dGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import { type Shape, Tensor } from "../tensor.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkInteger,
  checkTensor,
  type OutOptions,
  produce,
} from "./checks.ts";
import {
  conv1dGeometry,
  type Conv1dOptions,
  conv2dGeometry,
  type Conv2dOptions,
} from "./conv_geometry.ts";

/** What an operation may do besides: fuse a ReLU, write to a tensor that is there. */
export interface FusedOptions {
  /** Clamps the output at 0 while it is written. */
  readonly activation?: "relu";
  /** The tensor to write to; without it a new one is returned. */
  readonly out?: Tensor;
}

/**
 * How a convolution is computed: "direct" through the column matrix, "winograd" by minimal filtering
 * (Lavin & Gray 2016; kernels of 3×3 or 5×5, stride and dilation 1), which takes less than half the
 * time and rounds more: it differs from "direct" by about 10⁻⁵ of the largest output.
 */
export type ConvAlgorithm = "direct" | "winograd";

/** Weights laid out for a backend's kernel by {@linkcode prepareConv}; the caller's to dispose. */
export class PreparedConv implements Disposable {
  /**
   * See {@linkcode prepareConv}.
   *
   * @param shape The weights' own shape, [outC, inC/groups, (kH,) kW].
   * @param groups The groups they were laid out for.
   * @param packed The packed values.
   * @param algorithm What they were laid out for.
   */
  constructor(
    readonly shape: Shape,
    readonly groups: number,
    readonly packed: Tensor,
    readonly algorithm: ConvAlgorithm = "direct",
  ) {}

  /** Gives their memory back. */
  dispose(): void {
    this.packed.dispose();
  }

  /** What `using` calls at the end of the block: {@linkcode PreparedConv.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * y[n, o, i, j] = Σ x[n, c, i·stride + k·dilation − padding, …] · weight[o, c, k, l] + bias[o].
 *
 * @param x [N, C, H, W].
 * @param weight [outC, C/groups, kH, kW], or the same prepared.
 * @param bias [outC], or null for none.
 * @returns [N, outC, oH, oW].
 * @throws {ArgumentError} when shapes and options do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend.ts";
 * import { conv2d } from "./conv.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
 * using w = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
 * using y = conv2d(x, w, null, { padding: 1 });
 * console.log(await y.read()); // 4, 6, 4, 6, 9, 6, 4, 6, 4
 * ```
 */
export function conv2d(
  x: Tensor,
  weight: Tensor | PreparedConv,
  bias: Tensor | null,
  options: Conv2dOptions & FusedOptions = {},
): Tensor {
  const op = "conv2d";
  checkOperands(op, x, weight);
  const g = conv2dGeometry(op, x.shape, weight.shape, options);
  return convolve(op, x, weight, bias, g, [g.n, g.outC, g.oh, g.ow], options);
}

/**
 * Lays weights out for {@linkcode conv1d} or {@linkcode conv2d}, so that many calls share the work.
 *
 * @param weight [outC, inC/groups, K] or [outC, inC/groups, kH, kW].
 * @param algorithm What to lay them out for; "winograd" takes 3×3 or 5×5 weights.
 */
export function prepareConv(
  weight: Tensor,
  groups = 1,
  algorithm: ConvAlgorithm = "direct",
): PreparedConv {
  const op = "prepareConv";
  checkTensor(op, "weight", weight, weight);
  const { shape, backend } = weight;
  if (shape.length !== 3 && shape.length !== 4) {
    throw new ArgumentError(op, "the shape of weight", shape, "[outC, inC/groups, (kH,) kW]");
  }
  checkInteger(op, "groups", groups, 1);
  if (shape[0] % groups !== 0) {
    throw new ArgumentError(op, "groups", groups, `a divisor of the ${shape[0]} output channels`);
  }
  if (algorithm === "direct") {
    return new PreparedConv(shape, groups, backend.packConv2d(weight, groups));
  }
  if (algorithm !== "winograd") {
    throw new ArgumentError(op, "algorithm", algorithm, '"direct" or "winograd"');
  }
  if (!suitsWinograd(shape)) {
    throw new ArgumentError(op, "the shape of weight", shape, "3×3 or 5×5 for winograd");
  }
  return new PreparedConv(shape, groups, backend.packWinograd(weight, groups), algorithm);
}

/** Whether weights of this shape can be prepared for "winograd". */
export function suitsWinograd([, , kh, kw]: Shape): boolean {
  return kh === kw && (kh === 3 || kh === 5);
}

/**
 * y[n, o, i] = Σ x[n, c, i·stride + k·dilation − padding] · weight[o, c, k] + bias[o].
 *
 * @param x [N, C, L].
 * @param weight [outC, C/groups, K].
 * @param bias [outC], or null for none.
 * @returns [N, outC, oL].
 * @throws {ArgumentError} when shapes and options do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend.ts";
 * import { conv1d } from "./conv.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 1, 4]);
 * using w = backend.upload(new Float32Array([1, 0, -1]), [1, 1, 3]);
 * using y = conv1d(x, w, null, { padding: 1 });
 * console.log(await y.read()); // -2, -2, -2, 3
 * ```
 */
export function conv1d(
  x: Tensor,
  weight: Tensor | PreparedConv,
  bias: Tensor | null,
  options: Conv1dOptions & FusedOptions = {},
): Tensor {
  const op = "conv1d";
  checkOperands(op, x, weight);
  const g = conv1dGeometry(op, x.shape, weight.shape, options);
  return convolve(op, x, weight, bias, g, [g.n, g.outC, g.ow], options);
}

/**
 * The gradient of {@linkcode conv2d} with respect to its input: Wᵀ·dy, each column added where its
 * window stood.
 *
 * @param dy [N, outC, oH, oW].
 * @param weight [outC, C/groups, kH, kW].
 * @param inputShape [N, C, H, W] of the forward pass.
 * @returns dx, [N, C, H, W].
 */
export function conv2dBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: Conv2dOptions & OutOptions = {},
): Tensor {
  const op = "conv2dBackwardInput";
  checkTensor(op, "weight", weight, dy);
  const g = conv2dGeometry(op, inputShape, weight.shape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.oh, g.ow]);
  return backwardInput(op, dy, weight, g, inputShape, options.out);
}

/**
 * The gradient of {@linkcode conv2d} with respect to its weights, accumulated:
 * dw[o, c, k, l] += Σ dy[n, o, i, j] · x[n, c, i·stride + k·dilation − padding, …].
 *
 * @param dy [N, outC, oH, oW].
 * @param x [N, C, H, W], the input of the forward pass.
 * @param weightShape [outC, C/groups, kH, kW].
 * @returns dw, [outC, C/groups, kH, kW].
 */
export function conv2dBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: Conv2dOptions & AccumulateOptions = {},
): Tensor {
  const op = "conv2dBackwardWeight";
  checkTensor(op, "x", x, dy);
  const g = conv2dGeometry(op, x.shape, weightShape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.oh, g.ow]);
  const compute = (dw: Tensor) => dy.backend.conv2dBackwardWeight(dw, dy, x, g);
  return accumulate(op, dy, weightShape, options, [x], compute);
}

/**
 * The gradient of {@linkcode conv1d} with respect to its input; see
 * {@linkcode conv2dBackwardInput}.
 *
 * @param dy [N, outC, oL].
 * @param weight [outC, C/groups, K].
 * @param inputShape [N, C, L] of the forward pass.
 * @returns dx, [N, C, L].
 */
export function conv1dBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: Conv1dOptions & OutOptions = {},
): Tensor {
  const op = "conv1dBackwardInput";
  checkTensor(op, "weight", weight, dy);
  const g = conv1dGeometry(op, inputShape, weight.shape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.ow]);
  return backwardInput(op, dy, weight, g, inputShape, options.out);
}

/**
 * The gradient of {@linkcode conv1d} with respect to its weights, accumulated; see
 * {@linkcode conv2dBackwardWeight}.
 *
 * @param dy [N, outC, oL].
 * @param x [N, C, L], the input of the forward pass.
 * @param weightShape [outC, C/groups, K].
 * @returns dw, [outC, C/groups, K].
 */
export function conv1dBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: Conv1dOptions & AccumulateOptions = {},
): Tensor {
  const op = "conv1dBackwardWeight";
  checkTensor(op, "x", x, dy);
  const g = conv1dGeometry(op, x.shape, weightShape, options);
  checkTensor(op, "dy", dy, dy, [g.n, g.outC, g.ow]);
  const compute = (dw: Tensor) => dy.backend.conv2dBackwardWeight(dw, dy, x, g);
  return accumulate(op, dy, weightShape, options, [x], compute);
}

/**
 * The gradient of a bias, accumulated: db[c] += Σ dy over all axes but the second.
 *
 * @param dy [N, C, …], of a convolution or a linear layer.
 * @returns db, [C].
 */
export function biasBackward(dy: Tensor, options: AccumulateOptions = {}): Tensor {
  const op = "biasBackward";
  checkTensor(op, "dy", dy, dy);
  if (dy.shape.length < 2) throw new ArgumentError(op, "the shape of dy", dy.shape, "[N, C, …]");
  const compute = (db: Tensor) => dy.backend.biasBackward(db, dy);
  return accumulate(op, dy, [dy.shape[1]], options, [], compute);
}

/** Whether to clamp at 0; refuses activations that kernels do not know. */
export function fusesRelu(op: string, { activation }: FusedOptions): boolean {
  if (activation === undefined || activation === "relu") return activation === "relu";
  throw new ArgumentError(op, "activation", activation, '"relu"');
}

function checkOperands(op: string, x: Tensor, weight: Tensor | PreparedConv): void {
  checkTensor(op, "x", x, x);
  checkTensor(op, "weight", weight instanceof PreparedConv ? weight.packed : weight, x);
}

function convolve(
  op: string,
  x: Tensor,
  weight: Tensor | PreparedConv,
  bias: Tensor | null,
  g: Conv2dGeometry,
  shape: Shape,
  options: FusedOptions,
): Tensor {
  if (bias) checkTensor(op, "bias", bias, x, [g.outC]);
  const relu = fusesRelu(op, options);
  if (!(weight instanceof Tensor)) {
    if (weight.groups !== g.groups) {
      throw new ArgumentError(op, "groups", g.groups, `${weight.groups}, as prepared`);
    }
    const { packed, algorithm } = weight;
    const target = { shape, out: options.out, reads: [packed, bias] };
    if (algorithm === "direct") {
      return produce(op, x, target, (y) => x.backend.conv2d(y, x, packed, bias, g, relu));
    }
    if ([g.strideH, g.strideW, g.dilationH, g.dilationW].some((step) => step !== 1)) {
      const steps = [g.strideH, g.strideW, g.dilationH, g.dilationW];
      throw new ArgumentError(op, "stride and dilation", steps, "1 for winograd");
    }
    return produce(op, x, target, (y) => x.backend.winograd(y, x, packed, bias, g, relu));
  }
  const target = { shape, out: options.out, reads: [weight, bias] };
  return produce(op, x, target, (y) => {
    using packed = x.backend.packConv2d(weight, g.groups);
    x.backend.conv2d(y, x, packed, bias, g, relu);
  });
}

function backwardInput(
  op: string,
  dy: Tensor,
  weight: Tensor,
  g: Conv2dGeometry,
  shape: Shape,
  out: Tensor | undefined,
): Tensor {
  return produce(op, dy, { shape, out, reads: [weight] }, (dx) => {
    using packed = dy.backend.packConv2dTransposed(weight, g.groups);
    dy.backend.conv2dBackwardInput(dx, dy, packed, g);
  });
}
