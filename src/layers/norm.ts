/**
 * Normalisation layers.
 *
 * @module
 */

import type { BatchNormTensors } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import {
  checkAnyShape,
  checkBoolean,
  checkFraction,
  checkInteger,
  checkNonNegative,
  checkOptions,
  checkTensor,
} from "../ops/checks.ts";
import {
  batchNorm,
  batchNormBackward,
  batchNormStatistics,
  localResponseNorm,
  localResponseNormBackward,
  type LocalResponseNormOptions,
} from "../ops/norm.ts";
import { checkLocalResponseNorm } from "../ops/norm_checks.ts";
import type { ActivationOptions } from "../ops/fused.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  checkForward,
  checkNotInPlace,
  checkTrainingForward,
  type ForwardOptions,
  type Repeatable,
} from "./forward.ts";
import { Layer } from "./layer.ts";
import { constantParameter, type Parameter, type WeightAndBias } from "./parameter.ts";

/** Normalisation over neighbouring channels, `torch.nn.LocalResponseNorm`, of [N, C, …]. */
export class LocalResponseNorm extends Layer implements Repeatable {
  /** The name in `torch.nn`. */
  override readonly type = "LocalResponseNorm";

  /**
   * Creates the layer.
   *
   * @param size Channels in the window, odd.
   * @param options `alpha` (default 1e-4), `beta` (0.75) and `k` (1).
   * @throws {ArgumentError} When the size is not a positive odd integer.
   */
  constructor(readonly size: number, readonly options: LocalResponseNormOptions = {}) {
    super();
    checkOptions(this.type, options, ["alpha", "beta", "k"]);
    checkLocalResponseNorm(this.type, size, options);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 3);
    return input;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === LocalResponseNorm.prototype.forward ? 0 : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    const y = localResponseNorm(x, this.size, { ...this.options, out });
    this.save(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [x] = this.recall();
    return localResponseNormBackward(dy, x, this.size, this.options);
  }
}

/** What batch normalisation needs in training mode, in the words of its error. */
export const severalValues = "more than one value per channel";

/**
 * Options of batch normalisation, with PyTorch's names.
 */
export interface BatchNormOptions {
  /** Added to the variance to avoid division by 0. Default: 1e-5. */
  readonly eps?: number;
  /** Learns a weight and a bias for each channel. Default: true. */
  readonly affine?: boolean;
  /** The weight of each batch in the running statistics. Default: 0.1. */
  readonly momentum?: number;
}

/**
 * The parameters of a batch normalisation.
 */
export type BatchNormParameters = Partial<WeightAndBias> & {
  readonly running_mean: Parameter;
  readonly running_var: Parameter;
};

/**
 * The base class of batch normalisation layers.
 *
 * @internal
 */
export abstract class BatchNorm extends Layer implements Repeatable {
  /** See {@linkcode Layer.fusesActivation}. */
  override readonly fusesActivation = true;
  /** The forward pass may overwrite its input, unless it uses the statistics of the batch. */
  override readonly inPlace = true;
  /** The parameters by name. */
  override readonly parameters: BatchNormParameters;
  /** The numbers of axes that an input may have. */
  protected abstract readonly ranks: readonly number[];
  /** The statistics of the last batch, for the backward pass. */
  #statistics: ReturnType<typeof batchNormStatistics> | undefined;

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param op The name of the class in error messages.
   * @param numFeatures Channels of the input.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(op: string, readonly numFeatures: number, readonly options: BatchNormOptions = {}) {
    super();
    const shape = [checkInteger(op, "numFeatures", numFeatures, 1)];
    checkOptions(op, options, ["eps", "affine", "momentum"]);
    const { eps = 1e-5, momentum = 0.1, affine: learns = true } = options;
    checkBoolean(op, "affine", learns);
    checkNonNegative(op, "eps", eps);
    checkFraction(op, "momentum", momentum);
    const affine = { weight: constantParameter(shape, 1), bias: constantParameter(shape, 0) };
    this.parameters = {
      ...(learns ? affine : {}),
      running_mean: constantParameter(shape, 0, { isBuffer: true }),
      running_var: constantParameter(shape, 1, { isBuffer: true }),
    };
  }

