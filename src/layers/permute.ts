/**
 * Layers that reorder axes and channels.
 *
 * @module
 */

import { checkInteger, checkTensor } from "../ops/checks.ts";
import {
  channelShuffle,
  checkGroups,
  checkPermutation,
  inversePermutation,
  permutation,
  permute,
  reorder,
  type Reordering,
  shuffle,
} from "../ops/permute.ts";
import type { Shape, Tensor } from "../tensor.ts";
import type { Repeatable } from "./forward.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";

/**
 * Interleaves groups of channels, `torch.nn.ChannelShuffle`, of [N, C, …] (Zhang et al. 2017,
 * "ShuffleNet").
 */
export class ChannelShuffle extends Layer implements Repeatable {
  /** The name in `torch.nn`. */
  override readonly type = "ChannelShuffle";
  /** How the last forward pass reordered. A graph passes the same shape object in every pass. */
  #reordering: Reordering | undefined;

  /**
   * Creates the layer.
   *
   * @param groups The number of groups, a divisor of the channels.
   * @throws {ArgumentError} When it is not a positive integer.
   */
  constructor(readonly groups: number) {
    super();
    checkInteger("ChannelShuffle", "groups", groups, 1);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkGroups(this.type, input, this.groups);
    return input;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === ChannelShuffle.prototype.forward ? 0 : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    if (this.#reordering?.shape !== x.shape) {
      this.#reordering = shuffle("channelShuffle", x.shape, this.groups);
    }
    const y = reorder("channelShuffle", x, this.#reordering, out);
    this.saveShape(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    const shape = this.recallShape();
    checkTensor(this.type, "dy", dy, dy, shape);
    return channelShuffle(dy, shape[1] / this.groups);
  }
}

/** Reorders the axes, like `torch.permute`. */
export class Permute extends Layer {
  /** The name of the layer. */
  override readonly type = "Permute";

  /**
   * Creates the layer.
   *
   * @param dims For each axis of the output, the axis of the input.
   * @throws {ArgumentError} When `dims` is no permutation.
   */
  constructor(readonly dims: readonly number[]) {
    super();
    checkPermutation("Permute", dims);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return permutation(this.type, input, this.dims).shape;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    const y = permute(x, this.dims, { out });
    this.saveShape(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    checkTensor(this.type, "dy", dy, dy, this.outputShape(this.recallShape()));
    return permute(dy, inversePermutation(this.dims));
  }
}
