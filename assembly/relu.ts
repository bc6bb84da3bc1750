import { relu4 } from "./inline/lanes";

/** y[i] = max(x[i], 0), NaN stays NaN; y may be x. */
export function relu(y: usize, x: usize, n: i32): void {
  const end = x + ((n as usize) << 2);
  for (; x + 16 <= end; x += 16, y += 16) v128.store(y, relu4(v128.load(x)));
  for (; x < end; x += 4, y += 4) {
    const v = load<f32>(x);
    store<f32>(y, v < 0 ? 0 : v);
  }
}
