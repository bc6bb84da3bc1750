// One step of each optimiser for one parameter, and the kernels of gradient clipping.

import { madd, sum4 } from "./inline/lanes";
import { ceilDiv, CHUNK, claim, join } from "./threads";
import { AdamWStep, SgdStep } from "./training_geometry";

/**
 * Stochastic gradient descent as in PyTorch: with g = dw + decay·w and, with momentum,
 * v = momentum·v + g, the step is w −= lr·v, or lr·(g + momentum·v) with Nesterov.
 *
 * @param v the velocity, zeros before the first step, as large as w; 0 without momentum
 */
export function sgdStep(w: usize, dw: usize, v: usize, n: i32, step: SgdStep): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * CHUNK) << 2, part = min(CHUNK, n - i * CHUNK);
    sgdChunk(w + at, dw + at, v ? v + at : 0, part, step);
  }
  join(items);
}

/** The same for a chunk. */
function sgdChunk(w: usize, dw: usize, v: usize, n: i32, step: SgdStep): void {
  const lr = step.lr, momentum = step.momentum, decay = step.weightDecay;
  const nesterov = step.nesterov;
  const end = w + ((n as usize) << 2);
  const step4 = f32x4.splat(-lr), momentum4 = f32x4.splat(momentum), decay4 = f32x4.splat(decay);
  for (; w + 16 <= end; w += 16, dw += 16) {
    const old = v128.load(w);
    let g = madd(v128.load(dw), old, decay4);
    if (v) {
      const u = madd(g, v128.load(v), momentum4);
      v128.store(v, u);
      v += 16;
      g = nesterov ? madd(g, u, momentum4) : u;
    }
    v128.store(w, madd(old, g, step4));
  }
  for (; w < end; w += 4, dw += 4) {
    const old = load<f32>(w);
    let g = load<f32>(dw) + decay * old;
    if (v) {
      const u = g + momentum * load<f32>(v);
      store<f32>(v, u);
      v += 4;
      g = nesterov ? g + momentum * u : u;
    }
    store<f32>(w, old - lr * g);
  }
}

/**
 * AdamW (Loshchilov & Hutter 2019) as in PyTorch: w −= lr·decay·w, then
 * m = β₁m + (1−β₁)dw, v = β₂v + (1−β₂)dw², w −= step · m / (√v / root + eps).
 */
export function adamwStep(w: usize, dw: usize, m: usize, v: usize, n: i32, step: AdamWStep): void {
  const items = ceilDiv(n, CHUNK);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const at: usize = (i * CHUNK) << 2, part = min(CHUNK, n - i * CHUNK);
    adamwChunk(w + at, dw + at, m + at, v + at, part, step);
  }
  join(items);
}

/** The same for a chunk. */
function adamwChunk(w: usize, dw: usize, m: usize, v: usize, n: i32, g: AdamWStep): void {
  const beta1 = g.beta1, rest1 = g.rest1, beta2 = g.beta2, rest2 = g.rest2;
  const shrink = g.shrink, step = g.step, root = g.root, eps = g.eps;
  const end = w + ((n as usize) << 2);
  const keep1 = f32x4.splat(beta1), take1 = f32x4.splat(rest1);
  const keep2 = f32x4.splat(beta2), take2 = f32x4.splat(rest2);
  const shrink4 = f32x4.splat(shrink), step4 = f32x4.splat(step);
  const root4 = f32x4.splat(root), eps4 = f32x4.splat(eps);
  for (; w + 16 <= end; w += 16, dw += 16, m += 16, v += 16) {
    const g = v128.load(dw);
    const m1 = madd(f32x4.mul(v128.load(m), keep1), g, take1);
    const v1 = madd(f32x4.mul(v128.load(v), keep2), f32x4.mul(g, g), take2);
    v128.store(m, m1);
    v128.store(v, v1);
    const divisor = f32x4.add(f32x4.div(f32x4.sqrt(v1), root4), eps4);
    const moved = f32x4.div(f32x4.mul(step4, m1), divisor);
    v128.store(w, f32x4.sub(f32x4.mul(v128.load(w), shrink4), moved));
  }
  for (; w < end; w += 4, dw += 4, m += 4, v += 4) {
    const g = load<f32>(dw);
    const m1 = load<f32>(m) * beta1 + g * rest1;
    const v1 = load<f32>(v) * beta2 + g * g * rest2;
    store<f32>(m, m1);
    store<f32>(v, v1);
    store<f32>(w, load<f32>(w) * shrink - step * m1 / (sqrt(v1) / root + eps));
  }
}

/** Σ x². Partial sums are added in float64, so that millions of terms keep their digits. */
export function squaredNorm(x: usize, n: i32): f64 {
  const end = x + ((n as usize) << 2);
  let total: f64 = 0;
  while (x + 16 <= end) {
    let sum = f32x4.splat(0);
    for (const stop = x + (min(end - x, 4096) & ~15); x < stop; x += 16) { // x + 4096 could wrap
      const v = v128.load(x);
      sum = madd(sum, v, v);
    }
    total += sum4(sum) as f64;
  }
  for (; x < end; x += 4) total += (load<f32>(x) * load<f32>(x)) as f64;
  return total;
}

/** y = a·x + b·y. */
export function axpby(y: usize, x: usize, n: i32, a: f32, b: f32): void {
  const end = x + ((n as usize) << 2), a4 = f32x4.splat(a), b4 = f32x4.splat(b);
  for (; x + 16 <= end; x += 16, y += 16) {
    v128.store(y, madd(f32x4.mul(v128.load(y), b4), v128.load(x), a4));
  }
  for (; x < end; x += 4, y += 4) store<f32>(y, a * load<f32>(x) + b * load<f32>(y));
}
