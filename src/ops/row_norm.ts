/**
 * Layer normalisation and group normalisation.
 *
 * @module
 */

import type { RowNormGeometry } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import type { RowStatistics } from "../backend/row_kernels.ts";
import { ArgumentError } from "../errors.ts";
import { elements, isShape, sameShape, type Shape, type Tensor } from "../tensor.ts";
import {
  checkAnyShape,
  checkNonNegative,
  checkObject,
  checkOptionalTensor,
  checkOptions,
  checkTensor,
  formatShape,
  type OutOptions,
  produce,
} from "./checks.ts";
import { checkGradients } from "./norm_checks.ts";
import { checkGroups } from "./permute.ts";

/**
 * Options of layer and group normalisation.
 */
export interface RowNormOptions extends OutOptions {
  /** The factors. Null means 1. */
  readonly weight?: Tensor | null;
  /** The offsets. Null means 0. */
  readonly bias?: Tensor | null;
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number;
  /**
   * Tensors to write the mean and 1 / √(variance + eps) of each normalised row to, for the gradient.
   * Their shape is [rows].
   */
  readonly statistics?: RowStatistics | null;
}

/**
 * Options of the gradients of layer and group normalisation.
 *
 * @internal
 */
export interface RowNormBackwardOptions extends OutOptions {
  /** The factors of the forward pass. Null means 1. */
  readonly weight?: Tensor | null;
  /** The gradient of the weight to add to. Null skips it. */
  readonly dweight?: Tensor | null;
  /** The gradient of the bias to add to. Null skips it. */
  readonly dbias?: Tensor | null;
}

/**
 * Normalises the last axes by their own mean and variance, `torch.nn.functional.layer_norm` (Ba et al.
 * 2016): y = (x − mean) / √(variance + eps) · weight + bias.
 *
 * @param x […, ...normalizedShape].
 * @param normalizedShape The sizes of the last axes, which weight and bias have as their shape.
 * @param options `weight` and `bias` (default: none); `eps` is added to the variance (default:
 * 1e-5). `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When the shapes do not fit together, or `eps` is negative.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { layerNorm } from "./row_norm.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 3, 10, 14], [2, 2]);
 * using y = layerNorm(x, [2], { eps: 0 });
 * console.log(await y.read()); // -1, 1, -1, 1
 * ```
 */
export function layerNorm(
  x: Tensor,
  normalizedShape: readonly number[],
  options: RowNormOptions = {},
): Tensor {
  const op = "layerNorm";
  checkTensor(op, "x", x, x);
  return rowNorm(op, x, layerNormRows(op, x.shape, normalizedShape), options);
}

/**
 * Normalises groups of channels by their own mean and variance, `torch.nn.functional.group_norm` (Wu &
 * He 2018). With a group for each channel, it is instance normalisation.
 *
 * @param x [N, C, …].
 * @param numGroups A divisor of C. Weight and bias have the shape [C].
 * @param options `weight` and `bias` (default: none); `eps` is added to the variance (default:
 * 1e-5). `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When the shapes do not fit together, or `eps` is negative.
 */
export function groupNorm(x: Tensor, numGroups: number, options: RowNormOptions = {}): Tensor {
  const op = "groupNorm";
  checkTensor(op, "x", x, x);
  return rowNorm(op, x, groupNormRows(op, x.shape, numGroups), options);
}

/**
 * Computes the gradient of {@linkcode layerNorm}.
 *
 * @param dy The gradient of the result.
 * @param x The input of the forward pass, in the shape of dy.
 * @param statistics Those that the forward pass wrote.
 * @param normalizedShape That of the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of x.
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function layerNormBackward(
  dy: Tensor,
  x: Tensor,
  statistics: RowStatistics,
  normalizedShape: readonly number[],
  options: RowNormBackwardOptions = {},
): Tensor {
  const op = "layerNormBackward";
  checkTensor(op, "x", x, x);
  const rows = layerNormRows(op, x.shape, normalizedShape);
  return rowNormBackward(op, dy, x, statistics, rows, options);
}

/**
 * Computes the gradient of {@linkcode groupNorm}.
 *
 * @param dy The gradient of the result.
 * @param x The input of the forward pass, in the shape of dy.
 * @param statistics Those that the forward pass wrote.
 * @param numGroups That of the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of x.
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function groupNormBackward(
  dy: Tensor,
  x: Tensor,
  statistics: RowStatistics,
  numGroups: number,
  options: RowNormBackwardOptions = {},
): Tensor {
  const op = "groupNormBackward";
  checkTensor(op, "x", x, x);
  return rowNormBackward(op, dy, x, statistics, groupNormRows(op, x.shape, numGroups), options);
}

/**
 * The rows of a normalisation, and the shape of its weight and bias.
 *
 * @internal
 */
