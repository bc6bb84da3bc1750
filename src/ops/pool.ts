/**
 * Pooling in one and two dimensions: maxima, averages, and averages to a given output size.
 *
 * @module
 */

import type { Shape, Tensor } from "../tensor.ts";
import type { OutOptions } from "./checks.ts";
import type { Pool1dOptions, Pool2dOptions } from "./pool_geometry.ts";
import {
  adaptiveAvgPool,
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
 * The maximum of each window. Padding never wins, NaN in a window gives NaN, as in PyTorch.
 *
 * @param x [N, C, H, W].
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} when shapes and options do not fit together.
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
 * {@linkcode maxPool2d} together with the position of each maximum, the first one among equals.
 *
 * @param x [N, C, H, W].
 */
export function maxPool2dWithIndices(
  x: Tensor,
  options: Pool2dOptions & OutOptions,
): MaxPoolResult {
  return maxPoolWithIndices(2, x, options);
}

/**
 * The maximum of each window along one axis; see {@linkcode maxPool2d}.
 *
 * @param x [N, C, L].
 * @returns [N, C, oL].
 */
export function maxPool1d(x: Tensor, options: Pool1dOptions & OutOptions): Tensor {
  return maxPool(1, x, options);
}

/**
 * {@linkcode maxPool1d} together with the position of each maximum, the first one among equals.
 *
 * @param x [N, C, L].
 */
export function maxPool1dWithIndices(
  x: Tensor,
  options: Pool1dOptions & OutOptions,
): MaxPoolResult {
  return maxPoolWithIndices(1, x, options);
}

/**
 * The mean of each window; by default padding counts as zeros, as in PyTorch.
 *
 * @param x [N, C, H, W].
 * @returns [N, C, oH, oW].
 * @throws {ArgumentError} when shapes and options do not fit together.
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
 * The mean of each window along one axis; see {@linkcode avgPool2d}.
 *
 * @param x [N, C, L].
 * @returns [N, C, oL].
 */
export function avgPool1d(x: Tensor, options: Pool1dOptions & AverageOptions & OutOptions): Tensor {
  return avgPool(1, x, options);
}

/**
 * Averages over windows chosen so that the output has the size asked for: window i covers
 * ⌊i·size/out⌋ … ⌈(i+1)·size/out⌉ − 1, as in PyTorch.
 *
 * @param x [N, C, H, W].
 * @param outputSize Height and width of the output.
 * @returns [N, C, oH, oW].
 */
export function adaptiveAvgPool2d(
  x: Tensor,
  outputSize: number | readonly [number, number],
  options: OutOptions = {},
): Tensor {
  return adaptiveAvgPool(2, x, outputSize, options);
}

/**
 * {@linkcode adaptiveAvgPool2d} along one axis.
 *
 * @param x [N, C, L].
 * @param outputSize Length of the output.
 * @returns [N, C, oL].
 */
export function adaptiveAvgPool1d(
  x: Tensor,
  outputSize: number,
  options: OutOptions = {},
): Tensor {
  return adaptiveAvgPool(1, x, outputSize, options);
}

/**
 * The gradient of {@linkcode avgPool2d}: every dy, divided as there, spread over its window.
 *
 * @param dy [N, C, oH, oW].
 * @param inputShape [N, C, H, W] of the forward pass.
 * @returns dx, [N, C, H, W].
 */
export function avgPool2dBackward(
  dy: Tensor,
  inputShape: Shape,
  options: Pool2dOptions & AverageOptions & OutOptions,
): Tensor {
  return avgPoolBackward(2, dy, inputShape, options);
}

/**
 * The gradient of {@linkcode avgPool1d}; see {@linkcode avgPool2dBackward}.
 *
 * @param dy [N, C, oL].
 * @param inputShape [N, C, L] of the forward pass.
 * @returns dx, [N, C, L].
 */
export function avgPool1dBackward(
  dy: Tensor,
  inputShape: Shape,
  options: Pool1dOptions & AverageOptions & OutOptions,
): Tensor {
  return avgPoolBackward(1, dy, inputShape, options);
}
