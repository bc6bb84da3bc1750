// The gradient of a bias, of a convolution or a linear layer.

import { ChannelGeometry } from "./geometry";
import { sum4 } from "./inline/lanes";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

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
