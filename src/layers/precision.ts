/**
 * How weights can be held.
 *
 * @module
 */

/**
 * How the weights of fully connected layers can be held.
 *
 * @internal
 */
export const precisions = ["f32", "f16", "int8"] as const;

/** How the weights of a fully connected layer are held: see {@linkcode PrecisionOptions}. */
export type Precision = typeof precisions[number];

/**
 * Options of layers and networks that can hold weights in fewer bits.
 *
 * @internal
 */
export interface PrecisionOptions {
  /**
   * How the weights of fully connected layers are held:
   *
   * - "f32", the default (but where int8 weights are loaded);
   * - "f16", rounded as {@linkcode half} says, half the memory: on WebGPU only, Wasm holds them in 32
   *   bits all the same;
   * - "int8", rounded as {@linkcode quantizeLinear} says, a quarter of the memory.
   *
   * They are rounded while they are loaded or initialised, and cannot be trained then.
   */
  readonly precision?: Precision;
}
