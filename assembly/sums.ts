// Sums of neighbouring floats. The order depends on their number only, so that every thread and every
// number of threads gives the same sum.

import { madd, sum4 } from "./inline/lanes";

/** Floats that are summed up in float32. The sums of blocks are added in float64. */
export const BLOCK: i32 = 4096;

/** Σ x over n floats. */
export function rowSum(x: usize, n: i32): f64 {
  let total: f64 = 0;
  for (; n > 0; n -= BLOCK, x += BLOCK << 2) total += blockSum(x, min(n, BLOCK)) as f64;
  return total;
}

/** Σ x over a block. */
function blockSum(x: usize, n: i32): f32 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (; n >= 16; n -= 16, x += 64) {
    a = f32x4.add(a, v128.load(x));
    b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32));
    d = f32x4.add(d, v128.load(x, 48));
  }
  for (; n >= 4; n -= 4, x += 16) a = f32x4.add(a, v128.load(x));
  let sum = sum4(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
  for (; n > 0; n--, x += 4) sum += load<f32>(x);
  return sum;
}

/** Σ (x − mean)² over n floats. */
export function squaredDistances(x: usize, n: i32, mean: f32): f64 {
  let total: f64 = 0;
  for (; n > 0; n -= BLOCK, x += BLOCK << 2) total += blockProduct(0, x, min(n, BLOCK), mean) as f64;
  return total;
}

/** Σ dy · (x − mean) over n floats. */
export function centredProduct(dy: usize, x: usize, n: i32, mean: f32): f64 {
  let total: f64 = 0;
  for (; n > 0; n -= BLOCK, dy += BLOCK << 2, x += BLOCK << 2) {
    total += blockProduct(dy, x, min(n, BLOCK), mean) as f64;
  }
  return total;
}

/** Σ dy · (x − mean) over a block, with dy = x − mean if its address is 0. */
function blockProduct(dy: usize, x: usize, n: i32, mean: f32): f32 {
  const mean4 = f32x4.splat(mean);
  let a = f32x4.splat(0), b = a, i: usize = 0;
  for (; n >= 8; n -= 8, i += 32) {
    const v = f32x4.sub(v128.load(x + i), mean4), w = f32x4.sub(v128.load(x + i, 16), mean4);
    a = madd(a, v, dy ? v128.load(dy + i) : v);
    b = madd(b, w, dy ? v128.load(dy + i, 16) : w);
  }
  let sum = sum4(f32x4.add(a, b));
  for (; n > 0; n--, i += 4) {
    const v = load<f32>(x + i) - mean;
    sum += v * (dy ? load<f32>(dy + i) : v);
  }
  return sum;
}
