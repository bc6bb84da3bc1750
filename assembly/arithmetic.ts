// Sums and products of two tensors of the same shape.

import { madd } from "./inline/lanes";
import { ceilDiv, CHUNK, claim, join } from "./threads";

/** y[i] = a[i] + alpha · b[i], written. y may be a or b. */
export function add(y: usize, a: usize, b: usize, n: i32, alpha: f32): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * CHUNK) << 2;
    addChunk(y + at, a + at, b + at, min(CHUNK, n - i * CHUNK), alpha);
  }
  join(items);
}

function addChunk(y: usize, a: usize, b: usize, n: i32, alpha: f32): void {
  const alpha4 = f32x4.splat(alpha);
  for (; n >= 4; n -= 4, y += 16, a += 16, b += 16) {
    v128.store(y, madd(v128.load(a), v128.load(b), alpha4));
  }
  for (; n > 0; n--, y += 4, a += 4, b += 4) {
    store<f32>(y, load<f32>(a) + alpha * load<f32>(b));
  }
}

/** y[i] = a[i] · b[i], written. y may be a or b. */
export function mul(y: usize, a: usize, b: usize, n: i32): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * CHUNK) << 2;
    mulChunk(y + at, a + at, b + at, min(CHUNK, n - i * CHUNK));
  }
  join(items);
}

function mulChunk(y: usize, a: usize, b: usize, n: i32): void {
  for (; n >= 4; n -= 4, y += 16, a += 16, b += 16) {
    v128.store(y, f32x4.mul(v128.load(a), v128.load(b)));
  }
  for (; n > 0; n--, y += 4, a += 4, b += 4) store<f32>(y, load<f32>(a) * load<f32>(b));
}
