/**
 * Reference implementations of every operation: plain float64 loops that follow the formulas. Tests
 * compare the kernels with them, and they document what the kernels compute. Nothing is imported from
 * src/.
 *
 * Options must be given in full; only neutral values are defaults. Pairs are [height, width], padding
 * is [top, left, bottom, right]; in one dimension they are [size] and [before, after].
 */

import * as conv from "./reference/conv.ts";
import { remembered } from "./reference/remembered.ts";

export * from "./reference/activation.ts";
export * from "./reference/arithmetic.ts";
export * from "./reference/array.ts";
export * from "./reference/conv.ts";
export * from "./reference/linear.ts";
export * from "./reference/loss.ts";
export * from "./reference/norm.ts";
export * from "./reference/optimizer.ts";
export * from "./reference/pool.ts";

// The slowest operations cache their results.
export const conv2d = remembered(conv.conv2d);
export const conv2dBackward = remembered(conv.conv2dBackward);
export const conv1d = remembered(conv.conv1d);
export const conv1dBackward = remembered(conv.conv1dBackward);
