/**
 * What all networks have in common: their options, and what the registry knows of them.
 *
 * @module
 */

import type { Preprocessing } from "../image/preprocess.ts";
import type { PackingOptions, PrecisionOptions } from "../layers/mod.ts";
import type { AlgorithmOptions } from "../ops/prepared_conv.ts";
import type { Classifier, ClassOptions } from "./classifier.ts";

/**
 * Options of every network.
 *
 * @internal
 */
export interface NetworkOptions extends ClassOptions, PrecisionOptions {
  /** The preprocessing of images. Default: that of the network's usual weights. */
  readonly preprocessing?: Preprocessing;
  /** The probability of dropout in training mode, where the network has dropout. */
  readonly dropout?: number;
  /**
   * How convolutions are computed. "winograd" is faster for many kernels, but rounds more. Default:
   * the faster one in each layer.
   */
  readonly algorithm?: AlgorithmOptions["algorithm"];
  /**
   * Keeps a second copy of the convolution weights, packed for the direct kernel. False saves the
   * memory, but every forward pass packs the weights again. Default true.
   */
  readonly keepPacked?: PackingOptions["keepPacked"];
}

/** What the registry knows of a network. */
export interface NetworkInfo {
  /** Creates the network without weights. */
  readonly create: (options?: NetworkOptions) => Classifier;
  /** Turns the name of a tensor in published files into that of the parameter. See `Network`. */
  readonly parameterName?: (name: string) => string | undefined;
}
