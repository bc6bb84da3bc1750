/**
 * Local response normalisation and batch normalisation.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { BatchNormTensors, LocalResponseNormGeometry } from "../backend/geometry.ts";
import { ArgumentError } from "../errors.ts";
import { disposable, type Tensor } from "../tensor.ts";
import {
  checkNonNegative,
  checkObject,
  checkOptionalTensor,
  checkOptions,
  checkTensor,
  disposeOnError,
  type OutOptions,
  produce,
} from "./checks.ts";
import { type ActivationOptions, checkActivation } from "./fused.ts";
import { checkGradients, checkLocalResponseNorm, checkNormTensors } from "./norm_checks.ts";

/**
 * The constants of local response normalisation, with PyTorch's defaults.
 */
export interface LocalResponseNormOptions {
  /** The factor of the mean square. Default: 1e-4. */
  readonly alpha?: number;
  /** The exponent. Default: 0.75. */
  readonly beta?: number;
  /** The summand. Default: 1. */
  readonly k?: number;
}

/**
 * Computes y[c] = x[c] / (k + alpha/size · Σ x[j]²)^beta, with j over the `size` channels around c
 * (Krizhevsky et al. 2012, section 3.3). Like PyTorch, it uses the mean of the squares where the
 * paper uses the sum.
 *
 * @param x [N, C, …], at least three axes.
 * @param size The number of channels in the window, odd.
 * @param options `alpha` (default 1e-4), `beta` (0.75) and `k` (1); `out`.
 * @returns The shape of x.
 * @throws {ArgumentError} When x has fewer than three axes, or an option is invalid.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { localResponseNorm } from "./norm.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3]), [1, 3, 1]);
 * using y = localResponseNorm(x, 3, { alpha: 3, beta: 1 });
 * console.log(await y.read()); // 1/6, 2/15, 3/14
 * ```
 */
export function localResponseNorm(
  x: Tensor,
  size: number,
  options: LocalResponseNormOptions & OutOptions = {},
): Tensor {
  const op = "localResponseNorm";
  checkTensor(op, "x", x, x);
  checkOptions(op, options, ["alpha", "beta", "k", "out"]);
  const g = lrnGeometry(op, x, size, options);
  const target = { shape: x.shape, out: options.out };
  return produce(op, x, target, (y) => kernelsOf(x).localResponseNorm(y, x, g));
}

/**
 * Computes the gradient of {@linkcode localResponseNorm}.
 *
 * @param dy [N, C, …].
 * @param x The input of the forward pass, in the shape of dy.
 * @param size The number of channels in the window, odd.
 * @param options Those of the forward pass.
 * @returns dx, in the shape of x.
 * @throws {ArgumentError} When the shapes differ, or an option is invalid.
 */
export function localResponseNormBackward(
  dy: Tensor,
  x: Tensor,
  size: number,
  options: LocalResponseNormOptions & OutOptions = {},
): Tensor {
  const op = "localResponseNormBackward";
  checkTensor(op, "x", x, x);
  checkTensor(op, "dy", dy, x, x.shape);
  checkOptions(op, options, ["alpha", "beta", "k", "out"]);
  const g = lrnGeometry(op, x, size, options);
  const target = { shape: x.shape, out: options.out, reads: [dy] };
  return produce(op, x, target, (dx) => kernelsOf(x).localResponseNormBackward(dx, dy, x, g));
}

function lrnGeometry(
  op: string,
  x: Tensor,
  size: number,
  options: LocalResponseNormOptions,
): LocalResponseNormGeometry {
  if (x.shape.length < 3) {
    throw new ArgumentError(op, "the shape of x", x.shape, "[N, C, …] with at least three axes");
  }
  const [n, c] = x.shape, constants = checkLocalResponseNorm(op, size, options);
  return { n, c, plane: x.size / (n * c), size, ...constants };
}

/**
 * Computes y = (x − mean) / √(var + eps) · weight + bias for each channel, with the given
 * statistics (Ioffe & Szegedy 2015).
 *
 * @param x [N, C, …].
 * @param tensors `runningMean` and `runningVar`, and optionally `weight` and `bias`, [C] each.
 * @param options `eps` is added to the variance (default 1e-5). `activation`, such as "relu", is
 * applied to y. `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When the shapes do not fit together, or an option is invalid.
 */
