/**
 * Resizing by all rules of ONNX.
 *
 * Source: https://onnx.ai/onnx/operators/onnx__Resize.html
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import type { ForwardOptions } from "../../layers/layer.ts";
import { ResampleLayer } from "../../layers/resample.ts";
import type { Resampling } from "../../ops/resample.ts";
import { disposeOnError } from "../../ops/checks.ts";
import { checkResampled, type Taps, tapsAt, tapsOf } from "../../ops/taps.ts";
import type { Shape, Tensor } from "../../tensor.ts";
import { zeros } from "./constant_layers.ts";

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
export const coordinates: ReadonlyMap<string, Coordinates> = new Map<string, Coordinates>(
  Object.entries<Coordinates>({
    asymmetric: (i, { scale }) => fround(i / scale),
    half_pixel: halfPixel,
    pytorch_half_pixel: (i, axis) => axis.out > 1 ? halfPixel(i, axis) : 0,
    align_corners: (i, { size, out }) => out > 1 ? fround(i * (size - 1) / (out - 1)) : 0,
    half_pixel_symmetric: (i, { size, out, scale }) =>
      fround(fround((i + 0.5) / scale + size * (1 - out / fround(scale * size)) / 2) - 0.5),
    tf_half_pixel_for_nn: (i, { scale }) => fround((i + 0.5) / scale),
  }),
);

/** Returns the position that is taken instead of one between those of the input. */
type Rounding = (position: number) => number;

/** A position so close to a half is one: float32 may miss it. */
const tolerance = 1e-6;

/** The functions of nearest_mode. */
export const roundings: ReadonlyMap<string, Rounding> = new Map(Object.entries<Rounding>({
  floor: Math.floor,
  ceil: Math.ceil,
  round_prefer_floor: (position) => Math.ceil(position - 0.5 - tolerance),
  round_prefer_ceil: (position) => Math.floor(position + 0.5 + tolerance),
}));

/** How positions between those of the input are interpolated. */
export interface Filter {
  /** The weight at a distance from a position. */
  readonly weight: (distance: number) => number;
  /** From which distance on it is 0. */
  readonly radius: number;
  /** Whether smaller outputs are computed from all positions of the input. */
  readonly antialias: boolean;
  /** Whether positions beyond the edges do not count. Otherwise they are those at the edges. */
  readonly excludesOutside: boolean;
}

/** How positions are computed. */
export interface ResizeMode {
  readonly coordinates: Coordinates;
  /** How positions are rounded or interpolated. */
  readonly rounding: Rounding | Filter;
}

/** The most weights for an axis: an antialiased output position reads up to all of the input. */
const maxWeights = 1 << 22;

/** The weights of linear interpolation. */
export const linear = (distance: number): number => Math.max(0, 1 - distance);

/** The weights of cubic interpolation. Source: Keys, Cubic convolution interpolation, 1981 */
export function cubic(a: number): Filter["weight"] {
  return (d) =>
    d < 1
      ? ((a + 2) * d - (a + 3)) * d * d + 1
      : d < 2
      ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
      : 0;
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

/**
 * Resizes planes, [N, C, H, W] → [N, C, oH, oW] or [N, C, L] → [N, C, oL], ONNX's Resize. With a second
 * input, to the size of its planes.
 */
export class Resize extends ResampleLayer {
  override readonly type = "Resize";
  /** The shape of the second input. */
  #like?: Shape;

  /** @param axes One for each axis of a plane. */
  constructor(readonly axes: readonly ResizedAxis[], readonly mode: ResizeMode) {
    super();
  }

  override outputShapeOf([x, like]: readonly Shape[]): Shape {
    const kept = this.#like; // the backward pass may need it
    this.#like = like;
    try {
      return this.outputShape(x);
    } finally {
      this.#like = kept;
    }
  }

  override forwardFrom([x, like]: readonly Tensor[], options?: ForwardOptions): Tensor {
    this.#like = like?.shape;
    return this.forward(x, options);
  }

  override backwardInto(dy: Tensor): readonly Tensor[] {
    const like = this.#like, dx = this.backward(dy);
    return like ? [dx, disposeOnError(dx, () => zeros(dy, like))] : [dx];
  }

  protected override resampling(input: Shape): Resampling {
    if (input.length !== this.axes.length + 2) {
      const expected = `with ${this.axes.length + 2} axes`;
      throw new ArgumentError(this.type, "the shape of x", input, expected);
    }
    const axes = this.axes.map(({ scale, out: fixed }, i): AxisSizes => {
      const size = input[i + 2], given = this.#like?.[i + 2] ?? fixed;
      const out = scale === undefined ? given : scaledSize(size, scale);
      checkResampled(this.type, "a size of x", size);
      checkResampled(this.type, "a size of the output", out);
      const sizes = { size, out, scale: fround(scale ?? out / size) }, { rounding } = this.mode;
      const count = typeof rounding === "function" ? out : out * windowOf(rounding, sizes).most;
      if (count <= maxWeights) return sizes;
      throw new ArgumentError(this.type, "the number of weights", count, `at most ${maxWeights}`);
    });
    const output = [...input.slice(0, 2), ...axes.map(({ out }) => out)];
    return { input, output, taps: () => axes.map((axis) => this.#taps(axis)) };
  }

  #taps(axis: AxisSizes): Taps {
    const { coordinates, rounding } = this.mode, { size, out, scale } = axis;
    const inside = (position: number) => Math.min(Math.max(position, 0), size - 1);
    // An axis that keeps its size is not interpolated.
    const isSame = out === size && scale === 1;
    const position = (i: number) => isSame ? i : coordinates(i, axis);
    if (typeof rounding === "function") {
      return tapsAt(size, out, (i) => inside(rounding(position(i))));
    }
    const { weight, excludesOutside } = rounding,
      { factor, reach, most } = windowOf(rounding, axis);
    const shares = new Float64Array(most); // of the positions from the first one on
    return tapsOf(size, out, most, (i, add) => {
      const at = position(i), start = Math.ceil(at - reach), first = inside(start);
      let sum = 0, end = 0;
      shares.fill(0);
      for (let from = start; from <= at + reach; from++) {
        const share = weight(Math.abs(from - at) * factor), near = inside(from);
        if (share === 0 || excludesOutside && near !== from) continue;
        shares[near - first] += share;
        sum += share;
        end = near - first + 1;
      }
      for (let k = 0; k < end; k++) if (shares[k] !== 0) add(first + k, shares[k] / sum);
    });
  }
}

/** The positions around one that a filter reads: how far they are, how many, and the factor of distances. */
function windowOf({ radius, antialias }: Filter, { scale }: AxisSizes) {
  const factor = antialias ? Math.min(1, scale) : 1, reach = radius / factor;
  return { factor, reach, most: Math.ceil(2 * reach) + 1 };
}
