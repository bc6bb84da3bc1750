/**
 * Activations that other operations compute along with their own result.
 *
 * @module
 */

/** An activation that convolutions, linear layers and batch normalisations can apply themselves. */
export type FusedActivation = "relu" | "relu6" | "hardswish";
