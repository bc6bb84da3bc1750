/**
 * The precision of weights in memory.
 *
 * @module
 */

/**
 * The precisions of fully connected weights.
 *
 * @internal
 */
export const precisions = ["f32", "f16", "int8"] as const;

/**
 * How the weights of fully connected layers are stored in memory:
 *
 * - "f32": in 32 bits;
 * - "f16": in 16 bits, half the memory. WebGPU only: on Wasm they stay in 32 bits;
 * - "int8": in 8 bits with a scale for each row, a quarter of the memory.
 */
export type Precision = typeof precisions[number];

/**
 * Options of layers and networks whose weights can be stored in fewer than 32 bits.
 *
 * @internal
 */
export interface PrecisionOptions {
  /**
   * How the weights of fully connected layers are stored. Weights are rounded while they are loaded
   * or initialised. Weights in fewer than 32 bits cannot be trained. Default: "int8" if the weights
   * come from a file with int8 weights, else "f32".
   */
  readonly precision?: Precision;
}
