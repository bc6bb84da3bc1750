/**
 * The 1-D convolution.
 *
 * @module
 */

import { checkBoolean, checkInteger, checkOptions, maxSize } from "../ops/checks.ts";
import type { Conv1dOptions } from "../ops/conv_geometry.ts";
import { Conv, convLayerNames } from "./conv.ts";
import type { BiasOptions, PackingOptions, PrecisionOptions } from "./precision.ts";

/** A 1-D convolution, `torch.nn.Conv1d`: [N, inChannels, L] → [N, outChannels, oL]. */
export class Conv1d extends Conv {
  /** The name in `torch.nn`. */
  override readonly type = "Conv1d";

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize Length of the kernel.
   * @param options `stride`, `padding`, `dilation`, `groups` and `bias`, as in PyTorch; the
   * `precision` of the weights; `keepPacked: false` saves the memory of a packed copy of them.
   * @throws {ArgumentError} When an option is invalid, or no input could fit the options.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    readonly kernelSize: number,
    readonly options: Conv1dOptions & BiasOptions & PackingOptions & PrecisionOptions = {},
  ) {
    checkOptions("Conv1d", options, convLayerNames);
    checkBoolean("Conv1d", "keepPacked", options.keepPacked ?? true);
    const kernel = [checkInteger("Conv1d", "kernelSize", kernelSize, 1)];
    super("Conv1d", inChannels, outChannels, kernel, options);
    this.outputShape([1, inChannels, maxSize]); // checks the options
  }
}