  /**
   * The running statistics, weight and bias.
   *
   * @internal
   */
  get tensors(): BatchNormTensors {
    return {
      runningMean: this.value("running_mean"),
      runningVar: this.value("running_var"),
      weight: this.optional("weight"),
      bias: this.optional("bias"),
    };
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    if (!this.ranks.includes(input.length) || input[1] !== this.numFeatures) {
      const expected = `[N, ${this.numFeatures}, …] with ${this.ranks.join(" or ")} axes`;
      throw new ArgumentError(this.type, "the shape of x", input, expected);
    }
    return input;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === BatchNorm.prototype.forward ? 0 : undefined;
  }

  /**
   * See {@linkcode Layer.forward}.
   *
   * @throws {ArgumentError} Also when `out` is x in training mode, unless the layer is frozen.
   */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options, ["activation"]), { activation } = options;
    if (this.training) checkTrainingForward(this.type, options);
    this.outputShape(x.shape);
    const { tensors } = this, { eps } = this.options;
    let y: Tensor;
    if (this.training && !this.frozen) {
      y = this.#normalizeBatch(x, tensors, { eps, activation, out });
    } else {
      this.forget();
      y = batchNorm(x, tensors, { eps, activation, out });
    }
    this.save(x, ...(activation ? [y] : []));
    return y;
  }

  /** Normalises by the statistics of the batch, and updates the running ones. */
  #normalizeBatch(
    x: Tensor,
    { runningMean, runningVar, ...affine }: BatchNormTensors,
    options: { readonly eps?: number } & ActivationOptions,
  ): Tensor {
    const count = x.size / this.numFeatures;
    if (count === 1) {
      throw new ArgumentError(this.type, "the shape of x", x.shape, severalValues);
    }
    checkNotInPlace(this.type, options.out, x);
    for (const tensor of [runningMean, runningVar]) {
      checkTensor(this.type, "a parameter", tensor, x);
    }
    this.forget();
    const { mean, variance } = this.#statistics = batchNormStatistics(x);
    let y: Tensor;
    try {
      y = batchNorm(x, { runningMean: mean, runningVar: variance, ...affine }, options);
    } catch (error) {
      this.forget();
      throw error;
    }
    // only now, so that a failed pass leaves the running statistics alone
    const share = this.options.momentum ?? 0.1;
    kernelsOf(x).axpby(runningMean, mean, share, 1 - share);
    // PyTorch keeps the unbiased variance
    kernelsOf(x).axpby(runningVar, variance, share * count / (count - 1), 1 - share);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const weight = this.optional("weight"), { eps } = this.options;
    try {
      return this.backwardThroughRelu(dy, (dy, x) => {
        const statistics = this.#statistics;
        if (!statistics) return this.#scaled(dy);
        const dweight = this.gradientOf("weight"), dbias = this.gradientOf("bias");
        return batchNormBackward(dy, x, statistics, { weight, dweight, dbias, eps });
      });
    } finally {
      this.#disposeStatistics();
    }
  }

  /** The gradient of the input where the running statistics were used, which do not depend on it. */
  #scaled(dy: Tensor): Tensor {
    const { runningVar, weight } = this.tensors;
    using zeros = dy.backend.empty([this.numFeatures]);
    dy.backend.fill(zeros, 0);
    const { eps } = this.options;
    return batchNorm(dy, { runningMean: zeros, runningVar, weight, bias: null }, { eps });
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    this.#disposeStatistics();
    super.forget();
  }

  #disposeStatistics(): void {
    this.#statistics?.[Symbol.dispose]();
    this.#statistics = undefined;
  }
}

/** Batch normalisation, `torch.nn.BatchNorm1d`, of [N, C] or [N, C, L]. */
export class BatchNorm1d extends BatchNorm {
  /** The name in `torch.nn`. */
  override readonly type = "BatchNorm1d";
  /** The numbers of axes that an input may have. */
  protected override readonly ranks = [2, 3];

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param numFeatures Channels of the input.
   * @param options `eps` (default 1e-5), `momentum` (0.1) and `affine` (true), as in PyTorch.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super("BatchNorm1d", numFeatures, options);
  }
}

/** Batch normalisation, `torch.nn.BatchNorm2d`, of [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  /** The name in `torch.nn`. */
  override readonly type = "BatchNorm2d";
  /** The numbers of axes that an input may have. */
  protected override readonly ranks = [4];

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param numFeatures Channels of the input.
   * @param options `eps` (default 1e-5), `momentum` (0.1) and `affine` (true), as in PyTorch.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super("BatchNorm2d", numFeatures, options);
  }
}
