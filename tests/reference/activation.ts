import { type NumArray, type NumArray64, zeros } from "./array.ts";

/** y = max(x, 0); NaN stays NaN. */
export function relu(x: NumArray): NumArray64 {
  return { shape: x.shape, data: Float64Array.from(x.data, (v) => Math.max(v, 0)) };
}

/** y = exp(x − m) / Σ exp(x − m) along an axis, m the maximum: the same value, without overflow. */
export function softmax(x: NumArray, dim: number): NumArray64 {
  return alongAxis([x], dim, ([v]) => {
    const top = Math.max(...v);
    const e = v.map((value) => Math.exp(value - top));
    const sum = e.reduce((a, b) => a + b);
    return e.map((value) => value / sum);
  });
}

/** y = x − m − log Σ exp(x − m) along an axis. */
export function logSoftmax(x: NumArray, dim: number): NumArray64 {
  return alongAxis([x], dim, ([v]) => {
    const top = Math.max(...v);
    const shift = Math.log(v.reduce((sum, value) => sum + Math.exp(value - top), 0));
    return v.map((value) => value - top - shift);
  });
}

/** dx = dy where y = relu(x) is above 0 or NaN, 0 elsewhere. */
export function reluBackward(dy: NumArray, y: NumArray): NumArray64 {
  return { shape: y.shape, data: Float64Array.from(dy.data, (v, i) => y.data[i] <= 0 ? 0 : v) };
}

/** dx = y · (dy − Σ dy·y) along an axis, y = softmax(x). */
export function softmaxBackward(dy: NumArray, y: NumArray, dim: number): NumArray64 {
  return alongAxis([dy, y], dim, ([dv, v]) => {
    const sum = v.reduce((sum, value, i) => sum + dv[i] * value, 0);
    return v.map((value, i) => value * (dv[i] - sum));
  });
}

/** dx = dy − exp(y) · Σ dy along an axis, y = logSoftmax(x). */
export function logSoftmaxBackward(dy: NumArray, y: NumArray, dim: number): NumArray64 {
  return alongAxis([dy, y], dim, ([dv, v]) => {
    const sum = dv.reduce((a, b) => a + b);
    return v.map((value, i) => dv[i] - Math.exp(value) * sum);
  });
}

/** Applies a function to the vectors along an axis, those of each array at the same position. */
function alongAxis(
  arrays: readonly NumArray[],
  dim: number,
  f: (vectors: number[][]) => number[],
): NumArray64 {
  const [{ shape }] = arrays;
  const y = zeros(shape);
  const axis = dim < 0 ? dim + shape.length : dim;
  const size = shape[axis];
  const step = shape.slice(axis + 1).reduce((product, s) => product * s, 1);
  for (let first = 0; first < y.data.length; first++) {
    if (Math.floor(first / step) % size !== 0) continue;
    const at = Array.from({ length: size }, (_, k) => first + k * step);
    const vectors = arrays.map(({ data }) => at.map((i) => data[i]));
    f(vectors).forEach((value, k) => y.data[at[k]] = value);
  }
  return y;
}
