import type { NumArray, NumArray64 } from "./array.ts";

/**
 * A function of one number, and its slope. At kinks, and for NaN, the slope is the one of PyTorch.
 */
export interface Elementwise {
  readonly f: (x: number) => number;
  readonly slope: (x: number) => number;
}

const clamp = (x: number, min: number, max: number) => Math.min(Math.max(x, min), max);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** The functions, by the names of the operations. */
export const elementwise = {
  relu: (): Elementwise => ({ f: (x) => Math.max(x, 0), slope: (x) => x <= 0 ? 0 : 1 }),

  relu6: () => elementwise.hardtanh(0, 6),

  leakyRelu: (slope = 0.01): Elementwise => ({
    f: (x) => x > 0 ? x : slope * x,
    slope: (x) => x > 0 ? 1 : slope,
  }),

  sigmoid: (): Elementwise => ({
    f: sigmoid,
    slope: (x) => sigmoid(x) * (1 - sigmoid(x)),
  }),

  tanh: (): Elementwise => ({ f: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 }),

  silu: (): Elementwise => ({
    f: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
  }),

  hardswish: (): Elementwise => ({
    f: (x) => x * clamp(x / 6 + 0.5, 0, 1),
    slope: (x) => x < -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5,
  }),

  hardsigmoid: (alpha = 1 / 6, beta = 0.5): Elementwise => ({
    f: (x) => clamp(alpha * x + beta, 0, 1),
    // not at the limits, where rounding decides
    slope: (x) => alpha * x + beta > 1e-7 && alpha * x + beta < 1 - 1e-7 ? alpha : 0,
  }),

  gelu(approximate: "none" | "tanh" = "none"): Elementwise {
    if (approximate === "none") {
      const density = (x: number) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
      return { f: (x) => x * normal(x), slope: (x) => normal(x) + x * density(x) };
    }
    const k = Math.sqrt(2 / Math.PI);
    const t = (x: number) => Math.tanh(k * (x + 0.044715 * x ** 3));
    return {
      f: (x) => x * (1 + t(x)) / 2,
      slope: (x) => (1 + t(x)) / 2 + x * (1 - t(x) ** 2) / 2 * k * (1 + 3 * 0.044715 * x * x),
    };
  },

  softplus: (beta = 1, threshold = 20): Elementwise => ({
    f: (x) => beta * x > threshold ? x : Math.log1p(Math.exp(beta * x)) / beta,
    slope: (x) => beta * x > threshold ? 1 : sigmoid(beta * x),
  }),

  hardtanh: (min = -1, max = 1): Elementwise => ({
    f: (x) => clamp(x, min, max),
    slope: (x) => x <= min || x >= max ? 0 : 1,
  }),

  elu: (alpha = 1): Elementwise => ({
    f: (x) => x > 0 ? x : alpha * Math.expm1(x),
    slope: (x) => x > 0 ? 1 : alpha * Math.exp(x),
  }),
};

/** f of each element. */
export function map(x: NumArray, { f }: Elementwise): NumArray64 {
  return { shape: x.shape, data: Float64Array.from(x.data, f) };
}

/** dx = dy · slope of f at x; 0 where the slope is 0, even if dy is not finite. */
export function mapBackward(dy: NumArray, x: NumArray, { slope }: Elementwise): NumArray64 {
  const data = Float64Array.from(
    dy.data,
    (v, i) => slope(x.data[i]) === 0 ? 0 : v * slope(x.data[i]),
  );
  return { shape: x.shape, data };
}

/**
 * The normal distribution: by its series, which has no cancellation, or by a continued fraction.
 */
function normal(x: number): number {
  const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) > 6) {
    let fraction = Math.abs(x);
    for (let k = 60; k > 0; k--) fraction = Math.abs(x) + k / fraction;
    return x < 0 ? density / fraction : 1 - density / fraction;
  }
  let term = x, sum = x;
  for (let k = 3; k < 200; k += 2) sum += term *= x * x / k;
  return 0.5 + density * sum;
}

/** y = x where x > 0, weight · x elsewhere; weight has the shape of x. */
export function prelu(x: NumArray, weight: NumArray): NumArray64 {
  const data = Float64Array.from(x.data, (v, i) => v > 0 ? v : weight.data[i] * v);
  return { shape: x.shape, data };
}

/** The gradients of prelu(), both in the shape of x. */
export function preluBackward(dy: NumArray, x: NumArray, weight: NumArray) {
  const { shape } = x;
  const dx = Float64Array.from(dy.data, (v, i) => x.data[i] > 0 ? v : weight.data[i] * v);
  const dweight = Float64Array.from(dy.data, (v, i) => x.data[i] > 0 ? 0 : x.data[i] * v);
  return { dx: { shape, data: dx }, dweight: { shape, data: dweight } };
}
