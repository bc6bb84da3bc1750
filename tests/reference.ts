/**
 * Every operation in float64, as plain loops over its formula: what the kernels are compared with,
 * and the place to read what they compute. Nothing is imported from src/.
 *
 * Options are complete here, no defaults but the neutral ones: pairs are [height, width], padding
 * is [top, left, bottom, right]; in one dimension [size] and [before, after].
 */

import * as conv from "./reference/conv.ts";
import { remembered } from "./reference/remembered.ts";

export * from "./reference/activation.ts";
export * from "./reference/array.ts";
export * from "./reference/conv.ts";
export * from "./reference/linear.ts";
export * from "./reference/loss.ts";
export * from "./reference/norm.ts";
export * from "./reference/optimizer.ts";
export * from "./reference/pool.ts";

// the slowest of them
export const conv2d = remembered(conv.conv2d);
export const conv2dBackward = remembered(conv.conv2dBackward);
export const conv1d = remembered(conv.conv1d);
export const conv1dBackward = remembered(conv.conv1dBackward);
