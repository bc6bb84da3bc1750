// Normalisation of rows by their own mean and variance: layer normalisation (Ba et al. 2016), group
// normalisation (Wu & He 2018) and instance normalisation, which is a group for each channel.
//   y = (x − mean) / √(variance + eps) · weight + bias
// x is [n, groups, channels, plane]. A row is a group of a sample; weight and bias belong to its channels.
// In layer normalisation, each position is a channel of its own: one group, planes of one float.

import { RowNormBackwardGeometry, RowNormGeometry } from "./geometry";
import { madd } from "./inline/lanes";
import { centredProduct, rowSum, squaredDistances } from "./sums";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

/**
 * @param y [n, groups, channels, plane], written; may be x
 * @param mean [n, groups], written; 0 for none
 * @param rstd [n, groups], 1 / √(variance + eps), written; 0 for none
 * @param x [n, groups, channels, plane]
 * @param weight [groups, channels]; 0 for 1 everywhere
 * @param bias [groups, channels]; 0 for none
 */
export function rowNorm(
  y: usize, mean: usize, rstd: usize, x: usize, weight: usize, bias: usize, g: RowNormGeometry,
): void {
  const groups = g.groups, channels = g.channels, plane = g.plane, size = channels * plane;
  const all = g.n * groups, rows = rowsPerItem(size), items = ceilDiv(all, rows);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const last = min(all, (item + 1) * rows);
    for (let r = item * rows; r < last; r++) {
      const at: usize = (r * size) << 2, first: usize = (r % groups * channels) << 2;
      const m = (rowSum(x + at, size) / (size as f64)) as f32;
      // in a second pass, so that a mean far from 0 does not cost digits
      const variance = squaredDistances(x + at, size, m) / (size as f64);
      const inverse = (1 / sqrt(variance + (g.eps as f64))) as f32;
      if (mean) store<f32>(mean + (r << 2), m);
      if (rstd) store<f32>(rstd + (r << 2), inverse);
      scaleRow(
        y + at, x + at, weight ? weight + first : 0, bias ? bias + first : 0, m, inverse, channels, plane,
      );
    }
  }
  join(items);
}

/** y = (x − mean) · factor · weight + bias, for the channels of a row. */
function scaleRow(
  y: usize, x: usize, weight: usize, bias: usize, mean: f32, factor: f32, channels: i32, plane: i32,
): void {
  if (plane == 1) return scalePositions(y, x, weight, bias, mean, factor, channels);
  const mean4 = f32x4.splat(mean);
  for (let c = 0; c < channels; c++) {
    const w = weight ? load<f32>(weight + (c << 2)) * factor : factor;
    const b: f32 = bias ? load<f32>(bias + (c << 2)) : 0;
    const w4 = f32x4.splat(w), b4 = f32x4.splat(b);
    let i = plane;
    for (; i >= 4; i -= 4, x += 16, y += 16) {
      v128.store(y, madd(b4, f32x4.sub(v128.load(x), mean4), w4));
    }
    for (; i > 0; i--, x += 4, y += 4) store<f32>(y, (load<f32>(x) - mean) * w + b);
  }
}

/** The same, where each position has its own weight and bias. */
function scalePositions(
  y: usize, x: usize, weight: usize, bias: usize, mean: f32, factor: f32, n: i32,
): void {
  const mean4 = f32x4.splat(mean), factor4 = f32x4.splat(factor), end = (n as usize) << 2;
  let i: usize = 0;
  for (; i + 16 <= end; i += 16) {
    let v = f32x4.mul(f32x4.sub(v128.load(x + i), mean4), factor4);
    if (weight) v = f32x4.mul(v, v128.load(weight + i));
    if (bias) v = f32x4.add(v, v128.load(bias + i));
    v128.store(y + i, v);
  }
  for (; i < end; i += 4) {
    let v = (load<f32>(x + i) - mean) * factor;
    if (weight) v *= load<f32>(weight + i);
    if (bias) v += load<f32>(bias + i);
    store<f32>(y + i, v);
  }
}

/**
 * The gradient: with g = dy · weight, x̂ = (x − mean) · rstd and means over the row,
 *   dbias += Σ dy,  dweight += Σ dy·x̂,  dx = rstd · (g − mean(g) − x̂ · mean(g·x̂)).
 *
 * @param dx written; may be dy
 * @param dweight added to; 0 for none
 * @param dbias added to; 0 for none
 */
