/**
 * Pooling, with an invocation for each output.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { eachRow } from "./rows.ts";
import { special } from "./special.ts";

/** The range of taps that lie inside, for a window that begins at `start`. */
const taps = /* wgsl */ `
fn firstTap(start: i32, dilation: i32) -> i32 {
  return select((dilation - 1 - start) / dilation, 0, start >= 0);
}

fn endTap(start: i32, dilation: i32, taps: i32, size: i32) -> i32 {
  return clamp((size - start + dilation - 1) / dilation, 0, taps);
}
`;

/** The first of the largest values (best) and its position (at); NaN counts as the largest. */
const maximum = /* wgsl */ `
  let iy = i32(i / OW % OH * STRIDE_H) - TOP;
  let ix = i32(i % OW * STRIDE_W) - LEFT;
  let plane = i / (OW * OH) * (H * W);
  let ky0 = firstTap(iy, DILATION_H);
  let kx0 = firstTap(ix, DILATION_W);
  let ky1 = endTap(iy, DILATION_H, KH, H);
  let kx1 = endTap(ix, DILATION_W, KW, W);
  var at = (iy + ky0 * DILATION_H) * W + ix + kx0 * DILATION_W;
  var best = x[plane + u32(at)];
  for (var ky = ky0; ky < ky1; ky++) {
    for (var kx = kx0; kx < kx1; kx++) {
      let position = (iy + ky * DILATION_H) * W + ix + kx * DILATION_W;
      let v = x[plane + u32(position)];
      let wins = isNan(v) || v > best;
      best = select(best, v, wins);
      at = select(at, position, wins);
    }
  }
  y[i] = best;
`;

/** y = the largest value of each window. */
export const maxPool2d: Shader = each("maxPool2d", "y", maximum, special + taps);

/** The same, and indices = the position of the maximum in its plane. */
export const maxPool2dWithIndices: Shader = each(
  "maxPool2dWithIndices",
  "y",
  `${maximum}  indices[i] = at;`,
  special + taps,
);

/**
 * The divisor of the window that begins at iy, ix: DIVISOR, or its area inside the input; with PADDED,
 * inside input and padding.
 */
export const area = /* wgsl */ `${taps}
fn area(iy: i32, ix: i32) -> f32 {
  if (DIVISOR > 0) { return f32(DIVISOR); }
  let rows = select(
    endTap(iy, DILATION_H, KH, H) - firstTap(iy, DILATION_H),
    endTap(iy, DILATION_H, KH, H + BOTTOM),
    PADDED,
  );
  let columns = select(
    endTap(ix, DILATION_W, KW, W) - firstTap(ix, DILATION_W),
    endTap(ix, DILATION_W, KW, W + RIGHT),
    PADDED,
  );
  return f32(rows) * f32(columns);
}`;

/** y = the sum of each window over its area. */
export const avgPool2d: Shader = each(
  "avgPool2d",
  "y",
  /* wgsl */ `
  let iy = i32(i / OW % OH * STRIDE_H) - TOP;
  let ix = i32(i % OW * STRIDE_W) - LEFT;
  let plane = i / (OW * OH) * (H * W);
  let ky0 = firstTap(iy, DILATION_H);
  let kx0 = firstTap(ix, DILATION_W);
  let ky1 = endTap(iy, DILATION_H, KH, H);
  let kx1 = endTap(ix, DILATION_W, KW, W);
  var sum = 0.0;
  for (var ky = ky0; ky < ky1; ky++) {
    for (var kx = kx0; kx < kx1; kx++) {
      sum += x[plane + u32((iy + ky * DILATION_H) * W + ix + kx * DILATION_W)];
    }
  }
  y[i] = sum / area(iy, ix);
`,
  area,
);

/** Rows and columns of adaptive windows: ⌊o · size / out⌋ … ⌈(o + 1) · size / out⌉. */
export const adaptive = /* wgsl */ `
// ⌊o · rest / out⌋ in x, and the remainder in y; o ≤ out and rest < out
fn divided(o: u32, rest: u32, out: u32) -> vec2u {
  if (out <= 0xffff) { return vec2u(o * rest / out, o * rest % out); }
  // the product can exceed 32 bits: multiply and divide bit by bit
  var q = vec2u();
  for (var bit = 1u << 30; bit > 0; bit >>= 1) {
    q *= 2u;
    if (q.y >= out) { q += vec2u(1, 0) - vec2u(0, out); }
    if ((o & bit) != 0) { q.y += rest; }
    if (q.y >= out) { q += vec2u(1, 0) - vec2u(0, out); }
  }
  return q;
}

fn begin(o: u32, size: u32, out: u32) -> u32 {
  return o * (size / out) + divided(o, size % out, out).x;
}

fn end(o: u32, size: u32, out: u32) -> u32 {
  let rest = divided(o + 1, size % out, out);
  return (o + 1) * (size / out) + rest.x + u32(rest.y > 0);
}
`;

/** y = the mean of each adaptive window. */
export const adaptiveAvgPool2d: Shader = each(
  "adaptiveAvgPool2d",
  "y",
  /* wgsl */ `
  let oy = i / OW % OH;
  let ox = i % OW;
  let plane = i / (OW * OH) * (H * W);
  let y0 = begin(oy, H, OH);
  let y1 = end(oy, H, OH);
  let x0 = begin(ox, W, OW);
  let x1 = end(ox, W, OW);
  var sum = 0.0;
  for (var iy = y0; iy < y1; iy++) {
    for (var ix = x0; ix < x1; ix++) { sum += x[plane + iy * W + ix]; }
  }
  y[i] = sum / (f32(y1 - y0) * f32(x1 - x0));
`,
  adaptive,
);

/** y = the mean of each plane. */
export const planeMean: Shader = eachRow(
  "planeMean",
  /* wgsl */ `
  var sum = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) { sum += x[first + k]; }
  sum = total(sum, lane);
  if (lane == 0) { y[row] = sum / f32(uniforms.length); }
`,
);

const adaptiveMaximum = /* wgsl */ `
  let w = uniforms.w;
  let oy = i / uniforms.ow % uniforms.oh;
  let ox = i % uniforms.ow;
  let plane = i / (uniforms.ow * uniforms.oh) * (uniforms.h * w);
  let y0 = begin(oy, uniforms.h, uniforms.oh);
  let y1 = end(oy, uniforms.h, uniforms.oh);
  let x0 = begin(ox, w, uniforms.ow);
  let x1 = end(ox, w, uniforms.ow);
  var at = y0 * w + x0;
  var best = x[plane + at];
  for (var iy = y0; iy < y1; iy++) {
    for (var ix = x0; ix < x1; ix++) {
      let v = x[plane + iy * w + ix];
      let wins = isNan(v) || v > best;
      best = select(best, v, wins);
      at = select(at, iy * w + ix, wins);
    }
  }
  y[i] = best;
`;

/** y = the largest value of each adaptive window. */
export const adaptiveMaxPool2d: Shader = each(
  "adaptiveMaxPool2d",
  "y",
  adaptiveMaximum,
  special + adaptive,
);

/** The same, and indices = the position of the maximum in its plane. */
export const adaptiveMaxPool2dWithIndices: Shader = each(
  "adaptiveMaxPool2dWithIndices",
  "y",
  `${adaptiveMaximum}  indices[i] = i32(at);`,
  special + adaptive,
);
