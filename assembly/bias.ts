// The bias of a linear layer, and the gradient of a bias, of a convolution or a linear layer.

import { ChannelGeometry } from "./geometry";
import { activate, activate4, NONE } from "./inline/activate";
import { sum4 } from "./inline/lanes";
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
 * db[c] += Σ dy over samples and planes.
 * @param dy [n, c, plane]; planes of 1 for a linear layer
 */
export function biasBackward(db: usize, dy: usize, g: ChannelGeometry): void {
  const n = g.n, c = g.c, plane = g.plane;
  const channels = rowsPerItem(n * plane), items = ceilDiv(c, channels);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const last = min(c, (item + 1) * channels);
    for (let s = 0; s < n; s++) {
      for (let i = item * channels; i < last; i++) {
        let from = dy + (((s * c + i) * plane) << 2);
        const end = from + ((plane as usize) << 2), to = db + (i << 2);
        let sum4s = f32x4.splat(0);
        for (; from + 16 <= end; from += 16) sum4s = f32x4.add(sum4s, v128.load(from));
        let sum = sum4(sum4s);
        for (; from < end; from += 4) sum += load<f32>(from);
        store<f32>(to, load<f32>(to) + sum);
      }
    }
  }
  join(items);
}
