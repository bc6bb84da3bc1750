/**
 * Max and average pooling in one and two dimensions.
 *
 * @module
 */

import type { Shape, Tensor } from "../tensor.ts";
import type { OutOptions } from "./checks.ts";
import type { Pool1dOptions, Pool2dOptions } from "./pool_geometry.ts";
import {
  adaptiveAvgPool,
  adaptiveMaxPool,
  adaptiveMaxPoolWithIndices,
  type AverageOptions,
  avgPool,
  avgPoolBackward,
  maxPool,
  type MaxPoolResult,
  maxPoolWithIndices,
} from "./pool_nd.ts";

export {
  adaptiveAvgPoolBackward,
  type AverageOptions,
  maxPoolBackward,
  type MaxPoolResult,
} from "./pool_nd.ts";

/**
 * Computes the maximum of each window. Padding is ignored, and NaN in a window gives NaN, as in
 * PyTorch.
 *
 * @param x [N, C, H, W].
 * @param options `kernelSize`; `stride` (default: the kernel size), `padding`, `dilation` and
 * `ceilMode`, as in PyTorch; `out`.
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { maxPool2d } from "./pool.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 1, 2, 2]);
 * using y = maxPool2d(x, { kernelSize: 2 });
 * console.log(await y.read()); // 4
 * ```
 */
export function maxPool2d(x: Tensor, options: Pool2dOptions & OutOptions): Tensor {
  return maxPool(2, x, options);
}

/**
 * Computes {@linkcode maxPool2d} and the position of each maximum. Of equal maxima, the first
 * counts.
 *
 * @param x [N, C, H, W].
 * @param options Those of {@linkcode maxPool2d}.
 * @returns `output`, the maxima, and `indices`, their positions in the plane, y·W + x: [N, C, oH,
 * oW] each. Declare the result with `using`, or dispose of both.
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { maxPool2dWithIndices } from "./pool.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 4, 3, 2]), [1, 1, 2, 2]);
 * using maxima = maxPool2dWithIndices(x, { kernelSize: 2 });
 * console.log(await maxima.output.read(), await maxima.indices.read()); // 4 at position 1
 * ```
 */
export function maxPool2dWithIndices(
  x: Tensor,
  options: Pool2dOptions & OutOptions,
): MaxPoolResult {
  return maxPoolWithIndices(2, x, options);
}

/**
 * Computes the maximum of each window along one axis, like {@linkcode maxPool2d}.
 *
 * @param x [N, C, L].
 * @param options `kernelSize`; `stride` (default: the kernel size), `padding`, `dilation` and
 * `ceilMode`, as in PyTorch; `out`.
 * @returns [N, C, oL].
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 */
export function maxPool1d(x: Tensor, options: Pool1dOptions & OutOptions): Tensor {
  return maxPool(1, x, options);
}

/**
 * Computes {@linkcode maxPool1d} and the position of each maximum. Of equal maxima, the first
 * counts.
 *
 * @param x [N, C, L].
 * @param options Those of {@linkcode maxPool1d}.
 * @returns `output`, the maxima, and `indices`, their positions in the input: [N, C, oL] each. Declare
 * the result with `using`, or dispose of both.
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 */
export function maxPool1dWithIndices(
  x: Tensor,
  options: Pool1dOptions & OutOptions,
): MaxPoolResult {
  return maxPoolWithIndices(1, x, options);
}

/**
 * Computes the mean of each window. As in PyTorch, padding counts as zeros by default.
 *
 * @param x [N, C, H, W].
 * @param options `kernelSize`; `stride` (default: the kernel size), `padding`, `dilation` and
 * `ceilMode`, as in PyTorch; `countIncludePad` counts padding in the divisor (default true);
 * `divisorOverride` is the divisor of all windows; `out`.
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { avgPool2d } from "./pool.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 1, 2, 2]);
 * using y = avgPool2d(x, { kernelSize: 2 });
 * console.log(await y.read()); // 2.5
 * ```
 */
export function avgPool2d(x: Tensor, options: Pool2dOptions & AverageOptions & OutOptions): Tensor {
  return avgPool(2, x, options);
}

