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
