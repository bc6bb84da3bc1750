/**
 * Reference implementations of every operation: plain float64 loops that follow the formulas. Tests
 * compare the kernels with them, and they document what the kernels compute. They import nothing
 * from src/.
 *
 * Options have neutral values as defaults. Pairs are [height, width] and padding is
 * [top, left, bottom, right]. In one dimension they are [size] and [before, after].
 */

import * as conv from "./reference/conv.ts";
import * as int8 from "./reference/conv_int8.ts";
import { memoize } from "./reference/memoize.ts";

export * from "./reference/activation.ts";
export * from "./reference/arithmetic.ts";
export * from "./reference/array.ts";
export * from "./reference/conv.ts";
export { roundWeights } from "./reference/conv_int8.ts";
export * from "./reference/elementwise.ts";
export * from "./reference/conv_transpose.ts";
export * from "./reference/interpolate.ts";
export * from "./reference/layout.ts";
export * from "./reference/linear.ts";
export * from "./reference/loss.ts";
export * from "./reference/matmul.ts";
export * from "./reference/norm.ts";
export * from "./reference/optimizer.ts";
export * from "./reference/pool.ts";
export * from "./reference/row_norm.ts";

// The slowest operations cache their results.
export const conv2d = memoize(conv.conv2d);
export const conv2dBackward = memoize(conv.conv2dBackward);
export const conv1d = memoize(conv.conv1d);
export const conv1dBackward = memoize(conv.conv1dBackward);
export const conv2dInt8 = memoize(int8.conv2dInt8);
