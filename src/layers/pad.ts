/**
 * Padding layers.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkShape, checkTensor } from "../ops/checks.ts";
import { mirroring, pad, padBackward, padded, type PadMode } from "../ops/pad.ts";
import type { Resampling } from "../ops/resample.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";
import { ResampleLayer } from "./resample.ts";

/**
 * The padding of planes: one number for all sides, or PyTorch's `[left, right, top, bottom]`.
 */
export type PlanePadding = number | readonly [number, number, number, number];

/** Checks the padding of planes, and returns `[left, right, top, bottom]`. */
function checkSides(type: string, padding: PlanePadding): readonly number[] {
  const sides = Array.isArray(padding) ? padding as readonly number[] : Array(4).fill(padding);
  if (sides.length === 4 && sides.findIndex((side) => !Number.isInteger(side)) < 0) return sides;
  const expected = "an integer, or [left, right, top, bottom]";
  throw new ArgumentError(type, "padding", padding, expected);
}

/**
 * Pads planes with a value, `torch.nn.ConstantPad2d`: [N, C, H, W] → [N, C, oH, oW]. Negative
 * padding crops.
 */
export class ConstantPad2d extends Layer {
  /** The name in `torch.nn`. */
  override readonly type: string = "ConstantPad2d";
  readonly #sides: readonly number[];
  readonly #value: number;

  /**
   * Creates the layer.
   *
   * @param padding A number for all sides, or `[left, right, top, bottom]`.
   * @param value The value of the padding.
   * @throws {ArgumentError} When the padding is invalid.
   */
  constructor(readonly padding: PlanePadding, value: number) {
    super();
    this.#sides = checkSides("ConstantPad2d", padding);
    if (typeof value !== "number") {
      throw new ArgumentError("ConstantPad2d", "value", value, "a number");
    }
    this.#value = value;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkShape(this.type, "x", input, "[N, C, H, W]");
    return padded(this.type, input, this.#sides).shape;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    this.outputShape(x.shape);
    const y = pad(x, this.#sides, { value: this.#value, out });
    this.saveShape(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    return padBackward(dy, this.recallShape(), this.#sides);
  }
}

/** Pads planes with zeros, `torch.nn.ZeroPad2d`: [N, C, H, W] → [N, C, oH, oW]. */
export class ZeroPad2d extends ConstantPad2d {
  /** The name in `torch.nn`. */
  override readonly type = "ZeroPad2d";

  /**
   * Creates the layer.
   *
   * @param padding A number for all sides, or `[left, right, top, bottom]`.
   * @throws {ArgumentError} When the padding is invalid.
   */
  constructor(padding: PlanePadding) {
    checkSides("ZeroPad2d", padding); // names this class
    super(padding, 0);
  }
}

/**
 * The base class of layers that pad planes with values of their own.
 *
 * @internal
 */
abstract class MirrorPad extends ResampleLayer {
  /** The mode of the operation. */
  protected abstract readonly mode: PadMode;
  readonly #sides: readonly number[];

  /**
   * Creates the layer.
   *
   * @param op The name of the class in error messages.
   * @param padding A number for all sides, or `[left, right, top, bottom]`.
   * @throws {ArgumentError} When the padding is invalid.
   */
  constructor(op: string, readonly padding: PlanePadding) {
    super();
    this.#sides = checkSides(op, padding);
  }

  /** See {@linkcode mirroring}. */
  protected override resampling(input: Shape): Resampling {
    checkShape(this.type, "x", input, "[N, C, H, W]");
    return mirroring(this.type, input, this.#sides, this.mode);
  }
}

/**
 * Pads planes with their reflection at the edges, `torch.nn.ReflectionPad2d`: [N, C, H, W] → [N, C,
 * oH, oW].
 */
export class ReflectionPad2d extends MirrorPad {
  /** The name in `torch.nn`. */
  override readonly type = "ReflectionPad2d";
  /** The mode of the operation. */
  protected override readonly mode = "reflect";

  /**
   * Creates the layer.
   *
   * @param padding A number for all sides, or `[left, right, top, bottom]`.
   * @throws {ArgumentError} When the padding is invalid.
   */
  constructor(padding: PlanePadding) {
    super("ReflectionPad2d", padding);
  }
}

/**
 * Pads planes with the values at their edges, `torch.nn.ReplicationPad2d`: [N, C, H, W] → [N, C, oH,
 * oW].
 */
export class ReplicationPad2d extends MirrorPad {
  /** The name in `torch.nn`. */
  override readonly type = "ReplicationPad2d";
  /** The mode of the operation. */
  protected override readonly mode = "replicate";

  /**
   * Creates the layer.
   *
   * @param padding A number for all sides, or `[left, right, top, bottom]`.
   * @throws {ArgumentError} When the padding is invalid.
   */
  constructor(padding: PlanePadding) {
    super("ReplicationPad2d", padding);
  }
}
