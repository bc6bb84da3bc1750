// Dropout: y[i] = x[i] / (1 − p) with probability 1 − p, else 0 (Srivastava et al. 2014, scaled in
// training). A hash of the seed and i decides whether i is kept. So no mask is stored, and the same call
// on dy gives the gradient.

import { ceilDiv, CHUNK, claim, join } from "./threads";
import { DropoutMask } from "./training_geometry";

/** Drops some of n elements; y may be x. */
export function dropout(y: usize, x: usize, n: i32, mask: DropoutMask): void {
  const seed = mask.seed, keep = mask.keep, scale = mask.scale;
  const items = ceilDiv(n, CHUNK);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const end = min(n, (item + 1) * CHUNK);
    for (let i = item * CHUNK; i < end; i++) {
      const drawn = hash(seed + (i as u32) * 0x9e3779b9), at = (i as usize) << 2;
      store<f32>(y + at, drawn <= keep ? load<f32>(x + at) * scale : 0);
    }
  }
  join(items);
}

/** "lowbias32" of Chris Wellons' hash prospector: every input bit affects every output bit. */
// @ts-ignore: decorator
@inline
function hash(h: u32): u32 {
  h ^= h >> 16;
  h *= 0x21f0aaad;
  h ^= h >> 15;
  h *= 0xd35a2d97;
  return h ^ (h >> 15);
}
