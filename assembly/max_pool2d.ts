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
  const end4 = begin + ((end - begin) & ~3);
  for (let p = 0; p < planes; p++, x += (h * w) << 2) {
    for (let oy = 0; oy < oh; oy++) {
      const iy = oy * strideH - top;
      const ky0 = firstTap(iy, dilationH), ky1 = endTap(iy, dilationH, kh, h);
      for (let ox = 0; ox < ow; ox++, y += 4) {
        const ix = ox * strideW - left;
        if (ox >= begin && ox < end4) {
          if (indices) {
            fourWithIndices(y, indices, x, w, iy, ix, ky0, ky1, kw, strideW, dilationH, dilationW);
            indices += 16;
          } else {
            four(y, x, w, iy, ix, ky0, ky1, kw, strideW, dilationH, dilationW);
          }
          ox += 3;
          y += 12;
          continue;
        }
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
        if (indices) {
          store<i32>(indices, at);
          indices += 4;
        }
      }
    }
  }
}

/**
 * The maxima of four windows that start at ix, ix + strideW, … . f32x4.max would hand NaN through, in
 * eight instructions on x86; pmax is one, and NaN is looked for beside it.
 */
// @ts-ignore: decorator
@inline
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

// @ts-ignore: decorator
@inline
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
