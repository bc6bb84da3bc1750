/**
 * Resizing by all rules of ONNX.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import { ResampleLayer } from "../../layers/resample.ts";
import type { Resampling } from "../../ops/resample.ts";
import { type AxisResize, checkResampled, resizeTaps } from "../../ops/taps.ts";
import type { Shape } from "../../tensor.ts";

/** The resizing of an axis, for any size of the input. */
export interface ResizeRule extends Pick<AxisResize, "coordinates" | "rounding"> {
  /** The factor of the size, which is rounded down; or undefined for a fixed size. */
  readonly scale?: number;
  /** The size of the output, if there is no scale. */
  readonly out: number;
}

/** Resizes planes, [N, C, H, W] → [N, C, oH, oW] or [N, C, L] → [N, C, oL], ONNX's Resize. */
export class Resize extends ResampleLayer {
  override readonly type = "Resize";

  /** @param rules One for each axis of a plane. */
  constructor(readonly rules: readonly ResizeRule[]) {
    super();
  }

  protected override resampling(input: Shape): Resampling {
    const { rules } = this;
    if (input.length !== rules.length + 2) {
      throw new ArgumentError(this.type, "the shape of x", input, `${rules.length + 2} sizes`);
    }
    const axes = rules.map(({ scale, out: fixed, coordinates, rounding }, i): AxisResize => {
      const size = input[i + 2], out = scale === undefined ? fixed : Math.floor(size * scale);
      checkResampled(this.type, "a size of the output", out);
      return {
        size,
        out,
        step: scale === undefined ? size / out : 1 / scale,
        coordinates,
        rounding,
      };
    });
    const output = [...input.slice(0, 2), ...axes.map(({ out }) => out)];
    return { input, output, taps: () => axes.map(resizeTaps) };
  }
}
