import { relu4 } from "./inline/lanes";
import { claim, join, parts, PIECE } from "./threads";

/** y[i] = max(x[i], 0), NaN stays NaN; y may be x. */
export function relu(y: usize, x: usize, n: i32): void {
  const items = parts(n, PIECE);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * PIECE) << 2;
    reluPiece(y + at, x + at, min(PIECE, n - i * PIECE));
  }
  join(items);
}

function reluPiece(y: usize, x: usize, n: i32): void {
  const end = x + ((n as usize) << 2);
  for (; x + 16 <= end; x += 16, y += 16) v128.store(y, relu4(v128.load(x)));
  for (; x < end; x += 4, y += 4) {
    const v = load<f32>(x);
    store<f32>(y, v < 0 ? 0 : v);
  }
}

/** dx[i] = dy[i] where y = relu(x) is above 0 or NaN, 0 elsewhere; dx may be dy. */
export function reluBackward(dx: usize, dy: usize, y: usize, n: i32): void {
  const items = parts(n, PIECE);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * PIECE) << 2;
    reluBackwardPiece(dx + at, dy + at, y + at, min(PIECE, n - i * PIECE));
  }
  join(items);
}

function reluBackwardPiece(dx: usize, dy: usize, y: usize, n: i32): void {
  const end = dy + ((n as usize) << 2);
  const zero = f32x4.splat(0);
  for (; dy + 16 <= end; dx += 16, dy += 16, y += 16) {
    v128.store(dx, v128.andnot(v128.load(dy), f32x4.le(v128.load(y), zero)));
  }
  for (; dy < end; dx += 4, dy += 4, y += 4) {
    store<f32>(dx, load<f32>(y) <= 0 ? 0 : load<f32>(dy));
  }
}
