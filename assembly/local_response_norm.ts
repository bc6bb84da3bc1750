// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3; like PyTorch, with
// the mean instead of the sum):
//   y[c] = x[c] / s^beta,  s = k + alpha/size · Σ x[j]²,  j from c − ⌊size/2⌋ to c + ⌊(size−1)/2⌋
// The beta of all networks is ¾. Its power is computed by roots; others, and the last elements of a plane that do
// not fill a vector, by Mathf.pow.

import { LocalResponseNormGeometry } from "./geometry";
import { madd } from "./inline/lanes";
import { ceilDiv, claim, join, rowsPerItem } from "./threads";

/**
 * @param y [n, c, plane], written; may not be x
 * @param x [n, c, plane]
 */
export function localResponseNorm(y: usize, x: usize, g: LocalResponseNormGeometry): void {
  const c = g.c, all = g.n * c, step = (g.plane as usize) << 2;
  const channels = rowsPerItem(g.plane * min(c, g.size)), items = ceilDiv(all, channels);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const last = min(all, (item + 1) * channels);
    for (let i = item * channels; i < last; i++) {
      normalise(y + (i as usize) * step, x + ((i - i % c) as usize) * step, i % c, g);
    }
  }
  join(items);
}

/** Channel i of the sample at x. */
function normalise(y: usize, x: usize, i: i32, g: LocalResponseNormGeometry): void {
  const step = (g.plane as usize) << 2, whole = g.beta == 0.75 ? step & ~15 : 0;
  const first = max(0, i - g.size / 2), count = min(g.c - 1, i + (g.size - 1) / 2) - first + 1;
  const from = x + (first as usize) * step, center = x + (i as usize) * step;
  let p: usize = 0;
  for (; p < whole; p += 16) {
    v128.store(y + p, f32x4.div(v128.load(center + p), power34(bases(from + p, step, count, g))));
  }
  for (; p < step; p += 4) {
    store<f32>(y + p, load<f32>(center + p) / Mathf.pow(base(from + p, step, count, g), g.beta));
  }
}

/** s from `count` neighbouring channels, at four positions. */
// @ts-ignore: decorator
@inline
function bases(x: usize, step: usize, count: i32, g: LocalResponseNormGeometry): v128 {
  let sum = f32x4.splat(0);
  for (let j = 0; j < count; j++, x += step) {
    const v = v128.load(x);
    sum = madd(sum, v, v);
  }
  return f32x4.add(f32x4.splat(g.k), f32x4.mul(f32x4.splat(g.alpha / (g.size as f32)), sum));
}

/** The same at one position. */
// @ts-ignore: decorator
@inline
function base(x: usize, step: usize, count: i32, g: LocalResponseNormGeometry): f32 {
  let sum: f32 = 0;
  for (let j = 0; j < count; j++, x += step) {
    const v = load<f32>(x);
    sum += v * v;
  }
  return g.k + g.alpha / (g.size as f32) * sum;
}

/** s^¾ = √s · √√s */
// @ts-ignore: decorator
@inline
function power34(s: v128): v128 {
  const root = f32x4.sqrt(s);
  return f32x4.mul(root, f32x4.sqrt(root));
}

/**
 * With y = x · s^−beta:
 *   dx[j] = dy[j] · s[j]^−beta − 2·alpha·beta/size · x[j] · Σ dy[i]·x[i]·s[i]^(−beta−1),
 * i over the channels whose window contains j; written. The size of windows is odd, so these are j's window.
 *
 * @param scratch 2 · c · plane floats
 */
export function localResponseNormBackward(
  dx: usize, dy: usize, x: usize, scratch: usize, g: LocalResponseNormGeometry,
): void {
  const c = g.c, step = (g.plane as usize) << 2, sample = (c as usize) * step, through = scratch + sample;
  const channels = rowsPerItem(g.plane * min(c, g.size)), items = ceilDiv(c, channels);
  for (let s = 0; s < g.n; s++, x += sample, dy += sample, dx += sample) {
    for (let item = claim(items); item >= 0; item = claim(items)) {
      for (let i = item * channels, last = min(c, i + channels); i < last; i++) {
        const at = (i as usize) * step;
        splitGradient(scratch + at, through + at, dy + at, x, i, g);
      }
    }
    join(items);
    for (let item = claim(items); item >= 0; item = claim(items)) {
      for (let i = item * channels, last = min(c, i + channels); i < last; i++) {
        const at = (i as usize) * step;
        combine(dx + at, scratch + at, through, x + at, i, g);
      }
    }
    join(items);
  }
}

/** direct = dy · s^−beta and through = direct · x / s, for channel i of the sample at x. */
function splitGradient(
  direct: usize, through: usize, dy: usize, x: usize, i: i32, g: LocalResponseNormGeometry,
): void {
  const step = (g.plane as usize) << 2, whole = g.beta == 0.75 ? step & ~15 : 0, half = g.size / 2;
  const first = max(0, i - half), count = min(g.c - 1, i + half) - first + 1;
  const from = x + (first as usize) * step, center = x + (i as usize) * step;
  let p: usize = 0;
  for (; p < whole; p += 16) {
    const s = bases(from + p, step, count, g), d = f32x4.div(v128.load(dy + p), power34(s));
    v128.store(direct + p, d);
    v128.store(through + p, f32x4.div(f32x4.mul(d, v128.load(center + p)), s));
  }
  for (; p < step; p += 4) {
    const s = base(from + p, step, count, g), d = load<f32>(dy + p) * Mathf.pow(s, -g.beta);
    store<f32>(direct + p, d);
    store<f32>(through + p, d * load<f32>(center + p) / s);
  }
}

/** dx = direct − 2·alpha·beta/size · x · Σ through, for channel i. */
function combine(dx: usize, direct: usize, through: usize, x: usize, i: i32, g: LocalResponseNormGeometry): void {
  const step = (g.plane as usize) << 2, half = g.size / 2, factor = <f32>2 * g.alpha / (g.size as f32) * g.beta;
  const first = max(0, i - half), count = min(g.c - 1, i + half) - first + 1;
  const from = through + (first as usize) * step;
  let p: usize = 0;
  for (const whole = step & ~15; p < whole; p += 16) {
    let sum = f32x4.splat(0);
    for (let j = 0, q = from + p; j < count; j++, q += step) sum = f32x4.add(sum, v128.load(q));
    const own = f32x4.mul(f32x4.splat(factor), v128.load(x + p));
    v128.store(dx + p, f32x4.sub(v128.load(direct + p), f32x4.mul(own, sum)));
  }
  for (; p < step; p += 4) {
    let sum: f32 = 0;
    for (let j = 0, q = from + p; j < count; j++, q += step) sum += load<f32>(q);
    store<f32>(dx + p, load<f32>(direct + p) - factor * load<f32>(x + p) * sum);
  }
}
