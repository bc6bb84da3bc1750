/**
 * Pooling, with an invocation for each output.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { eachRow } from "./rows.ts";
import { special } from "./special.ts";
import { area, taps } from "./window.ts";

/** The taps of the window of output i that lie inside, and where its plane begins in x. */
const window = /* wgsl */ `
  let line = i / uniforms.ow;
  let channel = line / uniforms.oh;
  let output = vec2u(i - line * uniforms.ow, line - channel * uniforms.oh);
  let padding = vec2i(vec2u(uniforms.left, uniforms.top));
  let start = vec2i(output * vec2u(uniforms.strideW, uniforms.strideH)) - padding;
  let plane = channel * (uniforms.h * uniforms.w);
  let w = i32(uniforms.w);
  let dilation = vec2i(vec2u(uniforms.dilationW, uniforms.dilationH));
  let first = firstTap(start);
  let end = endTap(start, vec2u(uniforms.w, uniforms.h));
`;

/** The first of the largest values (best) and its position (at); NaN counts as the largest. */
const maximum = /* wgsl */ `${window}
  var at = (start.y + first.y * dilation.y) * w + start.x + first.x * dilation.x;
  var best = x[plane + u32(at)];
  for (var ky = first.y; ky < end.y; ky++) {
    for (var kx = first.x; kx < end.x; kx++) {
      let position = (start.y + ky * dilation.y) * w + start.x + kx * dilation.x;
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

/** y = the sum of each window over its area. */
export const avgPool2d: Shader = each(
  "avgPool2d",
  "y",
  /* wgsl */ `${window}
  var sum = 0.0;
  for (var ky = first.y; ky < end.y; ky++) {
    for (var kx = first.x; kx < end.x; kx++) {
      sum += x[plane + u32((start.y + ky * dilation.y) * w + start.x + kx * dilation.x)];
    }
  }
  y[i] = sum / area(start);
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

/** The rows y0 … y1 − 1 and columns x0 … x1 − 1 of window i, and where its plane begins in x. */
const adaptiveWindow = /* wgsl */ `
  let h = uniforms.h;
  let w = uniforms.w;
  let oy = i / uniforms.ow % uniforms.oh;
  let ox = i % uniforms.ow;
  let plane = i / (uniforms.ow * uniforms.oh) * (h * w);
  let y0 = begin(oy, h, uniforms.oh);
  let y1 = end(oy, h, uniforms.oh);
  let x0 = begin(ox, w, uniforms.ow);
  let x1 = end(ox, w, uniforms.ow);
`;

/** y = the mean of each adaptive window. */
export const adaptiveAvgPool2d: Shader = each(
  "adaptiveAvgPool2d",
  "y",
  /* wgsl */ `${adaptiveWindow}
  var sum = 0.0;
  for (var iy = y0; iy < y1; iy++) {
    for (var ix = x0; ix < x1; ix++) { sum += x[plane + iy * w + ix]; }
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

/** As `maximum`, of an adaptive window. */
const adaptiveMaximum = /* wgsl */ `${adaptiveWindow}
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
