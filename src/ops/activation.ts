/**
 * Activation functions of single elements. The gradients are in activation_backward.ts.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import { activate, activations } from "./activation_kinds.ts";
import type { OutOptions } from "./checks.ts";

/**
 * Computes max(x, 0) of every element. NaN stays NaN.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function relu(x: Tensor, options: OutOptions = {}): Tensor {
  return activate("relu", x, activations.relu(), options);
}

/**
 * Computes min(max(x, 0), 6) of every element. NaN stays NaN.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function relu6(x: Tensor, options: OutOptions = {}): Tensor {
  return activate("relu6", x, activations.relu6(), options);
}

/**
 * Computes x where x is positive and negativeSlope · x elsewhere.
 *
 * @param x Any shape.
 * @param negativeSlope The slope below 0. Default: 0.01.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When the slope is not finite, or `out` has another shape.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { leakyRelu } from "./activation.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([-1, 0, 2], [3]);
 * using y = leakyRelu(x, 0.1);
 * console.log(await y.read()); // -0.1, 0, 2
 * ```
 */
export function leakyRelu(x: Tensor, negativeSlope = 0.01, options: OutOptions = {}): Tensor {
  return activate("leakyRelu", x, activations.leakyRelu("leakyRelu", negativeSlope), options);
}

/**
 * Computes 1 / (1 + exp(−x)) of every element.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function sigmoid(x: Tensor, options: OutOptions = {}): Tensor {
  return activate("sigmoid", x, activations.sigmoid(), options);
}

/**
 * Computes the hyperbolic tangent of every element.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function tanh(x: Tensor, options: OutOptions = {}): Tensor {
  return activate("tanh", x, activations.tanh(), options);
}

/**
 * Computes x · sigmoid(x) of every element, also called Swish. −∞ gives NaN, as in PyTorch.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function silu(x: Tensor, options: OutOptions = {}): Tensor {
  return activate("silu", x, activations.silu(), options);
}

/**
 * Computes x · min(max(x + 3, 0), 6) / 6 of every element. −∞ gives NaN, as in PyTorch.
 *
 * @param x Any shape.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `out` has another shape.
 */
export function hardswish(x: Tensor, options: OutOptions = {}): Tensor {
  return activate("hardswish", x, activations.hardswish(), options);
}

/**
 * Computes min(max(alpha · x + beta, 0), 1) of every element.
 *
 * @param x Any shape.
 * @param alpha The slope. Default: 1/6, as in PyTorch; that of ONNX is 0.2.
 * @param beta The value at 0. Default: 0.5.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When a parameter is not finite, or `out` has another shape.
 */
export function hardsigmoid(
  x: Tensor,
  alpha = 1 / 6,
  beta = 0.5,
  options: OutOptions = {},
): Tensor {
  return activate("hardsigmoid", x, activations.hardsigmoid("hardsigmoid", alpha, beta), options);
}

/**
 * Computes x · Φ(x) of every element, Φ being the normal distribution. −∞ gives NaN, as in
 * PyTorch.
 *
 * @param x Any shape.
 * @param approximate "tanh" computes x · (1 + tanh(√(2/π) · (x + 0.044715·x³))) / 2. Default: "none".
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When `approximate` is neither, or `out` has another shape.
 */
export function gelu(
  x: Tensor,
  approximate: "none" | "tanh" = "none",
  options: OutOptions = {},
): Tensor {
  return activate("gelu", x, activations.gelu("gelu", approximate), options);
}

/**
 * Computes log(1 + exp(beta · x)) / beta of every element, and x where beta · x is above the
 * threshold.
 *
 * @param x Any shape.
 * @param beta The sharpness of the bend at 0. Default: 1.
 * @param threshold From here on, the function is linear. Default: 20.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When beta is 0, or a parameter is not finite, or `out` has another
 * shape.
 */
export function softplus(x: Tensor, beta = 1, threshold = 20, options: OutOptions = {}): Tensor {
  return activate("softplus", x, activations.softplus("softplus", beta, threshold), options);
}

/**
 * Computes min(max(x, minVal), maxVal) of every element. NaN stays NaN.
 *
 * @param x Any shape.
 * @param minVal The lower limit. It may be −∞. Default: −1.
 * @param maxVal The upper limit. It may be ∞. Default: 1.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When maxVal is below minVal, or a limit is NaN, or `out` has another
 * shape.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { hardtanh } from "./activation.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([-1, 0, 2], [3]);
 * using y = hardtanh(x, -Infinity, 1);
 * console.log(await y.read()); // -1, 0, 1
 * ```
 */
export function hardtanh(x: Tensor, minVal = -1, maxVal = 1, options: OutOptions = {}): Tensor {
  return activate("hardtanh", x, activations.hardtanh("hardtanh", minVal, maxVal), options);
}

/**
 * Computes x where x is positive and alpha · (exp(x) − 1) elsewhere.
 *
 * @param x Any shape.
 * @param alpha The limit for small x is −alpha.
 * @param options `out` may be x.
 * @returns The shape of x.
 * @throws {ArgumentError} When alpha is negative or not finite, or `out` has another shape.
 */
export function elu(x: Tensor, alpha = 1, options: OutOptions = {}): Tensor {
  return activate("elu", x, activations.elu("elu", alpha), options);
}
