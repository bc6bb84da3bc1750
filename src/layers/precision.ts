/**
 * What the weights of a layer are, and how they are stored in memory.
 *
 * @module
 */

/**
 * The precisions of the weights of convolutions and fully connected layers.
 *
 * @internal
 */
export const precisions = ["f32", "f16", "int8"] as const;

/**
 * How the weights of convolutions and fully connected layers are stored in memory:
 *
 * - "f32": in 32 bits;
 * - "f16": those of fully connected layers in 16 bits, half the memory. WebGPU only: on Wasm they stay
 *   in 32 bits;
 * - "int8": in 8 bits with a scale for each output, a quarter of the memory. Wasm then multiplies
 *   integers, so it also rounds the inputs: of convolutions to 7 bits, of those with few input
 *   channels to 14, of fully connected layers to 16. The weights of depthwise and transposed
 *   convolutions stay in 32 bits. So do those of all convolutions on WebGPU.
 */
export type Precision = typeof precisions[number];

/**
 * The bias of a layer with weights.
 */
export interface BiasOptions {
  /** Adds a learned bias to the output. Default: true. */
  readonly bias?: boolean;
}

/**
 * How a convolution stores its weights.
 */
export interface PackingOptions {
  /**
   * Keeps a second copy of the weights, packed for the direct kernel. False halves the memory, but
   * every forward pass packs the weights again. Default: true.
   */
  readonly keepPacked?: boolean;
}

/**
 * Options of layers and networks whose weights can be stored in fewer than 32 bits.
 */
export interface PrecisionOptions {
  /**
   * How weights are stored: see {@linkcode Precision}. They are rounded while they are loaded or
   * initialised. Weights in fewer than 32 bits cannot be trained. Default: "int8" if the weights
   * come from a file with int8 weights, else "f32".
   */
  readonly precision?: Precision;
}
