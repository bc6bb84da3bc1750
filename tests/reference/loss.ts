import { logSoftmax } from "./activation.ts";
import { type NumArray, type NumArray64, zeros } from "./array.ts";

export interface Loss {
  readonly loss: number;
  readonly dx: NumArray64;
}

/**
 * loss = mean over n of −Σ q[c] · log p[c], and dx = (p − q) / n. p = softmax(x). q[c] = smoothing
 * / C, plus 1 − smoothing for the target. A class with q = 0 adds nothing, even if log p is −∞.
 */
export function crossEntropy(x: NumArray, targets: readonly number[], smoothing = 0): Loss {
  const [n, classes] = x.shape;
  const logs = logSoftmax(x, 1), dx = zeros(x.shape);
  let loss = 0;
  for (let at = 0; at < dx.data.length; at++) {
    const isTarget = at % classes === targets[Math.floor(at / classes)];
    const q = smoothing / classes + (isTarget ? 1 - smoothing : 0);
    if (q > 0) loss -= q * logs.data[at] / n;
    dx.data[at] = (Math.exp(logs.data[at]) - q) / n;
  }
  return { loss, dx };
}

/** loss = mean of (x − t)², and dx = 2·(x − t) / n over n elements. */
export function mseLoss(x: NumArray, target: NumArray): Loss {
  const dx = zeros(x.shape), n = x.data.length;
  let loss = 0;
  for (let at = 0; at < n; at++) {
    const difference = x.data[at] - target.data[at];
    loss += difference ** 2 / n;
    dx.data[at] = 2 * difference / n;
  }
  return { loss, dx };
}

/** loss = mean of (1 − t)·x + log(1 + e⁻ˣ), and dx = (1 / (1 + e⁻ˣ) − t) / n over n elements. */
export function bceWithLogits(x: NumArray, target: NumArray): Loss {
  const dx = zeros(x.shape), n = x.data.length;
  let loss = 0;
  for (let at = 0; at < n; at++) {
    const v = x.data[at], t = target.data[at];
    const log = Math.max(-v, 0) + Math.log1p(Math.exp(-Math.abs(v))); // of 1 + e⁻ˣ, without overflow
    loss += ((1 - t) * v + log) / n;
    dx.data[at] = (1 / (1 + Math.exp(-v)) - t) / n;
  }
  return { loss, dx };
}
