// y[n, o] = x[n, :] · w[o, :] + b[o].
// Weights are used where they lie, row by row, each read once per four samples: at batch 1 the time
// is that of reading them from memory.

import { madd, relu4, sum4 } from "./inline/lanes";

/**
 * @param y [n, outF], written
 * @param x [n, inF]
 * @param w [outF, inF]
 * @param bias outF floats, or 0 for none
 * @param relu 1 clamps y at 0
 */
export function linear(
  y: usize, x: usize, w: usize, bias: usize, n: i32, inF: i32, outF: i32, relu: i32,
): void {
  const row = (inF as usize) << 2;
  let o = 0;
  for (; o + 4 <= outF; o += 4, w += 4 * row) {
    const b = bias ? v128.load(bias + (o << 2)) : f32x4.splat(0);
    for (let s = 0; s < n; s++) {
      let v = f32x4.add(rows4(x + (s as usize) * row, w, inF), b);
      if (relu) v = relu4(v);
      v128.store(y + ((s * outF + o) << 2), v);
    }
  }
  for (; o < outF; o++, w += row) {
    for (let s = 0; s < n; s++) {
      let v = row1(x + (s as usize) * row, w, inF) + (bias ? load<f32>(bias + (o << 2)) : 0);
      if (relu && v < 0) v = 0;
      store<f32>(y + ((s * outF + o) << 2), v);
    }
  }
}

/** x · four rows of w. Two sums a row keep eight multiply-adds in flight. */
function rows4(x: usize, w: usize, n: i32): v128 {
  const row = (n as usize) << 2;
  const w1 = w + row, w2 = w1 + row, w3 = w2 + row;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let i: usize = 0;
  for (const end = row & ~31; i < end; i += 32) {
    const u = v128.load(x + i), v = v128.load(x + i, 16);
    a0 = madd(a0, u, v128.load(w + i));
    b0 = madd(b0, v, v128.load(w + i, 16));
    a1 = madd(a1, u, v128.load(w1 + i));
    b1 = madd(b1, v, v128.load(w1 + i, 16));
    a2 = madd(a2, u, v128.load(w2 + i));
    b2 = madd(b2, v, v128.load(w2 + i, 16));
    a3 = madd(a3, u, v128.load(w3 + i));
    b3 = madd(b3, v, v128.load(w3 + i, 16));
  }
  let s0 = sum4(f32x4.add(a0, b0)), s1 = sum4(f32x4.add(a1, b1));
  let s2 = sum4(f32x4.add(a2, b2)), s3 = sum4(f32x4.add(a3, b3));
  for (; i < row; i += 4) {
    const u = load<f32>(x + i);
    s0 += u * load<f32>(w + i);
    s1 += u * load<f32>(w1 + i);
    s2 += u * load<f32>(w2 + i);
    s3 += u * load<f32>(w3 + i);
  }
  return f32x4.replace_lane(
    f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(s0), 1, s1), 2, s2), 3, s3,
  );
}

function row1(x: usize, w: usize, n: i32): f32 {
  const row = (n as usize) << 2;
  let a = f32x4.splat(0);
  let i: usize = 0;
  for (const end = row & ~15; i < end; i += 16) a = madd(a, v128.load(x + i), v128.load(w + i));
  let s = sum4(a);
  for (; i < row; i += 4) s += load<f32>(x + i) * load<f32>(w + i);
  return s;
}
