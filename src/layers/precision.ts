/**
 * How weights can be held.
 *
 * @module
 */

/** How the weights of fully connected layers can be held. */
export const precisions = ["f32", "int8"] as const;

/** How the weights of a fully connected layer are held: see {@linkcode PrecisionOptions}. */
export type Precision = typeof precisions[number];

/** Options of layers and networks that can hold weights in 8 bits. */
export interface PrecisionOptions {
  /**
   * How the weights of fully connected layers are held: "f32", the default (where weights are loaded,
   * what they are stored as is), or "int8", rounded as
   * {@linkcode quantizeLinear} says while they are loaded or initialised. They take a quarter of the
   * memory then, and cannot be trained.
   */
  readonly precision?: Precision;
}
