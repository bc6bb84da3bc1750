import { relu4 } from "./inline/lanes";
import { ceilDiv, CHUNK, claim, join } from "./threads";

/** y[i] = max(x[i], 0); NaN stays NaN. y may be x. */
export function relu(y: usize, x: usize, n: i32): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * CHUNK) << 2;
    reluChunk(y + at, x + at, min(CHUNK, n - i * CHUNK));
  }
  join(items);
}

function reluChunk(y: usize, x: usize, n: i32): void {
  const end = x + ((n as usize) << 2);
  for (; x + 16 <= end; x += 16, y += 16) v128.store(y, relu4(v128.load(x)));
  for (; x < end; x += 4, y += 4) {
    const v = load<f32>(x);
    store<f32>(y, v < 0 ? 0 : v);
  }
}

/** dx[i] = dy[i] where y = relu(x) is positive or NaN, 0 elsewhere. dx may be dy. */
export function reluBackward(dx: usize, dy: usize, y: usize, n: i32): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * CHUNK) << 2;
    reluBackwardChunk(dx + at, dy + at, y + at, min(CHUNK, n - i * CHUNK));
  }
  join(items);
}

function reluBackwardChunk(dx: usize, dy: usize, y: usize, n: i32): void {
  const end = dy + ((n as usize) << 2);
  const zero = f32x4.splat(0);
  for (; dy + 16 <= end; dx += 16, dy += 16, y += 16) {
    v128.store(dx, v128.andnot(v128.load(dy), f32x4.le(v128.load(y), zero)));
  }
  for (; dy < end; dx += 4, dy += 4, y += 4) {
    store<f32>(dx, load<f32>(y) <= 0 ? 0 : load<f32>(dy));
  }
}
