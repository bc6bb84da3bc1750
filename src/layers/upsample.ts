/**
 * Layers that resize planes.
 *
 * @module
 */

import { checkOptions } from "../ops/checks.ts";
import {
  checkInterpolation,
  interpolateNames,
  type InterpolateOptions,
  interpolation,
} from "../ops/interpolate.ts";
import type { Resampling } from "../ops/resample.ts";
import type { Shape } from "../tensor.ts";
import { ResampleLayer } from "./resample.ts";

/**
 * Resizes planes, `torch.nn.Upsample`: [N, C, H, W] → [N, C, oH, oW], or [N, C, L] → [N, C, oL].
 *
 * @example
 * ```ts
 * import { Upsample } from "./upsample.ts";
 *
 * const layer = new Upsample({ scaleFactor: 2, mode: "bilinear" });
 * console.log(layer.outputShape([1, 64, 28, 28])); // [1, 64, 56, 56]
 * ```
 */
export class Upsample extends ResampleLayer {
  /** The name in `torch.nn`. */
  override readonly type = "Upsample";

  /**
   * Creates the layer.
   *
   * @param options `size` or `scaleFactor`; `mode`: "nearest" (default), "nearest-exact", "linear"
   * or "bilinear"; `alignCorners` and `recomputeScaleFactor`, as in PyTorch.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(readonly options: InterpolateOptions) {
    super();
    checkOptions("Upsample", options, interpolateNames);
    checkInterpolation("Upsample", options);
  }

  /** See {@linkcode interpolation}. */
  protected override resampling(input: Shape): Resampling {
    return interpolation(this.type, input, this.options);
  }
}
