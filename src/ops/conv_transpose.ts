/**
 * Transposed convolutions: the gradients of convolutions with respect to their inputs, used forward.
 *
 * @module
 */

import type { Conv2dGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { add } from "./arithmetic.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkInteger,
  checkOptionalTensor,
  checkOptions,
  checkPerAxis,
  checkPlanes,
  checkShape,
  checkTensor,
  formatShape,
  maxSize,
  type OutOptions,
  produce,
} from "./checks.ts";
import { checkPadding, to2dShape } from "./conv_geometry.ts";
import { correlate, correlateBackwardInput, correlateBackwardWeight } from "./prepared_conv.ts";

/**
 * Options of transposed convolutions, with PyTorch's names. Lists have one number for each axis.
 */
export interface ConvTransposeOptions {
  /** The distance of neighbouring inputs in the output. Default: 1. */
  readonly stride?: number | readonly number[];
  /**
   * Outputs that are cut off at the sides: one number, one for each axis, or those before all axes
   * and then those after them, such as `[top, left, bottom, right]`. Default: 0.
   */
  readonly padding?: number | readonly number[];
  /** Outputs that are added at the end of each axis; less than stride or dilation. Default: 0. */
  readonly outputPadding?: number | readonly number[];
  /** The distance between the elements of the kernel. Default: 1. */
  readonly dilation?: number | readonly number[];
  /** The number of groups that the channels are split into. Default: 1. */
  readonly groups?: number;
}

/** The names of {@linkcode ConvTransposeOptions}. */
export const transposedOptionNames = [
  "stride",
  "padding",
  "outputPadding",
  "dilation",
  "groups",
] as const;

/** A checked transposed convolution. */
export interface TransposedConvolution {
  /** The convolution whose input has the shape of the output here, in two dimensions. */
  readonly g: Conv2dGeometry;
  /** The shape of the output. */
  readonly output: Shape;
}

/**
 * Computes a transposed 2-D convolution, `torch.nn.functional.conv_transpose2d`: each element of x
 * adds its multiple of the kernel to the output, `stride` apart.
 *
 * @param x [N, C, H, W].
 * @param weight [C, outC/groups, kH, kW].
 * @param bias [outC], or null.
 * @param options `stride`, `padding`, `outputPadding`, `dilation` and `groups`, as in PyTorch;
 * `out`.
 * @returns [N, outC, oH, oW], oH = (H − 1)·stride − padding + dilation·(kH − 1) + outputPadding + 1.
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { convTranspose2d } from "./conv_transpose.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2], [1, 1, 1, 2]);
 * using w = backend.upload([1, 1, 1], [1, 1, 1, 3]);
 * using y = convTranspose2d(x, w, null, { stride: [1, 2] });
 * console.log(await y.read()); // 1, 1, 3, 2, 2
 * ```
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions & OutOptions = {},
): Tensor {
  return convTranspose(2, x, weight, bias, options);
}

/**
 * Computes a transposed 1-D convolution, like {@linkcode convTranspose2d}.
 *
 * @param x [N, C, L].
 * @param weight [C, outC/groups, K].
 * @param bias [outC], or null.
 * @param options `stride`, `padding`, `outputPadding`, `dilation` and `groups`, as in PyTorch;
 * `out`.
 * @returns [N, outC, oL].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions & OutOptions = {},
): Tensor {
  return convTranspose(1, x, weight, bias, options);
}

/**
 * Computes {@linkcode convTranspose1d} or {@linkcode convTranspose2d}.
 *
 * @param packed The weights as {@linkcode packTransposed} lays them out. Default: packed for this call.
 */
export function convTranspose(
  axes: 1 | 2,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions & OutOptions,
  packed?: Tensor,
): Tensor {
  const op = `convTranspose${axes}d`;
  checkOptions(op, options, [...transposedOptionNames, "out"]);
  checkTensor(op, "x", x, x);
  checkTensor(op, "weight", weight, x);
  const { g, output } = transposedGeometry(op, axes, x.shape, weight.shape, options);
  bias = checkOptionalTensor(op, "bias", bias, x, [g.inC]);
  const target = { shape: output, out: options.out, reads: [weight, bias, packed] };
  return produce(op, x, target, (y) => {
    correlateBackwardInput(y, x, packed ?? weight, g, packed !== undefined);
    if (bias) add(y, bias.view([g.inC, ...output.slice(2).fill(1)]), { out: y });
  });
}