export function rowNormBackward(
  dx: usize, dweight: usize, dbias: usize, dy: usize, x: usize, g: RowNormBackwardGeometry,
): void {
  if (dweight || dbias) addParameterGradients(dweight, dbias, dy, x, g); // first: dx may be dy
  const groups = g.groups, channels = g.channels, plane = g.plane, size = channels * plane;
  const mean = g.mean, rstd = g.rstd, weight = g.weight;
  const all = g.n * groups, rows = rowsPerItem(size), items = ceilDiv(all, rows);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const last = min(all, (item + 1) * rows);
    for (let r = item * rows; r < last; r++) {
      const at: usize = (r * size) << 2;
      const m = load<f32>(mean + (r << 2)), inverse = load<f32>(rstd + (r << 2));
      let from = dy + at;
      if (weight) {
        from = dx + at;
        scaleRow(from, dy + at, weight + ((r % groups * channels) << 2), 0, 0, 1, channels, plane);
      }
      const sum = rowSum(from, size), product = centredProduct(from, x + at, size, m);
      const b = (-inverse * inverse * inverse) as f64 * product / (size as f64);
      const d = -(inverse as f64) * sum / (size as f64);
      combine(dx + at, from, x + at, size, m, inverse, b as f32, d as f32);
    }
  }
  join(items);
}

/** dx = a · dy + b · (x − mean) + d */
function combine(dx: usize, dy: usize, x: usize, n: i32, mean: f32, a: f32, b: f32, d: f32): void {
  const a4 = f32x4.splat(a), b4 = f32x4.splat(b), d4 = f32x4.splat(d), mean4 = f32x4.splat(mean);
  for (; n >= 4; n -= 4, dx += 16, dy += 16, x += 16) {
    v128.store(dx, madd(madd(d4, f32x4.sub(v128.load(x), mean4), b4), v128.load(dy), a4));
  }
  for (; n > 0; n--, dx += 4, dy += 4, x += 4) {
    store<f32>(dx, a * load<f32>(dy) + b * (load<f32>(x) - mean) + d);
  }
}

/** dbias and dweight. An item is some channels in all samples, so that no two threads add to the same sum. */
function addParameterGradients(
  dweight: usize, dbias: usize, dy: usize, x: usize, g: RowNormBackwardGeometry,
): void {
  const n = g.n, plane = g.plane, c = g.groups * g.channels;
  const each = rowsPerItem(n * plane), items = ceilDiv(c, each);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const first = item * each, last = min(c, first + each);
    for (let s = 0; s < n; s++) {
      const at: usize = ((s * c + first) * plane) << 2;
      addOfSample(dweight, dbias, dy + at, x + at, first, last, s, g);
    }
  }
  join(items);
}

/** Adds the gradients of channels first … last − 1 in sample s, where dy and x begin. */
function addOfSample(
  dweight: usize, dbias: usize, dy: usize, x: usize, first: i32, last: i32, s: i32,
  g: RowNormBackwardGeometry,
): void {
  const channels = g.channels, plane = g.plane, step = (plane as usize) << 2;
  for (let c = first; c < last;) {
    const group = c / channels, r: usize = (s * g.groups + group) << 2;
    const m = load<f32>(g.mean + r), inverse = load<f32>(g.rstd + r);
    const end = min(last, (group + 1) * channels);
    if (plane == 1) {
      const at: usize = c << 2, count = end - c;
      addPositions(dweight ? dweight + at : 0, dbias ? dbias + at : 0, dy, x, m, inverse, count);
      dy += count << 2;
      x += count << 2;
      c = end;
      continue;
    }
    for (; c < end; c++, dy += step, x += step) {
      const at: usize = c << 2;
      if (dbias) store<f32>(dbias + at, load<f32>(dbias + at) + (rowSum(dy, plane) as f32));
      if (!dweight) continue;
      const dot = centredProduct(dy, x, plane, m) as f32 * inverse;
      store<f32>(dweight + at, load<f32>(dweight + at) + dot);
    }
  }
}

/** Adds dy · (x − mean) · rstd and dy, position by position. */
function addPositions(
  dweight: usize, dbias: usize, dy: usize, x: usize, mean: f32, rstd: f32, n: i32,
): void {
  const mean4 = f32x4.splat(mean), rstd4 = f32x4.splat(rstd), end = (n as usize) << 2;
  let i: usize = 0;
  for (; i + 16 <= end; i += 16) {
    const d = v128.load(dy + i);
    if (dbias) v128.store(dbias + i, f32x4.add(v128.load(dbias + i), d));
    if (!dweight) continue;
    const normal = f32x4.mul(f32x4.sub(v128.load(x + i), mean4), rstd4);
    v128.store(dweight + i, madd(v128.load(dweight + i), d, normal));
  }
  for (; i < end; i += 4) {
    const d = load<f32>(dy + i);
    if (dbias) store<f32>(dbias + i, load<f32>(dbias + i) + d);
    if (!dweight) continue;
    store<f32>(dweight + i, load<f32>(dweight + i) + d * (load<f32>(x + i) - mean) * rstd);
  }
}
