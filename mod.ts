/**
 * Convolution kernels for Deno, browsers and edge runtimes, and the AlexNet that proves them.
 *
 * @module
 */

export * from "./src/backend.ts";
export * from "./src/errors.ts";
export * from "./src/ops/mod.ts";
export * from "./src/tensor.ts";
