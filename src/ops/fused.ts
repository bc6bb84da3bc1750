/**
 * What a kernel computes after its own result.
 *
 * @module
 */

/**
 * An activation that convolutions, linear layers and batch normalisations compute, too.
 *
 * @internal
 */
export type FusedActivation = "relu" | "relu6" | "hardswish";
