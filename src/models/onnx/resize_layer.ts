/**
 * Resizing by all rules of ONNX.
 *
 * Source: https://onnx.ai/onnx/operators/onnx__Resize.html
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import { ResampleLayer } from "../../layers/resample.ts";
import type { Resampling } from "../../ops/resample.ts";
import { checkResampled, tapsAt } from "../../ops/taps.ts";
import type { Shape } from "../../tensor.ts";

/** The sizes of an axis, and the factor between them. */
interface AxisSizes {
  readonly size: number;
  readonly out: number;
  readonly scale: number;
}

const { fround } = Math;

/** Computes the position in the input for one in the output, in float32. */
type Coordinates = (i: number, axis: AxisSizes) => number;

const halfPixel: Coordinates = (i, { scale }) => fround(fround((i + 0.5) / scale) - 0.5);

/** The functions of coordinate_transformation_mode. */
const coordinates = {
  asymmetric: (i, { scale }) => fround(i / scale),
  half_pixel: halfPixel,
  pytorch_half_pixel: (i, axis) => axis.out > 1 ? halfPixel(i, axis) : 0,
  align_corners: (i, { size, out }) => out > 1 ? fround(i * (size - 1) / (out - 1)) : 0,
  half_pixel_symmetric: (i, { size, out, scale }) =>
    fround(fround((i + 0.5) / scale + size * (1 - out / fround(scale * size)) / 2) - 0.5),
  tf_half_pixel_for_nn: (i, { scale }) => fround((i + 0.5) / scale),
} satisfies Record<string, Coordinates>;

/** A position so close to a half is one: float32 may miss it. */
const tolerance = 1e-6;

/** The functions of nearest_mode. */
const roundings = {
  floor: Math.floor,
  ceil: Math.ceil,
  round_prefer_floor: (position) => Math.ceil(position - 0.5 - tolerance),
  round_prefer_ceil: (position) => Math.floor(position + 0.5 + tolerance),
} satisfies Record<string, (position: number) => number>;

/** How positions are computed. */
export interface ResizeMode {
  readonly coordinates: keyof typeof coordinates;
  /** How positions are rounded; "linear" interpolates between them. */
  readonly rounding: keyof typeof roundings | "linear";
}

/** Whether there are such coordinates. */
export function isCoordinates(name: string): name is ResizeMode["coordinates"] {
  return Object.hasOwn(coordinates, name);
}

/** Whether there is such a rounding. */
export function isRounding(name: string): name is keyof typeof roundings {
  return Object.hasOwn(roundings, name);
}

/** The resizing of an axis, for any size of the input. */
export interface ResizedAxis {
  /** The factor of the size, which is rounded down; or undefined for a fixed size. */
  readonly scale?: number;
  /** The size of the output, if there is no scale. */
  readonly out: number;
}

/** Returns the size times a factor, rounded down: both are float32, and so is their product. */
export function scaledSize(size: number, scale: number): number {
  return Math.floor(fround(size * scale));
}

/** Resizes planes, [N, C, H, W] → [N, C, oH, oW] or [N, C, L] → [N, C, oL], ONNX's Resize. */
export class Resize extends ResampleLayer {
  override readonly type = "Resize";

  /** @param axes One for each axis of a plane. */
  constructor(readonly axes: readonly ResizedAxis[], readonly mode: ResizeMode) {
    super();
  }

  protected override resampling(input: Shape): Resampling {
    if (input.length !== this.axes.length + 2) {
      const expected = `with ${this.axes.length + 2} axes`;
      throw new ArgumentError(this.type, "the shape of x", input, expected);
    }
    const axes = this.axes.map(({ scale, out: fixed }, i): AxisSizes => {
      const size = input[i + 2], out = scale === undefined ? fixed : scaledSize(size, scale);
      checkResampled(this.type, "a size of the output", out);
      return { size, out, scale: fround(scale ?? out / size) };
    });
    const output = [...input.slice(0, 2), ...axes.map(({ out }) => out)];
    return { input, output, taps: () => axes.map((axis) => this.#taps(axis)) };
  }

  #taps(axis: AxisSizes) {
    const { coordinates: name, rounding } = this.mode, position = coordinates[name];
    const round = rounding === "linear" ? (value: number) => value : roundings[rounding];
    const last = axis.size - 1;
    return tapsAt(axis.size, axis.out, (i) => {
      // An axis that keeps its size is not interpolated.
      const at = axis.out === axis.size && axis.scale === 1 ? i : round(position(i, axis));
      return Math.min(Math.max(at, 0), last);
    });
  }
}