export function batchNorm(
  x: Tensor,
  tensors: BatchNormTensors,
  options: { readonly eps?: number } & ActivationOptions = {},
): Tensor {
  const op = "batchNorm";
  checkTensor(op, "x", x, x);
  if (x.shape.length < 2) {
    throw new ArgumentError(op, "the shape of x", x.shape, "[N, C, …]");
  }
  const all = checkNormTensors(op, tensors, x, x.shape[1]);
  checkOptions(op, options, ["eps", "activation", "out"]);
  const eps = checkNonNegative(op, "eps", options.eps ?? 1e-5);
  const activation = checkActivation(op, options);
  const target = { shape: x.shape, out: options.out, reads: Object.values(all), inPlace: true };
  return produce(op, x, target, (y) => kernelsOf(x).batchNorm(y, x, all, eps, activation));
}

/**
 * The mean and variance of each channel of a batch, [C] each.
 */
export interface BatchStatistics {
  /** The mean. */
  readonly mean: Tensor;
  /** The biased variance: the sum of squares divided by the count. */
  readonly variance: Tensor;
}

/**
 * Computes the mean and variance of each channel of a batch, for batch normalisation in training.
 *
 * @param x [N, C, …].
 * @returns `mean` and the biased `variance`, [C] each. Declare the result with `using`, or dispose of
 * both.
 * @throws {ArgumentError} When x has fewer than two axes.
 */
export function batchNormStatistics(x: Tensor): BatchStatistics & Disposable {
  const op = "batchNormStatistics";
  checkTensor(op, "x", x, x);
  if (x.shape.length < 2) throw new ArgumentError(op, "the shape of x", x.shape, "[N, C, …]");
  const channels = [x.shape[1]];
  return disposeOnError(
    x.backend.empty(channels),
    (mean) =>
      disposeOnError(x.backend.empty(channels), (variance) => {
        kernelsOf(x).batchNormStatistics(mean, variance, x);
        return disposable({ mean, variance });
      }),
  );
}

/**
 * Options of {@linkcode batchNormBackward}.
 */
export interface BatchNormBackwardOptions extends OutOptions {
  /** The weight of the forward pass, [C]. Null means 1. */
  readonly weight?: Tensor | null;
  /** The gradient of the weight to add to, [C]. Null skips it. */
  readonly dweight?: Tensor | null;
  /** The gradient of the bias to add to, [C]. Null skips it. */
  readonly dbias?: Tensor | null;
  /** The `eps` of the forward pass. Default: 1e-5. */
  readonly eps?: number;
}

/**
 * Computes the gradient of {@linkcode batchNorm} with the statistics of the batch, which depend on
 * x, too (Ioffe & Szegedy 2015, section 3).
 *
 * @param dy [N, C, …].
 * @param x The input of the forward pass, in the shape of dy.
 * @param statistics The result of {@linkcode batchNormStatistics} for x.
 * @param options `weight` and `eps` of the forward pass; `dweight` and `dbias`, the gradients to
 * add to. `out` may be dy.
 * @returns dx, in the shape of x.
 * @throws {ArgumentError} When the shapes do not fit together, `eps` is negative, or a gradient shares
 *   the memory of another tensor.
 */
export function batchNormBackward(
  dy: Tensor,
  x: Tensor,
  statistics: BatchStatistics,
  options: BatchNormBackwardOptions = {},
): Tensor {
  const op = "batchNormBackward";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "x", x, dy, dy.shape);
  if (x.shape.length < 2) throw new ArgumentError(op, "the shape of x", x.shape, "[N, C, …]");
  checkObject(op, "statistics", statistics);
  checkOptions(op, options, ["weight", "dweight", "dbias", "eps", "out"]);
  const channels = [x.shape[1]];
  const { weight = null, dweight = null, dbias = null, eps = 1e-5 } = options;
  const all = { ...statistics, weight, dweight, dbias };
  const { mean, variance } = all;
  for (const [name, tensor] of Object.entries({ mean, variance })) {
    checkTensor(op, name, tensor, dy, channels);
  }
  for (const [name, tensor] of Object.entries({ weight, dweight, dbias })) {
    checkOptionalTensor(op, name, tensor, dy, channels);
  }
  checkNonNegative(op, "eps", eps);
  checkGradients(op, dweight, dbias, [dy, x, mean, variance, weight]);
  const reads = [x, ...Object.values(all)];
  const target = { shape: x.shape, out: options.out, reads, inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(x).batchNormBackward(dx, dy, x, all, eps));
}
