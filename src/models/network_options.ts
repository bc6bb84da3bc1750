/**
 * The options of networks, and what the registry knows of them.
 *
 * @module
 */

import type { Preprocessing } from "../image/preprocess.ts";
import type { PackingOptions, PrecisionOptions } from "../layers/mod.ts";
import type { AlgorithmOptions } from "../ops/prepared_conv.ts";
import type { ClassOptions } from "./network_classes.ts";
import type { Classifier } from "./classifier.ts";

/**
 * Options of every network.
 */
export interface NetworkOptions extends ClassOptions, PrecisionOptions {
  /** The preprocessing of images. Default: that of the network's usual weights. */
  readonly preprocessing?: Preprocessing;
  /** The probability of dropout in training mode. Default: as in torchvision. */
  readonly dropout?: number;
  /**
   * The probability of leaving out the last block for a sample in training mode, where the network
   * has stochastic depth. For the blocks before it, it falls to 0. Default: 0.2, as in torchvision.
   */
  readonly stochasticDepth?: number;
  /**
   * How convolutions are computed. "winograd" is faster for many kernels, but rounds more. Default:
   * the faster one in each layer.
   */
  readonly algorithm?: AlgorithmOptions["algorithm"];
  /**
   * Keeps a second copy of the convolution weights, packed for the direct kernel. False saves the
   * memory, but every forward pass packs the weights again. Default: true.
   */
  readonly keepPacked?: PackingOptions["keepPacked"];
}

/** What the registry knows of a network. */
export interface NetworkInfo {
  /** Creates the network without weights. */
  readonly create: (options?: NetworkOptions) => Classifier;
  /** Its usual preprocessing. */
  readonly preprocessing: Preprocessing;
  /**
   * Returns the name of the parameter for the name of a tensor in published files, or undefined if
   * the network does not use that tensor. Default: the same name.
   */
  readonly parameterName?: (name: string) => string | undefined;
}
