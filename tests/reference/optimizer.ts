/** One step of each optimiser, in place, by the formulas in PyTorch's documentation. */

export interface Sgd {
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
}

/**
 * g = dw + weightDecay · w;  v = momentum · v + g, in step 1 v = g;
 * w = w − lr · v, with Nesterov w − lr · (g + momentum · v).
 */
export function sgdStep(
  w: Float64Array,
  dw: ArrayLike<number>,
  v: Float64Array,
  t: number,
  o: Sgd,
): void {
  const { lr, momentum = 0, weightDecay = 0, nesterov = false } = o;
  for (let i = 0; i < w.length; i++) {
    const g = dw[i] + weightDecay * w[i];
    v[i] = t === 1 ? g : momentum * v[i] + g;
    w[i] -= lr * (momentum === 0 ? g : nesterov ? g + momentum * v[i] : v[i]);
  }
}

export interface AdamW {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
}

/**
 * w = w − lr · weightDecay · w;  m = β₁m + (1 − β₁)dw,  v = β₂v + (1 − β₂)dw²;
 * w = w − lr · m̂ / (√v̂ + eps) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
 */
export function adamwStep(
  w: Float64Array,
  dw: ArrayLike<number>,
  m: Float64Array,
  v: Float64Array,
  t: number,
  { lr, betas: [beta1, beta2], eps, weightDecay }: AdamW,
): void {
  for (let i = 0; i < w.length; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * dw[i];
    v[i] = beta2 * v[i] + (1 - beta2) * dw[i] ** 2;
    const mean = m[i] / (1 - beta1 ** t), square = v[i] / (1 - beta2 ** t);
    w[i] -= lr * weightDecay * w[i] + lr * mean / (Math.sqrt(square) + eps);
  }
}
