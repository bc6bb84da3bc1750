/**
 * Every operation in float64, as plain loops over its formula: what the kernels are compared with,
 * and the place to read what they compute. Nothing is imported from src/.
 *
 * Options are complete here, no defaults but the neutral ones: pairs are [height, width], padding
 * is [top, left, bottom, right]; in one dimension [size] and [before, after].
 */

export * from "./reference/activation.ts";
export * from "./reference/array.ts";
export * from "./reference/conv.ts";
export * from "./reference/linear.ts";
export * from "./reference/loss.ts";
export * from "./reference/norm.ts";
export * from "./reference/optimizer.ts";
export * from "./reference/pool.ts";