/**
 * Computes the gradient of {@linkcode convTranspose2d} or {@linkcode convTranspose1d} with respect
 * to its input: the convolution of dy.
 *
 * @param dy [N, outC, oH, oW] or [N, outC, oL].
 * @param weight [C, outC/groups, kH, kW] or [C, outC/groups, K].
 * @param inputShape The shape of the forward pass's input.
 * @param options Those of the forward pass.
 * @returns dx, in the shape of the input.
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function convTransposeBackwardInput(
  dy: Tensor,
  weight: Tensor,
  inputShape: Shape,
  options: ConvTransposeOptions & OutOptions = {},
): Tensor {
  const op = "convTransposeBackwardInput";
  checkOptions(op, options, [...transposedOptionNames, "out"]);
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "weight", weight, dy);
  const axes = dy.shape.length === 3 ? 1 : 2;
  const { g, output } = transposedGeometry(op, axes, inputShape, weight.shape, options);
  checkTensor(op, "dy", dy, dy, output);
  const target = { shape: inputShape, out: options.out, reads: [weight] };
  return produce(op, dy, target, (dx) => {
    correlate(dx, dy, weight, null, g, { residual: null, activation: "none" });
  });
}

/**
 * Adds up the gradient of {@linkcode convTranspose2d} or {@linkcode convTranspose1d} with respect to
 * its weights. That of the bias is {@linkcode biasBackward}.
 *
 * @param dy [N, outC, oH, oW] or [N, outC, oL].
 * @param x The input of the forward pass, [N, C, H, W] or [N, C, L].
 * @param weightShape [C, outC/groups, kH, kW] or [C, outC/groups, K].
 * @param options Those of the forward pass. `into` is the gradient to add to.
 * @returns dw, in the shape of the weights.
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function convTransposeBackwardWeight(
  dy: Tensor,
  x: Tensor,
  weightShape: Shape,
  options: ConvTransposeOptions & AccumulateOptions = {},
): Tensor {
  const op = "convTransposeBackwardWeight";
  checkOptions(op, options, [...transposedOptionNames, "into"]);
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "x", x, dy);
  const axes = dy.shape.length === 3 ? 1 : 2;
  const { g, output } = transposedGeometry(op, axes, x.shape, weightShape, options);
  checkTensor(op, "dy", dy, dy, output);
  return accumulate(op, dy, weightShape, options, [x], (dw) => {
    correlateBackwardWeight(dw, x, dy, g);
  });
}

/**
 * Checks the arguments of a transposed convolution and computes the shape of its output.
 *
 * @param op The name of the operation in error messages.
 * @param axes The number of axes of the kernel.
 * @param x [N, C, L] or [N, C, H, W].
 * @param weight [C, outC/groups, K] or [C, outC/groups, kH, kW].
 */
export function transposedGeometry(
  op: string,
  axes: 1 | 2,
  x: Shape,
  weight: Shape,
  options: ConvTransposeOptions,
): TransposedConvolution {
  checkPlanes(op, "x", x, axes);
  checkShape(op, "weight", weight, axes === 1 ? "[C, outC/groups, K]" : "[C, outC/groups, kH, kW]");
  const [n, outC, h, w] = axes === 1 ? to2dShape(x) : x;
  const [weightC, groupC, kh, kw] = axes === 1 ? to2dShape(weight) : weight;
  const { groups, stride, dilation, extra, sides } = checkTransposed(op, axes, options);
  if (outC % groups !== 0) {
    throw new ArgumentError(op, "groups", groups, `a divisor of the ${outC} input channels`);
  }
  if (weightC !== outC) {
    const expected = `[${outC}, …] for x ${formatShape(x)}`;
    throw new ArgumentError(op, "the shape of weight", weight, expected);
  }
  const [strideH, strideW] = stride, [dilationH, dilationW] = dilation;
  const [top, left, bottom, right] = sides;
  const oh = (h - 1) * strideH + dilationH * (kh - 1) + 1 + extra[0] - top - bottom;
  const ow = (w - 1) * strideW + dilationW * (kw - 1) + 1 + extra[1] - left - right;
  if (!(Math.min(oh, ow) >= 1 && Math.max(oh, ow) <= maxSize)) {
    const size = axes === 1 ? [ow] : [oh, ow];
    throw new ArgumentError(op, "the size of the output", size, `from 1 to ${maxSize}`);
  }
  const inC = groupC * groups;
  // deno-fmt-ignore
  const g = {
    n, inC, h: oh, w: ow, outC, oh: h, ow: w, kh, kw, strideH, strideW, top, left, bottom, right,
    dilationH, dilationW, groups,
  };
  return { g, output: axes === 1 ? [n, inC, ow] : [n, inC, oh, ow] };
}

/** The options of a transposed convolution in two dimensions. */
interface TransposedOptions {
  readonly groups: number;
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly extra: readonly number[];
  readonly sides: readonly number[];
}

/** Checks what does not depend on shapes. */
export function checkTransposed(
  op: string,
  axes: 1 | 2,
  options: ConvTransposeOptions,
): TransposedOptions {
  const groups = checkInteger(op, "groups", options.groups ?? 1, 1);
  const pair = (name: "stride" | "dilation" | "outputPadding", least: number) => {
    const values = checkPerAxis(op, name, options[name] ?? least, axes, least);
    return axes === 1 ? [least, ...values] : values;
  };
  const stride = pair("stride", 1), dilation = pair("dilation", 1);
  const extra = pair("outputPadding", 0);
  if (extra.some((size, axis) => size >= Math.max(stride[axis], dilation[axis]))) {
    const expected = "less than the stride or the dilation";
    throw new ArgumentError(op, "outputPadding", options.outputPadding, expected);
  }
  return { groups, stride, dilation, extra, sides: sidesOf(op, axes, options.padding ?? 0) };
}

/** The padding as [top, left, bottom, right]. */
function sidesOf(op: string, axes: 1 | 2, padding: number | readonly number[]): readonly number[] {
  const layout = axes === 1 ? "[before, after]" : "[height, width] or [top, left, bottom, right]";
  const sides = checkPadding(op, padding, [axes, 2 * axes], layout);
  const [before, after = before] = sides;
  if (axes === 1) return [0, before, 0, after];
  return sides.length === 4 ? sides : [...sides, ...sides];
}
