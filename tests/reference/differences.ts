/** Compares gradients of reference implementations with central differences in float64. */

import { assertAllClose } from "../assert.ts";
import type { Draw } from "../backend/harness.ts";
import type { NumArray, NumArray64 } from "../reference.ts";

/** A function of some inputs, and the gradients of Σ dy·y with respect to them. */
export interface Differentiable {
  readonly inputs: readonly NumArray64[];
  readonly forward: () => NumArray;
  readonly backward: (dy: NumArray64) => readonly NumArray[];
}

/** How far the inputs of a difference are from the point of the gradient. */
const step = 1e-5;

/** Asserts that all elements of all gradients are within 10⁻⁷ of the largest in their tensor. */
export function check(
  draw: Draw,
  { inputs, forward, backward }: Differentiable,
  name?: string,
): void {
  const dy = numbers(draw, forward().shape);
  const cost = () => {
    const y = forward().data;
    return dy.data.reduce((sum, r, i) => sum + r * y[i], 0);
  };
  for (const [index, gradient] of backward(dy).entries()) {
    const expected = differences(inputs[index].data, cost);
    const largest = expected.reduce((largest, v) => Math.max(largest, Math.abs(v)), 1e-3);
    const gradientName = `${name}: gradient ${index}`;
    assertAllClose(gradient.data, expected, { abs: 1e-7 * largest, name: gradientName });
  }
}

/** Computes ∂cost/∂at[i] for every i. */
export function differences(at: Float64Array, cost: () => number): Float64Array {
  return at.map((value, i) => {
    at[i] = value + step;
    const above = cost();
    at[i] = value - step;
    const below = cost();
    at[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Random values in float64. */
export function numbers(draw: Draw, shape: readonly number[], from = -1, to = 1): NumArray64 {
  return { shape, data: Float64Array.from(draw.floats(shape, from, to).data) };
}
