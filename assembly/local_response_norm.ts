// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3; like PyTorch, with
// the mean instead of the sum):
//   y[c] = x[c] / (k + alpha/size · Σ x[j]²)^beta,  j from c − ⌊size/2⌋ to c + ⌊(size−1)/2⌋

import { LocalResponseNormGeometry } from "./geometry";
import { madd } from "./inline/lanes";

/**
 * @param y [n, c, plane], written; may not be x
 * @param x [n, c, plane]
 */
export function localResponseNorm(y: usize, x: usize, g: LocalResponseNormGeometry): void {
  const n = g.n, c = g.c, size = g.size, beta = g.beta, k = g.k;
  const step = (g.plane as usize) << 2;
  const scale = g.alpha / (size as f32);
  for (let s = 0; s < n; s++, x += (c as usize) * step) {
    for (let i = 0; i < c; i++, y += step) {
      const first = max(0, i - size / 2), last = min(c - 1, i + (size - 1) / 2);
      const from = x + (first as usize) * step;
      const count = last - first + 1;
      const center = x + (i as usize) * step;
      let p: usize = 0;
      if (beta == 0.75) { // AlexNet's: s^¾ = √s · √√s
        for (const end = step & ~15; p < end; p += 16) {
          let sum = f32x4.splat(0);
          for (let j = 0, q = from + p; j < count; j++, q += step) {
            const v = v128.load(q);
            sum = madd(sum, v, v);
          }
          const base = f32x4.add(f32x4.splat(k), f32x4.mul(f32x4.splat(scale), sum));
          const root = f32x4.sqrt(base);
          v128.store(y + p, f32x4.div(v128.load(center + p), f32x4.mul(root, f32x4.sqrt(root))));
        }
      }
      for (; p < step; p += 4) {
        let sum: f32 = 0;
        for (let j = 0, q = from + p; j < count; j++, q += step) {
          const v = load<f32>(q);
          sum += v * v;
        }
        store<f32>(y + p, load<f32>(center + p) / Mathf.pow(k + scale * sum, beta));
      }
    }
  }
}

/**
 * With s = k + alpha/size · Σ x², y = x · s^−beta:
 *   dx[j] = dy[j] · s[j]^−beta − 2·alpha·beta/size · x[j] · Σ dy[i]·x[i]·s[i]^(−beta−1),
 * i over the channels whose window contains j; written. The size of windows is odd, so these are j's window.
 *
 * @param scratch 2 · c · plane floats
 */
export function localResponseNormBackward(
  dx: usize, dy: usize, x: usize, scratch: usize, g: LocalResponseNormGeometry,
): void {
  const n = g.n, c = g.c, size = g.size, beta = g.beta, k = g.k;
  const step = (g.plane as usize) << 2, sample = (c as usize) * step;
  const scale = g.alpha / (size as f32), half = size / 2;
  const direct = scratch, through = scratch + sample;
  for (let s = 0; s < n; s++, x += sample, dy += sample, dx += sample) {
    for (let i = 0; i < c; i++) {
      const first = max(0, i - half), last = min(c - 1, i + half);
      const row = (i as usize) * step;
      for (let p: usize = 0; p < step; p += 4) {
        let sum: f32 = 0;
        for (let j = first; j <= last; j++) {
          const v = load<f32>(x + (j as usize) * step + p);
          sum += v * v;
        }
        const base = k + scale * sum;
        const d = load<f32>(dy + row + p) * Mathf.pow(base, -beta);
        store<f32>(direct + row + p, d);
        store<f32>(through + row + p, d * load<f32>(x + row + p) / base);
      }
    }
    for (let i = 0; i < c; i++) {
      const first = max(0, i - half), last = min(c - 1, i + half);
      const row = (i as usize) * step;
      for (let p: usize = 0; p < step; p += 4) {
        let sum: f32 = 0;
        for (let j = first; j <= last; j++) sum += load<f32>(through + (j as usize) * step + p);
        const own = <f32>2 * scale * beta * load<f32>(x + row + p);
        store<f32>(dx + row + p, load<f32>(direct + row + p) - own * sum);
      }
    }
  }
}
