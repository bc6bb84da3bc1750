/**
 * Converts between the layouts of PyTorch (NCHW, OIHW) and TensorFlow (NHWC, HWIO).
 *
 * @module
 */

import type { Values } from "./peer.ts";

/** [a, b, c] to [c, b, a]. */
export function reverseAxes(values: Float32Array, a: number, b: number, c: number): Values {
  const out = new Float32Array(values.length);
  let at = 0;
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) out[(k * b + j) * a + i] = values[at++];
    }
  }
  return out;
}

/** [batch, a, b] to [batch, b, a]: NCHW to NHWC, with b = H·W, and back, with a = H·W. */
export function swapInner(values: Float32Array, batch: number, a: number, b: number): Values {
  const out = new Float32Array(values.length);
  for (let n = 0; n < batch; n++) {
    out.set(reverseAxes(values.subarray(n * a * b, (n + 1) * a * b), a, 1, b), n * a * b);
  }
  return out;
}
