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

/** ∂y[i]/∂x[j] = [i = j] · s^−beta − x[i] · beta · s^(−beta−1) · 2 · alpha/size · x[j], s of i. */
export function localResponseNormBackward(dy: NumArray, x: NumArray, o: Lrn): NumArray64 {
  const dx = zeros(x.shape);
  const [n, channels] = x.shape, plane = dx.data.length / (n * channels);
  const before = Math.floor(o.size / 2), after = o.size - 1 - before;
  for (let s = 0; s < n; s++) {
    for (let i = 0; i < channels; i++) {
      for (let p = 0; p < plane; p++) {
        const place = (c: number) => (s * channels + c) * plane + p;
        const first = Math.max(0, i - before), last = Math.min(channels - 1, i + after);
        let squares = 0;
        for (let j = first; j <= last; j++) squares += x.data[place(j)] ** 2;
        const base = o.k + o.alpha / o.size * squares;
        dx.data[place(i)] += dy.data[place(i)] * base ** -o.beta;
        const through = dy.data[place(i)] * x.data[place(i)] * o.beta * base ** (-o.beta - 1);
        for (let j = first; j <= last; j++) {
          dx.data[place(j)] -= through * 2 * o.alpha / o.size * x.data[place(j)];
        }
      }
    }
  }
  return dx;
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

/** The mean and biased variance of each channel. */
export function batchNormStatistics(x: NumArray): Record<"mean" | "variance", NumArray64> {
  const channels = x.shape[1], count = x.data.length / channels;
  const mean = zeros([channels]), variance = zeros([channels]);
  forEachChannel(x, (at, c) => mean.data[c] += x.data[at] / count);
  forEachChannel(x, (at, c) => variance.data[c] += (x.data[at] - mean.data[c]) ** 2 / count);
  return { mean, variance };
}

/**
 * With the statistics of the batch and x̂ = (x − mean) / √(variance + eps): dbias = Σ dy,
 * dweight = Σ dy·x̂, dx = weight / √(variance + eps) · (dy − (dbias + x̂ · dweight) / N).
 */
export function batchNormBackward(
  dy: NumArray,
  x: NumArray,
  weight: NumArray | null,
  eps: number,
): Record<"dx" | "dweight" | "dbias", NumArray64> {
  const channels = x.shape[1], count = x.data.length / channels;
  const { mean, variance } = batchNormStatistics(x);
  const deviation = variance.data.map((v) => Math.sqrt(v + eps));
  const normal = (at: number, c: number) => (x.data[at] - mean.data[c]) / deviation[c];
  const dx = zeros(x.shape), dweight = zeros([channels]), dbias = zeros([channels]);
  forEachChannel(x, (at, c) => {
    dweight.data[c] += dy.data[at] * normal(at, c);
    dbias.data[c] += dy.data[at];
  });
  forEachChannel(x, (at, c) => {
    const mean = (dbias.data[c] + normal(at, c) * dweight.data[c]) / count;
    dx.data[at] = (weight ? weight.data[c] : 1) / deviation[c] * (dy.data[at] - mean);
  });
  return { dx, dweight, dbias };
}

function forEachChannel({ shape, data }: NumArray, visit: (at: number, c: number) => void): void {
  const plane = shape.slice(2).reduce((product, size) => product * size, 1);
  for (let at = 0; at < data.length; at++) visit(at, Math.floor(at / plane) % shape[1]);
}
