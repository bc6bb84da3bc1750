// Batch normalisation (Ioffe & Szegedy 2015), with the statistics of the batch in training and with
// running statistics afterwards:
//   y = activation((x − mean[c]) / √(variance[c] + eps) · weight[c] + bias[c])

import {
  BatchNormBackwardGeometry, BatchNormFoldGeometry, ChannelGeometry, FusedBatchNormGeometry,
} from "./geometry";
import { activate, activate4, HARDSWISH, NONE, RELU, RELU6, SILU } from "./inline/activate";
import { madd } from "./inline/lanes";
import { silu } from "./silu";
import { BLOCK, centredProduct, rowSum, squaredDistances } from "./sums";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

/**
 * The formula above, as y = activation(x · scale[c] + shift[c]).
 * @param y [n, c, plane], written; may be x
 * @param x [n, c, plane]
 * @param mean c floats; so are variance, weight and bias
 * @param weight 0 for 1 everywhere
 * @param bias 0 for none
 */
export function batchNorm(
  y: usize, x: usize, mean: usize, variance: usize, weight: usize, bias: usize, g: FusedBatchNormGeometry,
): void {
  const n = g.n, c = g.c, plane = g.plane, eps = g.eps, activation = g.activation;
  const rows = rowsPerItem(plane), items = ceilDiv(n * c, rows);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const last = min(n * c, (item + 1) * rows);
    for (let r = item * rows; r < last; r++) {
      const at = (r % c) << 2, row: usize = (r * plane) << 2;
      const scale = (weight ? load<f32>(weight + at) : 1) / sqrt(load<f32>(variance + at) + eps);
      const shift = (bias ? load<f32>(bias + at) : 0) - load<f32>(mean + at) * scale;
      if (activation == NONE || activation == SILU) scaleRow(y + row, x + row, plane, scale, shift, NONE);
      else if (activation == RELU) scaleRow(y + row, x + row, plane, scale, shift, RELU);
      else if (activation == RELU6) scaleRow(y + row, x + row, plane, scale, shift, RELU6);
      else scaleRow(y + row, x + row, plane, scale, shift, HARDSWISH);
      if (activation == SILU) silu(y + row, plane);
    }
  }
  join(items);
}

/** y = activation(x · scale + shift). It is inlined for each activation, so that no loop has to choose. */
// @ts-ignore: decorator
@inline
function scaleRow(y: usize, x: usize, n: i32, scale: f32, shift: f32, activation: i32): void {
  const end = x + ((n as usize) << 2), scale4 = f32x4.splat(scale), shift4 = f32x4.splat(shift);
  for (; x + 16 <= end; x += 16, y += 16) {
    v128.store(y, activate4(f32x4.add(f32x4.mul(v128.load(x), scale4), shift4), activation));
  }
  for (; x < end; x += 4, y += 4) store<f32>(y, activate(load<f32>(x) * scale + shift, activation));
}

/**
 * The convolution that computes the batch normalisation of its output, too: with
 * f = weight/√(variance + eps), the filters w · f and the bias (b − mean) · f + bias, written.
 *
 * @param filters [c, plane]; may be w
 * @param b c floats, or 0 for none
 */
export function foldBatchNorm(
  filters: usize, biases: usize, w: usize, b: usize, g: BatchNormFoldGeometry,
): void {
  const c = g.c, plane = g.plane, eps = g.eps;
  for (let i = 0; i < c; i++) {
    const at: usize = i << 2, row: usize = (i * plane) << 2;
    const factor = (g.weight ? load<f32>(g.weight + at) : 1) / sqrt(load<f32>(g.variance + at) + eps);
    const centered = (b ? load<f32>(b + at) : 0) - load<f32>(g.mean + at);
    store<f32>(biases + at, centered * factor + (g.bias ? load<f32>(g.bias + at) : 0));
    scaleRow(filters + row, w + row, plane, factor, 0, NONE);
  }
}

/**
 * The statistics of a batch: mean[c] and the biased variance[c] over samples and planes, written. Two
 * passes, so that a mean far from 0 does not cost digits.
 */
export function batchNormStatistics(mean: usize, variance: usize, x: usize, g: ChannelGeometry): void {
  const n = g.n, c = g.c, plane = g.plane;
  const count = (n as f64) * (plane as f64), sample = (c * plane) << 2;
  for (let i = claim(c); i >= 0; i = claim(c)) {
    const first = x + ((i * plane) << 2);
    let sum: f64 = 0;
    for (let s = 0, p = first; s < n; s++, p += sample) sum += rowSum(p, plane);
    const m = (sum / count) as f32;
    let squares: f64 = 0;
    for (let s = 0, p = first; s < n; s++, p += sample) squares += squaredDistances(p, plane, m);
    store<f32>(mean + (i << 2), m);
    store<f32>(variance + (i << 2), (squares / count) as f32);
  }
  join(c);
}

/**
 * The gradient when the statistics are those of the batch. With x̂ = (x − mean) / √(variance + eps), and N values
 * in a channel,
 *   dbias += Σ dy,  dweight += Σ dy·x̂,  dx = weight/√(variance + eps) · (dy − Σdy/N − x̂ · Σ(dy·x̂)/N).
 *
 * @param dx written; may be dy
 * @param dweight added to; 0 for none
 * @param dbias added to; 0 for none
 */
export function batchNormBackward(
  dx: usize, dweight: usize, dbias: usize, dy: usize, x: usize, g: BatchNormBackwardGeometry,
): void {
  const n = g.n, c = g.c, plane = g.plane, eps = g.eps;
  const mean = g.mean, variance = g.variance, weight = g.weight;
  const count = (n as f32) * (plane as f32), sample = (c * plane) << 2;
  for (let i = claim(c); i >= 0; i = claim(c)) {
    const at = i << 2, m = load<f32>(mean + at);
    const inverse: f32 = <f32>1 / sqrt(load<f32>(variance + at) + eps);
    const first: usize = (i * plane) << 2;
    let sum: f64 = 0, product: f64 = 0;
    for (let s = 0, p = first; s < n; s++, p += sample) {
      for (let j = 0, q = p; j < plane; j += BLOCK, q += BLOCK << 2) { // dy stays in the first-level cache
        sum += rowSum(dy + q, min(BLOCK, plane - j));
        product += centredProduct(dy + q, x + q, min(BLOCK, plane - j), m);
      }
    }
    const dot = (product as f32) * inverse; // Σ dy·x̂
    if (dbias) store<f32>(dbias + at, load<f32>(dbias + at) + (sum as f32));
    if (dweight) store<f32>(dweight + at, load<f32>(dweight + at) + dot);
    // dx = a·dy + b·(x − mean) + d
    const a = (weight ? load<f32>(weight + at) : 1) * inverse;
    const b = -a * inverse * dot / count;
    const d = -a * (sum as f32) / count;
    const a4 = f32x4.splat(a), b4 = f32x4.splat(b), d4 = f32x4.splat(d), m4 = f32x4.splat(m);
    for (let s = 0, p = first; s < n; s++, p += sample) {
      let q = p;
      for (const end = p + ((plane & ~3) << 2); q < end; q += 16) {
        v128.store(dx + q, madd(madd(d4, f32x4.sub(v128.load(x + q), m4), b4), v128.load(dy + q), a4));
      }
      for (const end = p + (plane << 2); q < end; q += 4) {
        store<f32>(dx + q, a * load<f32>(dy + q) + b * (load<f32>(x + q) - m) + d);
      }
    }
  }
  join(c);
}
