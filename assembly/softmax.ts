// Softmax and log-softmax along one axis of [outer, size, inner]. The maximum is subtracted first, so
// that no exponential overflows. A row with a NaN becomes NaN, as does a row of −∞ (0/0).

import { AxisGeometry } from "./geometry";
import { CrossEntropyGeometry } from "./training_geometry";

/** y = exp(x) / Σ exp(x) along the axis; y may be x. */
export function softmax(y: usize, x: usize, g: AxisGeometry): void {
  const outer = g.outer, size = g.size;
  const step = (g.inner as usize) << 2, span = (size as usize) * step;
  for (let o = 0; o < outer; o++, x += span, y += span) {
    for (let i: usize = 0; i < step; i += 4) {
      const top = maxAlong(x + i, size, step);
      let sum: f32 = 0;
      for (let k: usize = i; k < span; k += step) {
        const e = Mathf.exp(load<f32>(x + k) - top);
        store<f32>(y + k, e);
        sum += e;
      }
      for (let k: usize = i; k < span; k += step) store<f32>(y + k, load<f32>(y + k) / sum);
    }
  }
}

/** y = x − log Σ exp(x) along the axis; y may be x. */
export function logSoftmax(y: usize, x: usize, g: AxisGeometry): void {
  const outer = g.outer, size = g.size;
  const step = (g.inner as usize) << 2, span = (size as usize) * step;
  for (let o = 0; o < outer; o++, x += span, y += span) {
    for (let i: usize = 0; i < step; i += 4) {
      const top = maxAlong(x + i, size, step);
      let sum: f32 = 0;
      for (let k: usize = i; k < span; k += step) sum += Mathf.exp(load<f32>(x + k) - top);
      const shift = Mathf.log(sum);
      for (let k: usize = i; k < span; k += step) store<f32>(y + k, load<f32>(x + k) - top - shift);
    }
  }
}

/** dx = y · (dy − Σ dy·y) along the axis, y = softmax(x); dx may be dy. */
export function softmaxBackward(dx: usize, dy: usize, y: usize, g: AxisGeometry): void {
  const outer = g.outer, step = (g.inner as usize) << 2, span = (g.size as usize) * step;
  for (let o = 0; o < outer; o++, dx += span, dy += span, y += span) {
    for (let i: usize = 0; i < step; i += 4) {
      let sum: f32 = 0;
      for (let k: usize = i; k < span; k += step) sum += load<f32>(dy + k) * load<f32>(y + k);
      for (let k: usize = i; k < span; k += step) {
        store<f32>(dx + k, load<f32>(y + k) * (load<f32>(dy + k) - sum));
      }
    }
  }
}

/** dx = dy − exp(y) · Σ dy along the axis, y = logSoftmax(x); dx may be dy. */
export function logSoftmaxBackward(dx: usize, dy: usize, y: usize, g: AxisGeometry): void {
  const outer = g.outer, step = (g.inner as usize) << 2, span = (g.size as usize) * step;
  for (let o = 0; o < outer; o++, dx += span, dy += span, y += span) {
    for (let i: usize = 0; i < step; i += 4) {
      let sum: f32 = 0;
      for (let k: usize = i; k < span; k += step) sum += load<f32>(dy + k);
      for (let k: usize = i; k < span; k += step) {
        store<f32>(dx + k, load<f32>(dy + k) - Mathf.exp(load<f32>(y + k)) * sum);
      }
    }
  }
}

/**
 * Cross-entropy and its gradient, log-softmax and negative log-likelihood in one:
 *   loss = mean over n of −Σ q[c] · log p[c],   dx = (p − q) / n,   p = softmax(x),
 * where q is smoothing/c for every class, and 1 − smoothing more for the target.
 *
 * @param loss one float, written
 * @param dx [n, c], written; may be x
 * @param x [n, c]
 * @param targets n int32, each in 0 … c − 1
 */
export function crossEntropy(
  loss: usize, dx: usize, x: usize, targets: usize, g: CrossEntropyGeometry,
): void {
  const n = g.n, c = g.c, smoothing = g.labelSmoothing;
  const row = (c as usize) << 2;
  const share = smoothing / (c as f32), weight = <f32>1 / (n as f32);
  let total: f64 = 0;
  for (let s = 0; s < n; s++, x += row, dx += row, targets += 4) {
    const target = (load<i32>(targets) as usize) << 2;
    const top = maxAlong(x, c, 4);
    let sum: f32 = 0, rest: f32 = 0;
    const chosen = load<f32>(x + target) - top;
    for (let k: usize = 0; k < row; k += 4) {
      const v = load<f32>(x + k) - top;
      const e = Mathf.exp(v);
      store<f32>(dx + k, e);
      sum += e;
      rest += v;
    }
    const log = Mathf.log(sum);
    // an impossible class (−∞) makes the loss infinite only with smoothing
    const spread: f32 = share > 0 ? share * (rest - (c as f32) * log) : 0;
    total -= ((1 - smoothing) * (chosen - log) + spread) as f64;
    for (let k: usize = 0; k < row; k += 4) {
      const q = share + (k == target ? 1 - smoothing : 0);
      store<f32>(dx + k, (load<f32>(dx + k) / sum - q) * weight);
    }
  }
  store<f32>(loss, (total / (n as f64)) as f32);
}

/** The largest of `size` floats, `step` bytes apart; NaN if one is NaN. */
function maxAlong(x: usize, size: i32, step: usize): f32 {
  let top: f32 = -Infinity as f32;
  for (let k = 0; k < size; k++, x += step) top = max(top, load<f32>(x));
  return top;
}
