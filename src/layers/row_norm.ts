/**
 * Layer normalisation and group normalisation.
 *
 * @module
 */

import type { RowStatistics } from "../backend/row_kernels.ts";
import { ArgumentError } from "../errors.ts";
import {
  checkBoolean,
  checkInteger,
  checkNonNegative,
  checkOptions,
  disposeOnError,
} from "../ops/checks.ts";
import {
  groupNormRows,
  layerNormRows,
  type NormalizedRows,
  rowNorm,
  rowNormBackward,
} from "../ops/row_norm.ts";
import { isShape, type Shape, type Tensor } from "../tensor.ts";
import { checkNotInPlace } from "./forward.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";
import { constantParameter, type WeightAndBias } from "./parameter.ts";

/**
 * The base class of layers that normalise rows by their own statistics, in training and evaluation.
 *
 * @internal
 */
export abstract class RowNorm extends Layer {
  /** The forward pass may overwrite its input, in evaluation mode. */
  override readonly inPlace: boolean = this.forward === RowNorm.prototype.forward;
  /** The parameters by name. */
  override readonly parameters: Partial<WeightAndBias>;
  /** Added to the variance. */
  readonly eps: number;
  /** The statistics of the last forward pass, for the backward pass. */
  #statistics: RowStatistics | undefined;

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param type The name of the layer in error messages.
   * @param affine The shape of weight and bias; undefined for none.
   * @throws {ArgumentError} When `eps` is negative.
   */
  constructor(type: string, affine: Shape | undefined, eps = 1e-5) {
    super();
    this.eps = checkNonNegative(type, "eps", eps);
    this.parameters = affine
      ? { weight: constantParameter(affine, 1), bias: constantParameter(affine, 0) }
      : {};
  }

  /** The rows of an input. */
  protected abstract rowsOf(input: Shape): NormalizedRows;

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    this.rowsOf(input);
    return input;
  }

  /**
   * See {@linkcode Layer.forward}.
   *
   * @throws {ArgumentError} Also when `out` is x in training mode.
   */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options), rows = this.rowsOf(x.shape);
    const weight = this.optional("weight"), bias = this.optional("bias");
    const all = { weight, bias, eps: this.eps, out };
    if (!this.training) return rowNorm(this.type, x, rows, all);
    checkNotInPlace(this.type, out, x);
    this.forget();
    const statistics = this.#statistics = emptyStatistics(x, rows);
    try {
      const y = rowNorm(this.type, x, rows, { ...all, statistics });
      this.save(x);
      return y;
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [x] = this.recall();
    try {
      return rowNormBackward(this.type, dy, x, this.#statistics!, this.rowsOf(x.shape), {
        weight: this.optional("weight"),
        dweight: this.gradientOf("weight"),
        dbias: this.gradientOf("bias"),
      });
    } finally {
      this.#disposeStatistics();
    }
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    this.#disposeStatistics();
    super.forget();
  }

  #disposeStatistics(): void {
    this.#statistics?.mean.dispose();
    this.#statistics?.rstd.dispose();
    this.#statistics = undefined;
  }
}

function emptyStatistics({ backend }: Tensor, { g }: NormalizedRows): RowStatistics {
  const shape = [g.n * g.groups];
  return disposeOnError(backend.empty(shape), (mean) => ({ mean, rstd: backend.empty(shape) }));
}

/**
 * Options of {@linkcode LayerNorm}, with PyTorch's names.
 */
export interface LayerNormOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number;
  /** Learns a weight and a bias for each position. Default: true. */
  readonly elementwiseAffine?: boolean;
}

/** Normalisation over the last axes, `torch.nn.LayerNorm`, of […, ...normalizedShape]. */
export class LayerNorm extends RowNorm {
  /** The name in `torch.nn`. */
  override readonly type = "LayerNorm";
  /** The sizes of the last axes. */
  readonly normalizedShape: Shape;

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param normalizedShape The sizes of the last axes, or the size of the last axis.
   * @param options `eps` (default 1e-5) and `elementwiseAffine` (true), as in PyTorch.
   * @throws {ArgumentError} When an argument is invalid.
   */
  constructor(normalizedShape: number | readonly number[], options: LayerNormOptions = {}) {
    const type = "LayerNorm";
    const shape = Array.isArray(normalizedShape) ? normalizedShape as number[] : [normalizedShape];
    if (!isShape(shape) || shape.length === 0) {
      const expected = "a positive integer, or a list of them";
      throw new ArgumentError(type, "normalizedShape", normalizedShape, expected);
    }
    checkOptions(type, options, ["eps", "elementwiseAffine"]);
    const learns = checkBoolean(type, "elementwiseAffine", options.elementwiseAffine ?? true);
    super(type, learns ? shape : undefined, options.eps);
    this.normalizedShape = shape;
  }

  /** See {@linkcode layerNormRows}. */
  protected override rowsOf(input: Shape): NormalizedRows {
    return layerNormRows(this.type, input, this.normalizedShape);
  }
}

/**
 * Options of {@linkcode GroupNorm}, with PyTorch's names.
 */
export interface GroupNormOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number;
  /** Learns a weight and a bias for each channel. Default: true. */
  readonly affine?: boolean;
}

/**
 * Normalisation of groups of channels, `torch.nn.GroupNorm`, of [N, C, …]. With a group for each
 * channel, it is instance normalisation.
 */
export class GroupNorm extends RowNorm {
  /** The name in `torch.nn`. */
  override readonly type = "GroupNorm";

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param numGroups The number of groups, a divisor of the channels.
   * @param numChannels Channels of the input.
   * @param options `eps` (default 1e-5) and `affine` (true), as in PyTorch.
   * @throws {ArgumentError} When an argument is invalid.
   */
  constructor(
    readonly numGroups: number,
    readonly numChannels: number,
    options: GroupNormOptions = {},
  ) {
    const type = "GroupNorm";
    checkInteger(type, "numGroups", numGroups, 1);
    checkInteger(type, "numChannels", numChannels, 1);
    if (numChannels % numGroups !== 0) {
      const expected = `a divisor of the ${numChannels} channels`;
      throw new ArgumentError(type, "numGroups", numGroups, expected);
    }
    checkOptions(type, options, ["eps", "affine"]);
    const learns = checkBoolean(type, "affine", options.affine ?? true);
    super(type, learns ? [numChannels] : undefined, options.eps);
  }

  /** See {@linkcode groupNormRows}. */
  protected override rowsOf(input: Shape): NormalizedRows {
    const rows = groupNormRows(this.type, input, this.numGroups);
    if (input[1] === this.numChannels) return rows;
    const expected = `[N, ${this.numChannels}, …]`;
    throw new ArgumentError(this.type, "the shape of x", input, expected);
  }
}
