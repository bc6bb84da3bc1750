// Batch normalisation with running statistics (Ioffe & Szegedy 2015, algorithm 2):
//   y = (x − mean[c]) / √(var[c] + eps) · weight[c] + bias[c]

import { madd } from "./inline/lanes";

/**
 * @param y [n, c, plane], written; may be x
 * @param x [n, c, plane]
 * @param mean c floats; so are var, weight and bias
 * @param weight 0 for 1 everywhere
 * @param bias 0 for none
 */
export function batchNorm(
  y: usize, x: usize, mean: usize, variance: usize, weight: usize, bias: usize,
  n: i32, c: i32, plane: i32, eps: f32,
): void {
  for (let s = 0; s < n; s++) {
    for (let i = 0; i < c; i++) {
      const at = i << 2;
      const scale = (weight ? load<f32>(weight + at) : 1) / sqrt(load<f32>(variance + at) + eps);
      const shift = (bias ? load<f32>(bias + at) : 0) - load<f32>(mean + at) * scale;
      const end = x + ((plane as usize) << 2);
      const scale4 = f32x4.splat(scale), shift4 = f32x4.splat(shift);
      for (; x + 16 <= end; x += 16, y += 16) v128.store(y, madd(shift4, v128.load(x), scale4));
      for (; x < end; x += 4, y += 4) store<f32>(y, load<f32>(x) * scale + shift);
    }
  }
}
