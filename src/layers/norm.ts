/**
 * Normalising layers.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import { batchNorm, localResponseNorm, type LocalResponseNormOptions } from "../ops/norm.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { constantParameter, type ForwardOptions, Layer, type Parameter } from "./layer.ts";

/** Normalisation over neighbouring channels, `torch.nn.LocalResponseNorm`. */
export class LocalResponseNorm extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "LocalResponseNorm";

  /**
   * Describes the layer; it has no values yet.
   *
   * @param size Channels in the window, odd.
   */
  constructor(readonly size: number, readonly options: LocalResponseNormOptions = {}) {
    super();
    checkInteger(this.type, "size", size, 1);
    if (size % 2 === 0) throw new ArgumentError(this.type, "size", size, "odd");
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return localResponseNorm(x, this.size, { ...this.options, out });
  }
}

/** Options of batch normalisation, with PyTorch's names. */
export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Learns a factor and a summand for each channel. Default true. */
  readonly affine?: boolean;
}

/** What the batch normalisations of all ranks share. */
export abstract class BatchNorm extends Layer {
  /** It may write over its input. */
  override readonly inPlace = true;
  /** The parameters by name. */
  override readonly parameters: Readonly<Record<string, Parameter>>;
  /** Axes that it takes, batch and channels included. */
  protected abstract readonly ranks: readonly number[];

  /**
   * Describes the layer; it has no values yet.
   *
   * @param numFeatures Channels of the input.
   */
  constructor(readonly numFeatures: number, readonly options: BatchNormOptions = {}) {
    super();
    const shape = [checkInteger("BatchNorm", "numFeatures", numFeatures, 1)];
    const affine = { weight: constantParameter(shape, 1), bias: constantParameter(shape, 0) };
    this.parameters = {
      ...(options.affine ?? true ? affine : {}),
      running_mean: constantParameter(shape, 0),
      running_var: constantParameter(shape, 1),
    };
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    if (!this.ranks.includes(input.length) || input[1] !== this.numFeatures) {
      const takes = `[N, ${this.numFeatures}, …] with ${this.ranks.join(" or ")} axes`;
      throw new ArgumentError(this.type, "the shape of x", input, takes);
    }
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    this.outputShape(x.shape);
    const tensors = {
      runningMean: this.value("running_mean"),
      runningVar: this.value("running_var"),
      weight: this.optional("weight"),
      bias: this.optional("bias"),
    };
    return batchNorm(x, tensors, { eps: this.options.eps, out });
  }
}

/** Batch normalisation with running statistics, `torch.nn.BatchNorm1d`, of [N, C] or [N, C, L]. */
export class BatchNorm1d extends BatchNorm {
  /** The name in `torch.nn`. */
  override readonly type = "BatchNorm1d";
  /** Numbers of axes that it takes. */
  protected override readonly ranks = [2, 3];
}

/** Batch normalisation with running statistics, `torch.nn.BatchNorm2d`, of [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  /** The name in `torch.nn`. */
  override readonly type = "BatchNorm2d";
  /** Numbers of axes that it takes. */
  protected override readonly ranks = [4];
}