/**
 * Computes the mean of each window along one axis, like {@linkcode avgPool2d}.
 *
 * @param x [N, C, L].
 * @param options `kernelSize`; `stride` (default: the kernel size), `padding`, `dilation` and
 * `ceilMode`, as in PyTorch; `countIncludePad` counts padding in the divisor (default true);
 * `divisorOverride` is the divisor of all windows; `out`.
 * @returns [N, C, oL].
 * @throws {ArgumentError} When an option is invalid, or does not fit the shape of x.
 */
export function avgPool1d(x: Tensor, options: Pool1dOptions & AverageOptions & OutOptions): Tensor {
  return avgPool(1, x, options);
}

/**
 * Computes the means of windows that give an output of the given size. As in PyTorch, window i
 * covers ⌊i·size/out⌋ … ⌈(i+1)·size/out⌉ − 1.
 *
 * @param x [N, C, H, W].
 * @param outputSize Height and width of the output.
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} When x does not have four axes, or the output size is invalid.
 */
export function adaptiveAvgPool2d(
  x: Tensor,
  outputSize: number | readonly [number, number],
  options: OutOptions = {},
): Tensor {
  return adaptiveAvgPool(2, x, outputSize, options);
}

/**
 * Computes {@linkcode adaptiveAvgPool2d} along one axis.
 *
 * @param x [N, C, L].
 * @param outputSize Length of the output.
 * @returns [N, C, oL].
 * @throws {ArgumentError} When x does not have three axes, or the output size is invalid.
 */
export function adaptiveAvgPool1d(
  x: Tensor,
  outputSize: number,
  options: OutOptions = {},
): Tensor {
  return adaptiveAvgPool(1, x, outputSize, options);
}

/**
 * Computes the maxima of the windows of {@linkcode adaptiveAvgPool2d}. NaN in a window gives NaN.
 *
 * @param x [N, C, H, W].
 * @param outputSize Height and width of the output.
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} When x does not have four axes, or the output size is invalid.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { adaptiveMaxPool2d } from "./pool.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2, 3, 4, 5, 6], [1, 1, 2, 3]);
 * using y = adaptiveMaxPool2d(x, [1, 2]); // columns 0 and 1, and columns 1 and 2
 * console.log(await y.read()); // 5, 6
 * ```
 */
export function adaptiveMaxPool2d(
  x: Tensor,
  outputSize: number | readonly [number, number],
  options: OutOptions = {},
): Tensor {
  return adaptiveMaxPool(x, outputSize, options);
}

/**
 * Computes {@linkcode adaptiveMaxPool2d} and the position of each maximum. Of equal maxima, the
 * first counts. The gradient is that of {@linkcode maxPoolBackward}.
 *
 * @param x [N, C, H, W].
 * @param outputSize Height and width of the output.
 * @returns `output`, the maxima, and `indices`, their positions in the plane: [N, C, oH, oW] each.
 * Declare the result with `using`, or dispose of both.
 * @throws {ArgumentError} When x does not have four axes, or the output size is invalid.
 */
export function adaptiveMaxPool2dWithIndices(
  x: Tensor,
  outputSize: number | readonly [number, number],
  options: OutOptions = {},
): MaxPoolResult {
  return adaptiveMaxPoolWithIndices(x, outputSize, options);
}

/**
 * Computes the gradient of {@linkcode avgPool2d}: each element of dy, divided by its window's
 * divisor, is added to all elements of its window.
 *
 * @param dy [N, C, oH, oW].
 * @param inputShape [N, C, H, W] of the forward pass.
 * @param options Those of the forward pass.
 * @returns dx, [N, C, H, W].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function avgPool2dBackward(
  dy: Tensor,
  inputShape: Shape,
  options: Pool2dOptions & AverageOptions & OutOptions,
): Tensor {
  return avgPoolBackward(2, dy, inputShape, options);
}

/**
 * Computes the gradient of {@linkcode avgPool1d}, like {@linkcode avgPool2dBackward}.
 *
 * @param dy [N, C, oL].
 * @param inputShape [N, C, L] of the forward pass.
 * @param options Those of the forward pass.
 * @returns dx, [N, C, L].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 */
export function avgPool1dBackward(
  dy: Tensor,
  inputShape: Shape,
  options: Pool1dOptions & AverageOptions & OutOptions,
): Tensor {
  return avgPoolBackward(1, dy, inputShape, options);
}
