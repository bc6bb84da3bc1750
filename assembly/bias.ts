// The bias of a linear layer, and the gradient of a bias, of a convolution or a linear layer.

import { ChannelGeometry } from "./geometry";
import { activate, activate4, NONE } from "./inline/activate";
import { demoted, upper } from "./inline/lanes";
import { loadUpTo, storeUpTo } from "./inline/part";
import { rowSum } from "./sums";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

/**
 * y[i, j] = activation(y[i, j] + bias[j]) for some rows and columns of a matrix, with an activation that is inlined.
 *
 * @param step bytes from one row to the next
 * @param bias `columns` floats, or 0 for none
 */
export function addBias(
  y: usize, step: usize, rows: i32, columns: i32, bias: usize, activation: i32,
): void {
  if (!bias && activation == NONE) return;
  for (let i = 0; i < rows; i++, y += step) {
    if (activation == NONE) addRow(y, bias, columns, NONE);
    else addRow(y, bias, columns, activation);
  }
}

/** One row. */
// @ts-ignore: decorator
@inline
function addRow(y: usize, bias: usize, columns: i32, activation: i32): void {
  const whole = ((columns & ~3) as usize) << 2, end = (columns as usize) << 2;
  let at: usize = 0;
  for (; at < whole; at += 16) {
    const v = f32x4.add(v128.load(y + at), bias ? v128.load(bias + at) : f32x4.splat(0));
    v128.store(y + at, activate4(v, activation));
  }
  for (; at < end; at += 4) {
    const v = load<f32>(y + at) + (bias ? load<f32>(bias + at) : 0);
    store<f32>(y + at, activate(v, activation));
  }
}

/**
 * db[c] += Σ dy over samples and planes, in float64.
 * @param dy [n, c, plane]; planes of 1 for a linear layer
 */
export function biasBackward(db: usize, dy: usize, g: ChannelGeometry): void {
  const n = g.n, c = g.c, plane = g.plane;
  const channels = ceilDiv(rowsPerItem(n * plane), 4) * 4, items = ceilDiv(c, channels);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const first = item * channels, last = min(c, first + channels);
    if (plane == 1) {
      for (let i = first; i < last; i += 4) addSamples(db + (i << 2), dy + (i << 2), n, c, min(4, last - i));
      continue;
    }
    for (let i = first; i < last; i++) {
      let sum: f64 = 0;
      for (let s = 0; s < n; s++) sum += rowSum(dy + (((s * c + i) * plane) << 2), plane);
      const to = db + (i << 2);
      store<f32>(to, load<f32>(to) + (sum as f32));
    }
  }
  join(items);
}

/** Samples that are summed up in float32. The sums of blocks are added in float64. */
const SAMPLES: i32 = 256;

/** db[c] += Σ dy[s, c] over n samples, for up to four channels. */
function addSamples(db: usize, dy: usize, n: i32, c: i32, lanes: i32): void {
  const step = (c as usize) << 2;
  let low = f64x2.splat(0), high = low;
  for (; n > 0; n -= SAMPLES) {
    let sum = f32x4.splat(0);
    for (let left = min(n, SAMPLES); left > 0; left--, dy += step) sum = f32x4.add(sum, loadUpTo(dy, lanes));
    low = f64x2.add(low, f64x2.promote_low_f32x4(sum));
    high = f64x2.add(high, f64x2.promote_low_f32x4(upper(sum)));
  }
  storeUpTo(db, f32x4.add(loadUpTo(db, lanes), demoted(low, high)), lanes);
}
