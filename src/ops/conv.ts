/**
 * Convolution in one and two dimensions. As in every deep-learning library, the kernel is not
 * flipped: it is a cross-correlation.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { Tensor } from "../tensor.ts";
import { checkOptionalTensor, checkOptions, checkTensor, produce } from "./checks.ts";
import {
  type Conv1dOptions,
  type Conv2dOptions,
  convGeometry,
  type Convolution,
  convOptionNames,
  type ConvOptions,
} from "./conv_geometry.ts";
import { checkActivation, type FusedOptions } from "./fused.ts";
import {
  type AlgorithmOptions,
  checkAlgorithm,
  type ConvAlgorithm,
  correlate,
  PreparedConv,
} from "./prepared_conv.ts";
import { checkQuantized } from "./quantize.ts";
import { type InputRange, QuantizedConv } from "./quantize_conv.ts";

/**
 * Computes a 2-D convolution,
 * y[n, o, i, j] = Σ x[n, c, i·stride + k·dilation − padding, …] · weight[o, c, k, l] + bias[o].
 *
 * @param x [N, C, H, W].
 * @param weight [outC, C/groups, kH, kW]. (Layers pass weights that they have packed.)
 * @param bias [outC], or null.
 * @param options `stride`, `padding`, `dilation` and `groups`, as in PyTorch; `activation`, such
 * as "relu"; `residual`, a tensor that is added before it; `algorithm`, "direct" (default) or
 * "winograd"; `out`.
 * @returns [N, outC, oH, oW].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { conv2d } from "./conv.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
 * using w = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
 * using y = conv2d(x, w, null, { padding: 1 });
 * console.log(await y.read()); // 4, 6, 4, 6, 9, 6, 4, 6, 4
 * ```
 */
export function conv2d(
  x: Tensor,
  weight: Tensor | PreparedConv | QuantizedConv,
  bias: Tensor | null,
  options: Conv2dOptions & FusedOptions & AlgorithmOptions = {},
): Tensor {
  checkOptions("conv2d", options, [
    ...convOptionNames,
    "algorithm",
    "activation",
    "residual",
    "out",
  ]);
  return conv(2, x, weight, bias, options);
}

/**
 * Computes a 1-D convolution,
 * y[n, o, i] = Σ x[n, c, i·stride + k·dilation − padding] · weight[o, c, k] + bias[o].
 *
 * @param x [N, C, L].
 * @param weight [outC, C/groups, K]. (Layers pass weights that they have packed.)
 * @param bias [outC], or null.
 * @param options `stride`, `padding`, `dilation` and `groups`, as in PyTorch; `activation`, such
 * as "relu"; `residual`, a tensor that is added before it; `out`.
 * @returns [N, outC, oL].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { conv1d } from "./conv.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 1, 4]);
 * using w = backend.upload(new Float32Array([1, 0, -1]), [1, 1, 3]);
 * using y = conv1d(x, w, null, { padding: 1 });
 * console.log(await y.read()); // -2, -2, -2, 3
 * ```
 */
export function conv1d(
  x: Tensor,
  weight: Tensor | PreparedConv | QuantizedConv,
  bias: Tensor | null,
  options: Conv1dOptions & FusedOptions = {},
): Tensor {
  checkOptions("conv1d", options, [...convOptionNames, "activation", "residual", "out"]);
  return conv(1, x, weight, bias, options);
}

/** What a layer knows about a convolution, besides the options. */
interface LayerOptions {
  /** The result of {@linkcode convGeometry} for these arguments, which a layer computes once. */
  readonly convolution?: Convolution;
  /** The algorithm, which the layer has checked. Default: that of the options. */
  readonly algorithm?: ConvAlgorithm;
  /** Whether depthwise convolutions give the same results in every build. */
  readonly isExact?: boolean;
  /** The range of x, for weights in 8 bits. Default: that of each sample. */
  readonly inputRange?: InputRange | null;
}

/** Computes {@linkcode conv1d} or {@linkcode conv2d}. The options may be those of a layer. */
export function conv(
  axes: 1 | 2,
  x: Tensor,
  weight: Tensor | PreparedConv | QuantizedConv,
  bias: Tensor | null,
  options: ConvOptions & FusedOptions & AlgorithmOptions,
  layer: LayerOptions = {},
): Tensor {
  const op = `conv${axes}d`;
  const { convolution, isExact, inputRange = null } = layer;
  const { out } = options, { algorithm = options.algorithm ?? "direct" } = layer;
  checkTensor(op, "x", x, x);
  if (weight instanceof QuantizedConv) checkQuantized(op, weight, x);
  else checkTensor(op, "weight", weight instanceof PreparedConv ? weight.packed : weight, x);
  const { g, output: shape } = convolution ??
    convGeometry(op, axes, x.shape, weight.shape, options);
  bias = checkOptionalTensor(op, "bias", bias, x, [g.outC]);
  const residual = checkOptionalTensor(op, "residual", options.residual, x, shape);
  const epilogue = { residual, activation: checkActivation(op, options), isExact };
  if (!layer.algorithm) {
    checkAlgorithm(op, algorithm, weight.shape, [g.strideH, g.strideW], [g.dilationH, g.dilationW]);
  }
  if (!(weight instanceof Tensor)) checkPacked(op, weight, g.groups, algorithm);
  const values = weight instanceof Tensor
    ? weight
    : weight instanceof QuantizedConv
    ? weight.scale
    : weight.packed;
  // the residual may be `out`: each of its elements is read before it is written
  const reads = residual?.storage === out?.storage ? [values, bias] : [values, bias, residual];
  return produce(op, x, { shape, out, reads }, (y) => {
    const kernels = kernelsOf(x);
    if (weight instanceof QuantizedConv) {
      kernels.conv2dInt8!(y, x, weight, bias, g, epilogue, inputRange);
    } else if (algorithm === "winograd") {
      kernels.winograd(y, x, values, bias, g, epilogue);
    } else {
      correlate(y, x, values, bias, g, epilogue, weight instanceof PreparedConv);
    }
  });
}

/** Checks that packed weights fit the options. */
function checkPacked(
  op: string,
  weight: PreparedConv | QuantizedConv,
  groups: number,
  algorithm: ConvAlgorithm,
): void {
  const isQuantized = weight instanceof QuantizedConv;
  const packedGroups = isQuantized ? weight.groups : weight.options.groups;
  if (groups !== packedGroups) {
    const expected = `${packedGroups}, as in ${isQuantized ? "quantize" : "prepare"}Conv()`;
    throw new ArgumentError(op, "groups", groups, expected);
  }
  if (algorithm !== "direct") {
    throw new ArgumentError(op, "algorithm", algorithm, '"direct" with prepared weights');
  }
}
