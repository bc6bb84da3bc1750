// Max pooling: y[oy, ox] = max over the window's taps that lie inside the input.
// The maximum starts at −∞, so padding never wins; a NaN in the window gives NaN; ties go to the
// first maximum, row by row (all as in PyTorch). A 1-D pooling has height 1.
//
// Four neighbouring outputs are computed at a time where all of their windows lie inside the row.

import { strided4 } from "./inline/lanes";
import { endTap, firstTap, innerBegin, innerEnd } from "./inline/window";
import { claim, join, parts, rowsAtOnce } from "./threads";

/**
 * @param y [planes, oh, ow], written
 * @param indices [planes, oh, ow] int32, position iy·w + ix of each maximum in its plane; 0 for none
 * @param x [planes, h, w]
 */
export function maxPool2d(
  y: usize, indices: usize, x: usize, planes: i32, h: i32, w: i32, oh: i32, ow: i32,
  kh: i32, kw: i32, strideH: i32, strideW: i32, top: i32, left: i32, dilationH: i32, dilationW: i32,
): void {
  const atOnce = rowsAtOnce(h * w), items = parts(planes, atOnce), out = oh * ow;
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i * atOnce, done: usize = (first * out) << 2;
    maxPoolPlanes(
      y + done, indices ? indices + done : 0, x + ((first * h * w) << 2), min(atOnce, planes - first),
      h, w, oh, ow, kh, kw, strideH, strideW, top, left, dilationH, dilationW,
    );
  }
  join(items);
}

function maxPoolPlanes(
  y: usize, indices: usize, x: usize, planes: i32, h: i32, w: i32, oh: i32, ow: i32,
  kh: i32, kw: i32, strideH: i32, strideW: i32, top: i32, left: i32, dilationH: i32, dilationW: i32,
): void {
  const begin = innerBegin(left, strideW, ow);
  const end = innerEnd(left, strideW, (kw - 1) * dilationW + 1, w, begin, ow);
  const three = !indices && kw == 3 && strideW == 2 && dilationW == 1;
  for (let p = 0; p < planes; p++, x += (h * w) << 2) {
    for (let oy = 0; oy < oh; oy++, y += ow << 2) {
      const iy = oy * strideH - top;
      const ky0 = firstTap(iy, dilationH), ky1 = endTap(iy, dilationH, kh, h);
      for (let ox = 0; ox < ow;) {
        const ix = ox * strideW - left, to = y + (ox << 2), at = indices + (ox << 2);
        if (ox < begin || ox >= end || end - begin < 4) {
          one(to, indices ? at : 0, x, w, iy, ix, ky0, ky1, kw, dilationH, dilationW);
          ox++;
          continue;
        }
        if (indices) fourWithIndices(to, at, x, w, iy, ix, ky0, ky1, kw, strideW, dilationH, dilationW);
        else if (three) fourOfThree(to, x, w, iy, ix, ky0, ky1, dilationH);
        else four(to, x, w, iy, ix, ky0, ky1, kw, strideW, dilationH, dilationW);
        // the last four overlap those before
        ox = ox + 4 < end ? min(ox + 4, end - 4) : end;
      }
      if (indices) indices += ow << 2;
    }
  }
}

/** The maximum of one window, wherever it hangs over. */
function one(
  y: usize, indices: usize, x: usize, w: i32, iy: i32, ix: i32, ky0: i32, ky1: i32, kw: i32,
  dilationH: i32, dilationW: i32,
): void {
  const kx0 = firstTap(ix, dilationW), kx1 = endTap(ix, dilationW, kw, w);
  let best: f32 = -Infinity as f32;
  let at = (iy + ky0 * dilationH) * w + ix + kx0 * dilationW;
  for (let ky = ky0; ky < ky1; ky++) {
    for (let kx = kx0; kx < kx1; kx++) {
      const position = (iy + ky * dilationH) * w + ix + kx * dilationW;
      const v = load<f32>(x + (position << 2));
      if (v > best || v != v) {
        best = v;
        at = position;
      }
    }
  }
  store<f32>(y, best);
  if (indices) store<i32>(indices, at);
}

/**
 * The maxima of four windows that start at ix, ix + strideW, … . f32x4.max would hand NaN through, in
 * eight instructions on x86; pmax is one, and NaN is looked for beside it.
 */
