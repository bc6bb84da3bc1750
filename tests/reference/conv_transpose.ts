import { type NumArray, type NumArray64, type Pair, type Sides, zeros } from "./array.ts";

export interface ConvTranspose2d {
  readonly stride?: Pair;
  readonly padding?: Sides;
  readonly outputPadding?: Pair;
  readonly dilation?: Pair;
  readonly groups?: number;
}

/** Calls `visit` with the places of each product: y[…] += x[…] · w[…]. */
function forEachProduct(
  [n, c, h, w]: readonly number[],
  [, groupC, kh, kw]: readonly number[],
  o: ConvTranspose2d,
  visit: (y: number, x: number, w: number) => void,
): readonly number[] {
  const { stride: [sh, sw] = [1, 1], dilation: [dh, dw] = [1, 1], groups = 1 } = o;
  const { padding: [top, left, bottom, right] = [0, 0, 0, 0], outputPadding: extra = [0, 0] } = o;
  const oh = (h - 1) * sh + dh * (kh - 1) + 1 + extra[0] - top - bottom;
  const ow = (w - 1) * sw + dw * (kw - 1) + 1 + extra[1] - left - right;
  for (let s = 0; s < n; s++) {
    for (let i = 0; i < c; i++) {
      const group = Math.floor(i / (c / groups));
      for (let k = 0; k < groupC; k++) {
        const out = (s * groups + group) * groupC + k;
        for (let iy = 0; iy < h; iy++) {
          for (let ix = 0; ix < w; ix++) {
            for (let ky = 0; ky < kh; ky++) {
              for (let kx = 0; kx < kw; kx++) {
                const oy = iy * sh + ky * dh - top, ox = ix * sw + kx * dw - left;
                if (oy < 0 || oy >= oh || ox < 0 || ox >= ow) continue;
                const from = ((s * c + i) * h + iy) * w + ix;
                const weight = ((i * groupC + k) * kh + ky) * kw + kx;
                visit((out * oh + oy) * ow + ox, from, weight);
              }
            }
          }
        }
      }
    }
  }
  return [n, groupC * groups, oh, ow];
}

/** Each element of x adds its multiple of the kernel to y, plus the bias of the channel. */
export function convTranspose2d(
  x: NumArray,
  w: NumArray,
  bias: NumArray | null,
  o: ConvTranspose2d,
): NumArray64 {
  const y = zeros(forEachProduct(x.shape, w.shape, o, () => {}));
  forEachProduct(x.shape, w.shape, o, (to, from, weight) => {
    y.data[to] += x.data[from] * w.data[weight];
  });
  const plane = y.shape[2] * y.shape[3];
  if (!bias) return y;
  const biased = y.data.map((v, at) => v + bias.data[Math.floor(at / plane) % y.shape[1]]);
  return { shape: y.shape, data: biased };
}

export function convTranspose2dBackward(
  dy: NumArray,
  x: NumArray,
  w: NumArray,
  o: ConvTranspose2d,
): Record<"dx" | "dw" | "db", NumArray64> {
  const dx = zeros(x.shape), dw = zeros(w.shape), db = zeros([dy.shape[1]]);
  forEachProduct(x.shape, w.shape, o, (to, from, weight) => {
    dx.data[from] += dy.data[to] * w.data[weight];
    dw.data[weight] += dy.data[to] * x.data[from];
  });
  const plane = dy.shape[2] * dy.shape[3];
  for (let at = 0; at < dy.data.length; at++) {
    db.data[Math.floor(at / plane) % dy.shape[1]] += dy.data[at];
  }
  return { dx, dw, db };
}
