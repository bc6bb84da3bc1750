/**
 * Layers that move elements.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import { checkForward, type ForwardOptions, Layer } from "../../layers/layer.ts";
import { ResampleLayer } from "../../layers/resample.ts";
import { checkTensor } from "../../ops/checks.ts";
import { inversePermutation, permutation, reorder } from "../../ops/permute.ts";
import type { Resampling } from "../../ops/resample.ts";
import { checkResampled, tapsAt } from "../../ops/taps.ts";
import { elements, type Shape, type Tensor } from "../../tensor.ts";

/** The axes of images between the two forms: split, and in another order. */
interface Axes {
  readonly split: Shape;
  readonly order: readonly number[];
  readonly output: Shape;
}

/** ONNX's DepthToSpace and SpaceToDepth, for images of any size. */
export class Blocks extends Layer {
  /**
   * @param type What it does.
   * @param size The height and width of the blocks, which the input must have.
   * @param isDepthFirst Whether the blocks come before the channels.
   */
  constructor(
    override readonly type: "DepthToSpace" | "SpaceToDepth",
    readonly size: number,
    readonly isDepthFirst: boolean,
  ) {
    super();
  }

  override outputShape(input: Shape): Shape {
    return this.#axes(input).output;
  }

  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options), { split, order, output } = this.#axes(x.shape);
    const y = reorder(
      this.type,
      x,
      { ...permutation(this.type, split, order), shape: output },
      out,
    );
    this.saveShape(x);
    return y;
  }

  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    const shape = this.recallShape(), { split, order, output } = this.#axes(shape);
    checkTensor(this.type, "dy", dy, dy, output);
    const moved = order.map((axis) => split[axis]);
    const back = permutation(this.type, moved, inversePermutation(order));
    return reorder(this.type, dy, { ...back, shape });
  }

  #axes(input: Shape): Axes {
    const [n, c, h, w] = input, b = this.size, isSplit = this.type === "DepthToSpace";
    const part = c / b ** 2, depth = this.isDepthFirst ? [b, b, part] : [part, b, b];
    const split = isSplit ? [n, ...depth, h, w] : [n, c, h / b, b, w / b, b];
    if (input.length !== 4 || !(b > 0) || !split.every(Number.isInteger)) {
      const expected = `[N, C, H, W] of whole blocks of ${b}`;
      throw new ArgumentError(this.type, "the shape of x", input, expected);
    }
    const output = isSplit ? [n, part, h * b, w * b] : [n, c * b * b, h / b, w / b];
    const order = !isSplit
      ? [3, 5, 1, 2, 4]
      : this.isDepthFirst
      ? [3, 4, 1, 5, 2]
      : [1, 4, 2, 5, 3];
    return { split, order: [0, ...order], output };
  }
}

/** Takes positions of an axis, ONNX's Gather. Negative ones count from the end. */
export class Gather extends ResampleLayer {
  override readonly type = "Gather";

  constructor(readonly axis: number, readonly positions: readonly number[]) {
    super();
  }

  protected override resampling(input: Shape): Resampling {
    const { axis, positions } = this, size = input[axis], { length } = positions;
    const inner = elements(input.slice(axis + 1));
    if (positions.some((at) => !(at < size && at >= -size))) {
      const expected = `larger along the axis ${axis}`;
      throw new ArgumentError(this.type, "the shape of x", input, expected);
    }
    for (const count of [length, inner]) checkResampled(this.type, "a size of x", count);
    const taken = () =>
      tapsAt(size, length, (i) => positions[i] < 0 ? positions[i] + size : positions[i]);
    const taps = () =>
      axis === input.length - 1 ? [taken()] : [taken(), tapsAt(inner, inner, (i) => i)];
    return { input, output: input.with(axis, length), axis, taps };
  }
}
