import { type NumArray, type NumArray64, zeros } from "./array.ts";

export interface Lrn {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
}

/** y[c] = x[c] / (k + alpha/size · Σ x[j]²)^beta, j over the `size` channels around c. */
export function localResponseNorm(x: NumArray, o: Lrn): NumArray64 {
  const y = zeros(x.shape);
  const [n, channels] = x.shape, plane = y.data.length / (n * channels);
  const before = Math.floor(o.size / 2), after = o.size - 1 - before;
  let at = 0;
  for (let s = 0; s < n; s++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < plane; p++, at++) {
        let squares = 0;
        for (let j = Math.max(0, c - before); j <= Math.min(channels - 1, c + after); j++) {
          squares += x.data[(s * channels + j) * plane + p] ** 2;
        }
        y.data[at] = x.data[at] / (o.k + o.alpha / o.size * squares) ** o.beta;
      }
    }
  }
  return y;
}

export interface Statistics {
  readonly mean: NumArray;
  readonly variance: NumArray;
  readonly weight?: NumArray | null;
  readonly bias?: NumArray | null;
}

/** y = (x − mean[c]) / √(variance[c] + eps) · weight[c] + bias[c]. */
export function batchNorm(x: NumArray, s: Statistics, eps: number): NumArray64 {
  const y = zeros(x.shape);
  const [n, channels] = x.shape, plane = y.data.length / (n * channels);
  for (let at = 0; at < y.data.length; at++) {
    const c = Math.floor(at / plane) % channels;
    const normal = (x.data[at] - s.mean.data[c]) / Math.sqrt(s.variance.data[c] + eps);
    y.data[at] = normal * (s.weight ? s.weight.data[c] : 1) + (s.bias ? s.bias.data[c] : 0);
  }
  return y;
}
