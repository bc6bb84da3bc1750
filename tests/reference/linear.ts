import { type NumArray, type NumArray64, zeros } from "./array.ts";

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