function four(
  y: usize, x: usize, w: i32, iy: i32, ix: i32, ky0: i32, ky1: i32, kw: i32,
  strideW: i32, dilationH: i32, dilationW: i32,
): void {
  let best = f32x4.splat(-Infinity as f32), nan = f32x4.splat(0);
  for (let ky = ky0; ky < ky1; ky++) {
    let from = x + (((iy + ky * dilationH) * w + ix) << 2);
    for (let kx = 0; kx < kw; kx++, from += dilationW << 2) {
      const v = strided4(from, strideW << 2);
      best = f32x4.pmax(best, v);
      nan = v128.or(nan, f32x4.ne(v, v));
    }
  }
  v128.store(y, v128.or(best, nan)); // all bits set is a NaN
}

/**
 * Four windows that are three wide and two apart see nine columns, a0 … a8: first the maximum down
 * each column, then even | odd | even
 *   a0 a2 a4 a6 | a1 a3 a5 a7 | a2 a4 a6 a8
 */
function fourOfThree(y: usize, x: usize, w: i32, iy: i32, ix: i32, ky0: i32, ky1: i32, dilationH: i32): void {
  let low = f32x4.splat(-Infinity as f32), high = low, last = low, nan = f32x4.splat(0);
  for (let ky = ky0; ky < ky1; ky++) {
    const from = x + (((iy + ky * dilationH) * w + ix) << 2);
    const a = v128.load(from), b = v128.load(from, 16), c = v128.load(from, 20); // a0…a3, a4…a7, a5…a8
    low = f32x4.pmax(low, a);
    high = f32x4.pmax(high, b);
    last = f32x4.pmax(last, c);
    nan = v128.or(nan, v128.or(f32x4.ne(a, a), v128.or(f32x4.ne(b, b), f32x4.ne(c, c))));
  }
  if (v128.any_true(nan)) return four(y, x, w, iy, ix, ky0, ky1, 3, 2, dilationH, 1);
  const even = i32x4.shuffle(low, high, 0, 2, 4, 6), odd = i32x4.shuffle(low, high, 1, 3, 5, 7);
  const next = i32x4.shuffle(even, last, 1, 2, 3, 7);
  v128.store(y, f32x4.pmax(f32x4.pmax(even, odd), next));
}

function fourWithIndices(
  y: usize, indices: usize, x: usize, w: i32, iy: i32, ix: i32, ky0: i32, ky1: i32, kw: i32,
  strideW: i32, dilationH: i32, dilationW: i32,
): void {
  const lane = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(strideW));
  let best = f32x4.splat(-Infinity as f32);
  let at = i32x4.add(i32x4.splat((iy + ky0 * dilationH) * w + ix), lane);
  for (let ky = ky0; ky < ky1; ky++) {
    let position = (iy + ky * dilationH) * w + ix;
    for (let kx = 0; kx < kw; kx++, position += dilationW) {
      const v = strided4(x + (position << 2), strideW << 2);
      const wins = v128.or(f32x4.gt(v, best), f32x4.ne(v, v));
      best = v128.bitselect(v, best, wins);
      at = v128.bitselect(i32x4.add(i32x4.splat(position), lane), at, wins);
    }
  }
  v128.store(y, best);
  v128.store(indices, at);
}

/**
 * dx[i] = Σ dy over the windows whose maximum stands at i; written. Windows that overlap add up.
 * Every index must lie inside its plane: maxIndex tells.
 * @param dx [planes, size]
 * @param dy [planes, outSize]
 * @param indices [planes, outSize] int32 from maxPool2d
 */
export function maxPool2dBackward(
  dx: usize, dy: usize, indices: usize, planes: i32, size: i32, outSize: i32,
): void {
  const atOnce = rowsAtOnce(size), items = parts(planes, atOnce);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const first = item * atOnce, count = min(atOnce, planes - first);
    let to = dx + ((first * size) << 2), from: usize = (first * outSize) << 2;
    memory.fill(to, 0, (count * size) << 2);
    for (let p = 0; p < count; p++, to += size << 2) {
      for (let i = 0; i < outSize; i++, from += 4) {
        const at = to + (load<i32>(indices + from) << 2);
        store<f32>(at, load<f32>(at) + load<f32>(dy + from));
      }
    }
  }
  join(items);
}

/** The largest of n int32, as unsigned. */
export function maxIndex(indices: usize, n: i32): f64 {
  const end = indices + ((n as usize) << 2);
  let most4 = i32x4.splat(0), most: u32 = 0;
  for (; indices + 16 <= end; indices += 16) most4 = i32x4.max_u(most4, v128.load(indices));
  for (; indices < end; indices += 4) most = max(most, load<u32>(indices));
  most = max(most, max(i32x4.extract_lane(most4, 0) as u32, i32x4.extract_lane(most4, 1) as u32));
  return max(most, max(i32x4.extract_lane(most4, 2) as u32, i32x4.extract_lane(most4, 3) as u32)) as f64;
}
