/**
 * The gradients of the activation functions in activation.ts. Each is computed from dy and from either
 * the input or the output of the forward pass.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import { activateBackward, activations } from "./activation_kinds.ts";
import type { OutOptions } from "./checks.ts";

/**
 * Computes the gradient of {@linkcode relu}: dx = dy where y is positive or NaN, 0 elsewhere.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function reluBackward(dy: Tensor, y: Tensor, options: OutOptions = {}): Tensor {
  return activateBackward("reluBackward", dy, y, activations.relu(), options);
}

/**
 * Computes the gradient of {@linkcode relu6}: dx = dy where y is between 0 and 6 or NaN, 0
 * elsewhere.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function relu6Backward(dy: Tensor, y: Tensor, options: OutOptions = {}): Tensor {
  return activateBackward("relu6Backward", dy, y, activations.relu6(), options);
}

/**
 * Computes the gradient of {@linkcode leakyRelu}: dx = dy where x is positive, negativeSlope · dy
 * elsewhere.
 *
 * @param dy Any shape.
 * @param x The input of the forward pass, in the shape of dy.
 * @param negativeSlope As in the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or the slope is not finite.
 */
export function leakyReluBackward(
  dy: Tensor,
  x: Tensor,
  negativeSlope = 0.01,
  options: OutOptions = {},
): Tensor {
  const op = "leakyReluBackward";
  return activateBackward(op, dy, x, activations.leakyRelu(op, negativeSlope), options);
}

/**
 * Computes the gradient of {@linkcode sigmoid}: dx = dy · y · (1 − y).
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function sigmoidBackward(dy: Tensor, y: Tensor, options: OutOptions = {}): Tensor {
  return activateBackward("sigmoidBackward", dy, y, activations.sigmoid(), options);
}

/**
 * Computes the gradient of {@linkcode tanh}: dx = dy · (1 − y²).
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function tanhBackward(dy: Tensor, y: Tensor, options: OutOptions = {}): Tensor {
  return activateBackward("tanhBackward", dy, y, activations.tanh(), options);
}

/**
 * Computes the gradient of {@linkcode silu}: dx = dy · s · (1 + x · (1 − s)) with s = sigmoid(x).
 *
 * @param dy Any shape.
 * @param x The input of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function siluBackward(dy: Tensor, x: Tensor, options: OutOptions = {}): Tensor {
  return activateBackward("siluBackward", dy, x, activations.silu(), options);
}

/**
 * Computes the gradient of {@linkcode hardswish}: dx = 0 where x is below −3, dy from 3 on, dy ·
 * (x/3 + 1/2) between.
 *
 * @param dy Any shape.
 * @param x The input of the forward pass, in the shape of dy.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ.
 */
export function hardswishBackward(dy: Tensor, x: Tensor, options: OutOptions = {}): Tensor {
  return activateBackward("hardswishBackward", dy, x, activations.hardswish(), options);
}

/**
 * Computes the gradient of {@linkcode hardsigmoid}: dx = alpha · dy where y is between 0 and 1, 0
 * elsewhere.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param alpha As in the forward pass.
 * @param beta As in the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or a parameter is not finite.
 */
export function hardsigmoidBackward(
  dy: Tensor,
  y: Tensor,
  alpha = 1 / 6,
  beta = 0.5,
  options: OutOptions = {},
): Tensor {
  const op = "hardsigmoidBackward";
  return activateBackward(op, dy, y, activations.hardsigmoid(op, alpha, beta), options);
}

/**
 * Computes the gradient of {@linkcode gelu}: dx = dy · (Φ(x) + x · φ(x)), or the derivative of the
 * approximation.
 *
 * @param dy Any shape.
 * @param x The input of the forward pass, in the shape of dy.
 * @param approximate As in the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or `approximate` is neither.
 */
export function geluBackward(
  dy: Tensor,
  x: Tensor,
  approximate: "none" | "tanh" = "none",
  options: OutOptions = {},
): Tensor {
  const op = "geluBackward";
  return activateBackward(op, dy, x, activations.gelu(op, approximate), options);
}

/**
 * Computes the gradient of {@linkcode softplus}: dx = dy · sigmoid(beta · x), and dy where beta ·
 * x is above the threshold.
 *
 * @param dy Any shape.
 * @param x The input of the forward pass, in the shape of dy.
 * @param beta As in the forward pass.
 * @param threshold As in the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or beta is 0, or a parameter is not finite.
 */
export function softplusBackward(
  dy: Tensor,
  x: Tensor,
  beta = 1,
  threshold = 20,
  options: OutOptions = {},
): Tensor {
  const op = "softplusBackward";
  return activateBackward(op, dy, x, activations.softplus(op, beta, threshold), options);
}

/**
 * Computes the gradient of {@linkcode hardtanh}: dx = dy where y is between the limits or NaN, 0
 * elsewhere and at the limits.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param minVal As in the forward pass.
 * @param maxVal As in the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or maxVal is below minVal, or a limit is NaN.
 */
export function hardtanhBackward(
  dy: Tensor,
  y: Tensor,
  minVal = -1,
  maxVal = 1,
  options: OutOptions = {},
): Tensor {
  const op = "hardtanhBackward";
  return activateBackward(op, dy, y, activations.hardtanh(op, minVal, maxVal), options);
}

/**
 * Computes the gradient of {@linkcode elu}: dx = dy where y is positive, dy · (y + alpha)
 * elsewhere.
 *
 * @param dy Any shape.
 * @param y The output of the forward pass, in the shape of dy.
 * @param alpha As in the forward pass.
 * @param options `out` may be dy.
 * @returns dx, in the shape of dy.
 * @throws {ArgumentError} When the shapes differ, or alpha is negative or not finite.
 */
export function eluBackward(dy: Tensor, y: Tensor, alpha = 1, options: OutOptions = {}): Tensor {
  const op = "eluBackward";
  return activateBackward(op, dy, y, activations.elu(op, alpha), options);
}