export interface NormalizedRows {
  /** The sizes for kernels. */
  readonly g: Omit<RowNormGeometry, "eps">;
  /** The shape of weight and bias. */
  readonly affine: Shape;
}

/** The rows of a layer normalisation: each position is a channel of its own. */
export function layerNormRows(op: string, x: Shape, normalizedShape: Shape): NormalizedRows {
  checkAnyShape(op, x, 1);
  const affine = normalizedShape, last = isShape(affine) && affine.length > 0;
  if (!last || !sameShape(x.slice(-affine.length), affine)) {
    const expected = `the sizes of the last axes of x ${formatShape(x)}`;
    throw new ArgumentError(op, "normalizedShape", normalizedShape, expected);
  }
  const channels = elements(affine);
  return { g: { n: elements(x) / channels, groups: 1, channels, plane: 1 }, affine };
}

/** The rows of a group normalisation. */
export function groupNormRows(op: string, x: Shape, numGroups: number): NormalizedRows {
  checkGroups(op, x, numGroups, "numGroups");
  const [n, c] = x, plane = elements(x.slice(2));
  return { g: { n, groups: numGroups, channels: c / numGroups, plane }, affine: [c] };
}

/** Computes {@linkcode layerNorm} or {@linkcode groupNorm}. */
export function rowNorm(
  op: string,
  x: Tensor,
  { g, affine }: NormalizedRows,
  options: RowNormOptions,
): Tensor {
  checkOptions(op, options, ["weight", "bias", "eps", "statistics", "out"]);
  const weight = checkOptionalTensor(op, "weight", options.weight, x, affine);
  const bias = checkOptionalTensor(op, "bias", options.bias, x, affine);
  const eps = checkNonNegative(op, "eps", options.eps ?? 1e-5);
  const statistics = options.statistics ?? null;
  if (statistics) checkStatistics(op, statistics, x, g);
  for (const saved of [statistics?.mean, statistics?.rstd]) {
    if (saved && [x, weight, bias].some((tensor) => tensor?.storage === saved.storage)) {
      const found = "the memory of an input";
      throw new ArgumentError(op, "statistics", statistics, "other tensors", found);
    }
  }
  const reads = [weight, bias, statistics?.mean, statistics?.rstd];
  const target = { shape: x.shape, out: options.out, reads, inPlace: true };
  return produce(op, x, target, (y) => {
    kernelsOf(x).rowNorm(y, x, { weight, bias, statistics }, { ...g, eps });
  });
}

/** Computes {@linkcode layerNormBackward} or {@linkcode groupNormBackward}. */
export function rowNormBackward(
  op: string,
  dy: Tensor,
  x: Tensor,
  statistics: RowStatistics,
  { g, affine }: NormalizedRows,
  options: RowNormBackwardOptions,
): Tensor {
  checkTensor(op, "dy", dy, x, x.shape);
  checkOptions(op, options, ["weight", "dweight", "dbias", "out"]);
  checkStatistics(op, statistics, x, g);
  const weight = checkOptionalTensor(op, "weight", options.weight, x, affine);
  const dweight = checkOptionalTensor(op, "dweight", options.dweight, x, affine);
  const dbias = checkOptionalTensor(op, "dbias", options.dbias, x, affine);
  const { mean, rstd } = statistics;
  checkGradients(op, dweight, dbias, [dy, x, mean, rstd, weight]);
  const reads = [x, mean, rstd, weight, dweight, dbias];
  const target = { shape: x.shape, out: options.out, reads, inPlace: true };
  return produce(op, dy, target, (dx) => {
    const tensors = { mean, rstd, weight, dweight, dbias };
    kernelsOf(dy).rowNormBackward(dx, dy, x, tensors, { ...g, eps: 0 });
  });
}

function checkStatistics(
  op: string,
  statistics: RowStatistics,
  x: Tensor,
  { n, groups }: NormalizedRows["g"],
): void {
  checkObject(op, "statistics", statistics);
  const { mean, rstd } = statistics;
  checkTensor(op, "mean", mean, x, [n * groups]);
  checkTensor(op, "rstd", rstd, x, [n * groups]);
  if (mean.storage !== rstd.storage) return;
  throw new ArgumentError(op, "rstd", rstd, "another tensor", "the memory of mean");
}
