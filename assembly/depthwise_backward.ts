// The gradient of a depthwise convolution's kernels: each weight's is a sum of products over all samples
// and outputs.

import {
  clearStrip, fillStrip, fillTaps, outputStep, plan, stripRows, strips, taps,
} from "./depthwise_strips";
import { Conv2dGeometry } from "./geometry";
import { madd, sum4 } from "./inline/lanes";
import { loadPart, maskOf } from "./inline/part";
import { claim, join, threadScratch } from "./threads";

/** Taps whose sums are computed together: a 3×3 kernel. */
const TAPS: i32 = 9;

/**
 * dw[outC, 1, kh, kw] += Σ dy · x, groups = inC. A channel's sum is added up in the same order on any
 * number of threads.
 *
 * @param dy [n, outC, oh, ow]
 * @param x [n, inC, h, w]
 * @param scratch depthwiseScratchSize bytes
 */
export function depthwiseBackwardWeight(
  dw: usize, dy: usize, x: usize, scratch: usize, g: Conv2dGeometry,
): void {
  const n = g.n, inC = g.inC, multiplier = g.groupOutC, oh = g.oh, ow = g.ow;
  const plane: usize = (g.h * g.w) << 2, outputPlane: usize = (oh * ow) << 2;
  const offsets = threadScratch(scratch, plan(g, oh, ow, g.strideH, g.strideW));
  const strip = offsets + (taps << 3);
  fillTaps(offsets, g);
  clearStrip(strip);
  for (let c = claim(inC); c >= 0; c = claim(inC)) {
    for (let s = 0; s < n; s++) {
      for (let i = 0; i < strips; i++) {
        const first = i * stripRows, rows = min(stripRows, oh - first), p = s * inC + c;
        fillStrip(strip, x + (p as usize) * plane, first, g);
        for (let m = 0; m < multiplier; m++) {
          const gradients = dy + ((p * multiplier + m) as usize) * outputPlane + ((first * ow) << 2);
          const to = dw + (((c * multiplier + m) * taps) << 2);
          for (let t = 0; t < taps; t += TAPS) {
            addProducts(to + (t << 2), gradients, strip, offsets + (t << 2), min(TAPS, taps - t), rows, ow);
          }
        }
      }
    }
  }
  join(inC);
}

/** dw[count] += Σ dy · the inputs at up to nine taps, over rows of a strip. */
function addProducts(
  dw: usize, dy: usize, strip: usize, offsets: usize, count: i32, rows: i32, columns: i32,
): void {
  const last = count - 1, o0 = load<i32>(offsets) as usize, o1 = tap(offsets, 1, last);
  const o2 = tap(offsets, 2, last), o3 = tap(offsets, 3, last), o4 = tap(offsets, 4, last);
  const o5 = tap(offsets, 5, last), o6 = tap(offsets, 6, last), o7 = tap(offsets, 7, last);
  const o8 = tap(offsets, 8, last);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0;
  const rest = columns & 3, mask = maskOf(rest);
  for (let r = 0; r < rows; r++, strip += outputStep) {
    let p = strip;
    for (const end = dy + ((columns & ~3) << 2); dy < end; dy += 16, p += 16) {
      const d = v128.load(dy);
      a0 = madd(a0, d, v128.load(p + o0));
      a1 = madd(a1, d, v128.load(p + o1));
      a2 = madd(a2, d, v128.load(p + o2));
      a3 = madd(a3, d, v128.load(p + o3));
      a4 = madd(a4, d, v128.load(p + o4));
      a5 = madd(a5, d, v128.load(p + o5));
      a6 = madd(a6, d, v128.load(p + o6));
      a7 = madd(a7, d, v128.load(p + o7));
      a8 = madd(a8, d, v128.load(p + o8));
    }
    if (!rest) continue;
    // the inputs behind the last column can be anything, even NaN
    const d = loadPart(dy, rest);
    dy += rest << 2;
    a0 = madd(a0, d, v128.and(mask, v128.load(p + o0)));
    a1 = madd(a1, d, v128.and(mask, v128.load(p + o1)));
    a2 = madd(a2, d, v128.and(mask, v128.load(p + o2)));
    a3 = madd(a3, d, v128.and(mask, v128.load(p + o3)));
    a4 = madd(a4, d, v128.and(mask, v128.load(p + o4)));
    a5 = madd(a5, d, v128.and(mask, v128.load(p + o5)));
    a6 = madd(a6, d, v128.and(mask, v128.load(p + o6)));
    a7 = madd(a7, d, v128.and(mask, v128.load(p + o7)));
    a8 = madd(a8, d, v128.and(mask, v128.load(p + o8)));
  }
  add(dw, a0);
  if (last >= 1) add(dw + 4, a1);
  if (last >= 2) add(dw + 8, a2);
  if (last >= 3) add(dw + 12, a3);
  if (last >= 4) add(dw + 16, a4);
  if (last >= 5) add(dw + 20, a5);
  if (last >= 6) add(dw + 24, a6);
  if (last >= 7) add(dw + 28, a7);
  if (last >= 8) add(dw + 32, a8);
}

/** Offset of tap i; the last one is repeated. */
// @ts-ignore: decorator
@inline
function tap(offsets: usize, i: i32, last: i32): usize {
  return load<i32>(offsets + (min(i, last) << 2)) as usize;
}

// @ts-ignore: decorator
@inline
function add(to: usize, sums: v128): void {
  store<f32>(to, load<f32>(to) + sum4(sums));
}
