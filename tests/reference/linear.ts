import { type NumArray, type NumArray64, zeros } from "./array.ts";
import type { Gradients } from "./conv.ts";

/** y[…, o] = b[o] + Σ x[…, i] · w[o, i]. */
export function linear(x: NumArray, w: NumArray, b: NumArray | null): NumArray64 {
  const [out, inF] = w.shape;
  const y = zeros([...x.shape.slice(0, -1), out]);
  for (let at = 0; at < y.data.length; at++) {
    const s = Math.floor(at / out), o = at % out;
    let sum = b ? b.data[o] : 0;
    for (let i = 0; i < inF; i++) sum += x.data[s * inF + i] * w.data[o * inF + i];
    y.data[at] = sum;
  }
  return y;
}

/** dx[…, i] = Σ dy[…, o] · w[o, i], dw[o, i] = Σ dy[…, o] · x[…, i], db[o] = Σ dy[…, o]. */
export function linearBackward(dy: NumArray, x: NumArray, w: NumArray): Gradients {
  const [out, inF] = w.shape;
  const g = { dx: zeros(x.shape), dw: zeros(w.shape), db: zeros([out]) };
  for (let at = 0; at < dy.data.length; at++) {
    const s = Math.floor(at / out), o = at % out;
    g.db.data[o] += dy.data[at];
    for (let i = 0; i < inF; i++) {
      g.dx.data[s * inF + i] += dy.data[at] * w.data[o * inF + i];
      g.dw.data[o * inF + i] += dy.data[at] * x.data[s * inF + i];
    }
  }
  return g;
}
