import type { NumArray, NumArray64 } from "./array.ts";

/** y = a + alpha · b. */
export function add(a: NumArray, b: NumArray, alpha = 1): NumArray64 {
  return { shape: a.shape, data: Float64Array.from(a.data, (v, i) => v + alpha * b.data[i]) };
}

/** y = a · b. */
export function mul(a: NumArray, b: NumArray): NumArray64 {
  return { shape: a.shape, data: Float64Array.from(a.data, (v, i) => v * b.data[i]) };
}
