import { type NumArray, type NumArray64, zeros } from "./array.ts";

/** y = max(x, 0); NaN stays NaN. */
export function relu(x: NumArray): NumArray64 {
  return { shape: x.shape, data: Float64Array.from(x.data, (v) => Math.max(v, 0)) };
}

/** y = exp(x − m) / Σ exp(x − m) along an axis, m the maximum: the same value, without overflow. */
export function softmax(x: NumArray, dim: number): NumArray64 {
  return alongAxis(x, dim, (v) => {
    const top = Math.max(...v);
    const e = v.map((value) => Math.exp(value - top));
    const sum = e.reduce((a, b) => a + b);
    return e.map((value) => value / sum);
  });
}

/** y = x − m − log Σ exp(x − m) along an axis. */
export function logSoftmax(x: NumArray, dim: number): NumArray64 {
  return alongAxis(x, dim, (v) => {
    const top = Math.max(...v);
    const shift = Math.log(v.reduce((sum, value) => sum + Math.exp(value - top), 0));
    return v.map((value) => value - top - shift);
  });
}

/** Applies a function to every vector that lies along an axis. */
function alongAxis(x: NumArray, dim: number, f: (v: number[]) => number[]): NumArray64 {
  const y = zeros(x.shape);
  const axis = dim < 0 ? dim + x.shape.length : dim;
  const size = x.shape[axis];
  const step = x.shape.slice(axis + 1).reduce((product, s) => product * s, 1);
  for (let first = 0; first < y.data.length; first++) {
    if (Math.floor(first / step) % size !== 0) continue;
    const at = Array.from({ length: size }, (_, k) => first + k * step);
    f(at.map((i) => x.data[i])).forEach((value, k) => y.data[at[k]] = value);
  }
  return y;
}
