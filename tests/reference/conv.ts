import { type NumArray, type NumArray64, type Pair, type Sides, zeros } from "./array.ts";

export interface Conv2d {
  readonly stride?: Pair;
  readonly padding?: Sides;
  readonly dilation?: Pair;
  readonly groups?: number;
}

/** y[n, o, i, j] = b[o] + Σ x[n, c, i·S + k·D − P, j·S + l·D − P] · w[o, c, k, l], 0 outside x. */
export function conv2d(x: NumArray, w: NumArray, b: NumArray | null, o: Conv2d = {}): NumArray64 {
  const { stride: [sh, sw] = [1, 1], dilation: [dh, dw] = [1, 1], groups = 1 } = o;
  const [top, left, bottom, right] = o.padding ?? [0, 0, 0, 0];
  const [n, inC, h, wd] = x.shape, [outC, groupC, kh, kw] = w.shape;
  const oh = Math.floor((h + top + bottom - dh * (kh - 1) - 1) / sh) + 1;
  const ow = Math.floor((wd + left + right - dw * (kw - 1) - 1) / sw) + 1;
  const y = zeros([n, outC, oh, ow]);
  let at = 0;
  for (let s = 0; s < n; s++) {
    for (let oc = 0; oc < outC; oc++) {
      const firstC = Math.floor(oc / (outC / groups)) * groupC;
      for (let i = 0; i < oh; i++) {
        for (let j = 0; j < ow; j++, at++) {
          let sum = b ? b.data[oc] : 0;
          for (let c = 0; c < groupC; c++) {
            for (let k = 0; k < kh; k++) {
              const iy = i * sh + k * dh - top;
              if (iy < 0 || iy >= h) continue;
              const xRow = ((s * inC + firstC + c) * h + iy) * wd;
              const wRow = ((oc * groupC + c) * kh + k) * kw;
              for (let l = 0; l < kw; l++) {
                const ix = j * sw + l * dw - left;
                if (ix >= 0 && ix < wd) sum += x.data[xRow + ix] * w.data[wRow + l];
              }
            }
          }
          y.data[at] = sum;
        }
      }
    }
  }
  return y;
}

/** The gradients of y = x · w + b. */
export interface Gradients {
  readonly dx: NumArray64;
  readonly dw: NumArray64;
  readonly db: NumArray64;
}

/** For every product x · w in y: dx += dy · w and dw += dy · x. db[o] = Σ dy. */
export function conv2dBackward(
  dy: NumArray,
  x: NumArray,
  w: NumArray,
  o: Conv2d = {},
): Gradients {
  const { stride: [sh, sw] = [1, 1], dilation: [dh, dw] = [1, 1], groups = 1 } = o;
  const [top, left] = o.padding ?? [0, 0, 0, 0];
  const [, inC, h, wd] = x.shape, [outC, groupC, kh, kw] = w.shape, [n, , oh, ow] = dy.shape;
  const g = { dx: zeros(x.shape), dw: zeros(w.shape), db: zeros([outC]) };
  let at = 0;
  for (let s = 0; s < n; s++) {
    for (let oc = 0; oc < outC; oc++) {
      const firstC = Math.floor(oc / (outC / groups)) * groupC;
      for (let i = 0; i < oh; i++) {
        for (let j = 0; j < ow; j++, at++) {
          g.db.data[oc] += dy.data[at];
          for (let c = 0; c < groupC; c++) {
            for (let k = 0; k < kh; k++) {
              const iy = i * sh + k * dh - top;
              if (iy < 0 || iy >= h) continue;
              const xRow = ((s * inC + firstC + c) * h + iy) * wd;
              const wRow = ((oc * groupC + c) * kh + k) * kw;
              for (let l = 0; l < kw; l++) {
                const ix = j * sw + l * dw - left;
                if (ix < 0 || ix >= wd) continue;
                g.dx.data[xRow + ix] += dy.data[at] * w.data[wRow + l];
                g.dw.data[wRow + l] += dy.data[at] * x.data[xRow + ix];
              }
            }
          }
        }
      }
    }
  }
  return g;
}

export interface Conv1d {
  readonly stride?: readonly [number];
  readonly padding?: Pair;
  readonly dilation?: readonly [number];
  readonly groups?: number;
}

/** y[n, o, i] = b[o] + Σ x[n, c, i·S + k·D − P] · w[o, c, k], 0 outside x. */
export function conv1d(x: NumArray, w: NumArray, b: NumArray | null, o: Conv1d = {}): NumArray64 {
  const { stride: [s] = [1], dilation: [d] = [1], groups = 1 } = o;
  const [before, after] = o.padding ?? [0, 0];
  const [n, inC, length] = x.shape, [outC, groupC, kernel] = w.shape;
  const out = Math.floor((length + before + after - d * (kernel - 1) - 1) / s) + 1;
  const y = zeros([n, outC, out]);
  let at = 0;
  for (let sample = 0; sample < n; sample++) {
    for (let oc = 0; oc < outC; oc++) {
      const firstC = Math.floor(oc / (outC / groups)) * groupC;
      for (let i = 0; i < out; i++, at++) {
        let sum = b ? b.data[oc] : 0;
        for (let c = 0; c < groupC; c++) {
          for (let k = 0; k < kernel; k++) {
            const ix = i * s + k * d - before;
            if (ix < 0 || ix >= length) continue;
            sum += x.data[(sample * inC + firstC + c) * length + ix] *
              w.data[(oc * groupC + c) * kernel + k];
          }
        }
        y.data[at] = sum;
      }
    }
  }
  return y;
}

/** {@linkcode conv2dBackward} along one axis. */
export function conv1dBackward(
  dy: NumArray,
  x: NumArray,
  w: NumArray,
  o: Conv1d = {},
): Gradients {
  const { stride: [s] = [1], dilation: [d] = [1], groups = 1 } = o;
  const [before] = o.padding ?? [0, 0];
  const [, inC, length] = x.shape, [outC, groupC, kernel] = w.shape, [n, , out] = dy.shape;
  const g = { dx: zeros(x.shape), dw: zeros(w.shape), db: zeros([outC]) };
  let at = 0;
  for (let sample = 0; sample < n; sample++) {
    for (let oc = 0; oc < outC; oc++) {
      const firstC = Math.floor(oc / (outC / groups)) * groupC;
      for (let i = 0; i < out; i++, at++) {
        g.db.data[oc] += dy.data[at];
        for (let c = 0; c < groupC; c++) {
          for (let k = 0; k < kernel; k++) {
            const ix = i * s + k * d - before;
            if (ix < 0 || ix >= length) continue;
            const xAt = (sample * inC + firstC + c) * length + ix;
            const wAt = (oc * groupC + c) * kernel + k;
            g.dx.data[xAt] += dy.data[at] * w.data[wAt];
            g.dw.data[wAt] += dy.data[at] * x.data[xAt];
          }
        }
      }
    }
  }
  return g;
}
