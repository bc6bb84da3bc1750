/**
 * The gradients of a convolution as implicit matrix products.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { tiled, unbiased } from "./gemm.ts";
import { eachRow } from "./rows.ts";
import { outside, walk } from "./window.ts";

/**
 * dx: rows are input channels, columns are the input pixels of all samples, and the depth runs over
 * the taps of all output channels. Weights come from packConv2dTransposed. For each tap there is at
 * most one window whose tap lies on a pixel: none if the stride steps over it.
 */
export const conv2dBackwardInput = tiled(
  "conv2dBackwardInput",
  /* wgsl */ `${unbiased}${walk}${outside}
fn a4(z: u32, k: u32, m: u32) -> vec4f {
  return packed[((z * uniforms.deep + k) * uniforms.wide + m) / 4];
}

// Four input pixels in the padded plane, the first channel of their sample in dy, and the next tap
struct Columns { y: vec4i, x: vec4i, first: vec4u, tap: Place, step: Place }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let row = n / uniforms.w;
  let sample = row / uniforms.h;
  let y = vec4i(row - sample * uniforms.h) + i32(uniforms.top);
  let x = vec4i(n - row * uniforms.w) + i32(uniforms.left);
  let channel = sample * uniforms.outC + z * uniforms.groupOutC;
  return Columns(
    select(vec4i(OUTSIDE), y, n < vec4u(uniforms.n)),
    x,
    channel * (uniforms.oh * uniforms.ow),
    placeAt(k, uniforms.kh, uniforms.kw),
    placeAt(STEP, uniforms.kh, uniforms.kw),
  );
}

// dy of the windows whose tap k lies on the pixels
fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let tap = (*c).tap;
  let y = (*c).y - i32(tap.row * uniforms.dilationH);
  let x = (*c).x - i32(tap.column * uniforms.dilationW);
  let oy = y / STRIDE_H;
  let ox = x / STRIDE_W;
  let aligned = (oy * STRIDE_H == y) & (ox * STRIDE_W == x);
  let exists = (vec4u(oy) < vec4u(uniforms.oh)) & (vec4u(ox) < vec4u(uniforms.ow));
  let inside = aligned & exists & vec4<bool>(k < uniforms.k);
  let index = (*c).first + tap.plane * (uniforms.oh * uniforms.ow) +
    vec4u(oy * i32(uniforms.ow) + ox);
  let at = select(vec4u(), index, inside);
  (*c).tap = placeAfter(tap, (*c).step, uniforms.kh, uniforms.kw);
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), inside);
}

fn places(z: u32, n: vec4u) -> vec4u {
  let plane = uniforms.h * uniforms.w;
  let sample = n / plane;
  return sample * (uniforms.inC * plane) + n - sample * plane;
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  let at = place + (z * uniforms.m + m) * (uniforms.h * uniforms.w);
  dx[at] = sum + select(0.0, dx[at], uniforms.start > 0);
}
`,
);

/**
 * dw += …: rows are output channels, columns are the taps of all input channels, and the depth runs
 * over the output pixels of all samples.
 */
export const conv2dBackwardWeight = tiled(
  "conv2dBackwardWeight",
  /* wgsl */ `${unbiased}${walk}${outside}
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = first + vec4u(0, 1, 2, 3);
  let inside = (m < vec4u(uniforms.m)) & vec4<bool>(k < uniforms.k);
  let plane = uniforms.oh * uniforms.ow;
  let sample = k / plane;
  let index = (sample * uniforms.outC + z * uniforms.m + m) * plane + (k - sample * plane);
  let at = select(vec4u(), index, inside);
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), inside);
}

// Four taps: their place in a window that begins at 0, their channel in x, and the next output
// pixel
struct Columns { iy: vec4i, ix: vec4i, first: vec4u, pixel: Place, step: Place }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let row = n / uniforms.kw;
  let channel = row / uniforms.kh;
  let iy = vec4i((row - channel * uniforms.kh) * uniforms.dilationH) - i32(uniforms.top);
  let ix = vec4i((n - row * uniforms.kw) * uniforms.dilationW) - i32(uniforms.left);
  return Columns(
    select(vec4i(OUTSIDE), iy, n < vec4u(uniforms.n)),
    ix,
    (z * uniforms.groupC + channel) * (uniforms.h * uniforms.w),
    placeAt(k, uniforms.oh, uniforms.ow),
    placeAt(STEP, uniforms.oh, uniforms.ow),
  );
}

// x at the taps of the window of output pixel k
fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let pixel = (*c).pixel;
  let iy = (*c).iy + i32(pixel.row * uniforms.strideH);
  let ix = (*c).ix + i32(pixel.column * uniforms.strideW);
  let within = (vec4u(iy) < vec4u(uniforms.h)) & (vec4u(ix) < vec4u(uniforms.w));
  let inside = within & vec4<bool>(k < uniforms.k);
  let index = pixel.plane * (uniforms.inC * uniforms.h * uniforms.w) + (*c).first +
    vec4u(iy * i32(uniforms.w) + ix);
  let at = select(vec4u(), index, inside);
  (*c).pixel = placeAfter(pixel, (*c).step, uniforms.oh, uniforms.ow);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}

fn places(z: u32, n: vec4u) -> vec4u {
  return n;
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  dw[(z * uniforms.m + m) * uniforms.n + place] += sum;
}
`,
);

/** db[c] += Σ dy over samples and pixels, with a row for each channel. */
export const biasBackward: Shader = eachRow(
  "biasBackward",
  /* wgsl */ `
  var sum = 0.0;
  for (var i = lane; i < uniforms.n * uniforms.plane; i += 64) {
    sum += dy[(i / uniforms.plane * uniforms.channels + row) * uniforms.plane + i % uniforms.plane];
  }
  sum = total(sum, lane);
  if (lane == 0) { db[row] += sum; }
`,
);
