import { type NumArray, type NumArray64, zeros } from "./array.ts";

/** y = a + alpha · b, b repeated. */
export function add(a: NumArray, b: NumArray, alpha = 1): NumArray64 {
  const { data } = repeat(b, a.shape);
  return { shape: a.shape, data: Float64Array.from(a.data, (v, i) => v + alpha * data[i]) };
}

/** y = a · b, b repeated. */
export function mul(a: NumArray, b: NumArray): NumArray64 {
  const { data } = repeat(b, a.shape);
  return { shape: a.shape, data: Float64Array.from(a.data, (v, i) => v * data[i]) };
}

/** b, repeated to a shape: along axes where it has size 1, or no axis. */
export function repeat(b: NumArray, shape: readonly number[]): NumArray64 {
  const y = zeros(shape), from = positions(b.shape, shape);
  for (let i = 0; i < y.data.length; i++) y.data[i] = b.data[from[i]];
  return y;
}

/** The gradient of b for repeat(): the sum of dy over all places that an element of b goes to. */
export function repeatBackward(dy: NumArray, shape: readonly number[]): NumArray64 {
  const db = zeros(shape), to = positions(shape, dy.shape);
  for (let i = 0; i < dy.data.length; i++) db.data[to[i]] += dy.data[i];
  return db;
}

/** Where the element for each position of `shape` lies in a tensor of the shape `small`. */
function positions(small: readonly number[], shape: readonly number[]): number[] {
  const count = zeros(shape).data.length;
  return Array.from({ length: count }, (_, i) => {
    let at = 0, step = 1, rest = i;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const own = small[axis - (shape.length - small.length)] ?? 1;
      if (own > 1) at += rest % shape[axis] * step;
      step *= own;
      rest = Math.floor(rest / shape[axis]);
    }
    return at;
  });
}
