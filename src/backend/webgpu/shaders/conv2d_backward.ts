/**
 * The gradients of a convolution as implicit matrix products.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { tiled } from "./gemm.ts";
import { eachRow } from "./rows.ts";

/**
 * dx: rows are input channels, columns are the input pixels of all samples, and the depth runs over the
 * taps of all output channels. Weights come from packConv2dTransposed. For each tap there is at most one
 * window whose tap lies on a pixel: none if the stride steps over it.
 */
export const conv2dBackwardInput = tiled(
  "conv2dBackwardInput",
  /* wgsl */ `
fn a4(z: u32, k: u32, m: u32) -> vec4f {
  return packed[((z * uniforms.deep + k) * uniforms.wide + m) / 4];
}

// Four input pixels in the padded plane, and the first channel of their sample in dy
struct Columns { y: vec4i, x: vec4i, plane: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let y = vec4i(n / W % H) + TOP;
  let plane = (n / (H * W) * OUT_C + z * (OUT_C / GROUPS)) * (OH * OW);
  return Columns(select(vec4i(OUTSIDE), y, n < vec4u(uniforms.n)), vec4i(n % W) + LEFT, plane);
}

// dy of the windows whose tap k lies on the pixels
fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let y = c.y - i32(k / KW % KH * DILATION_H);
  let x = c.x - i32(k % KW * DILATION_W);
  let oy = y / STRIDE_H;
  let ox = x / STRIDE_W;
  let aligned = (oy * STRIDE_H == y) & (ox * STRIDE_W == x);
  let exists = (vec4u(oy) < vec4u(OH)) & (vec4u(ox) < vec4u(OW));
  let inside = aligned & exists & vec4<bool>(k < uniforms.k);
  let index = c.plane + k / (KH * KW) * (OH * OW) + vec4u(oy * OW + ox);
  let at = select(vec4u(), index, inside);
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), inside);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  dx[(n / (H * W) * IN_C + z * uniforms.m + m) * (H * W) + n % (H * W)] = sum;
}
`,
);

/**
 * dw += …: rows are output channels, columns are the taps of all input channels, and the depth runs over
 * the output pixels of all samples.
 */
export const conv2dBackwardWeight = tiled(
  "conv2dBackwardWeight",
  /* wgsl */ `
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = first + vec4u(0, 1, 2, 3);
  let inside = (m < vec4u(uniforms.m)) & vec4<bool>(k < uniforms.k);
  let index = (k / (OH * OW) * OUT_C + z * uniforms.m + m) * (OH * OW) + k % (OH * OW);
  let at = select(vec4u(), index, inside);
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), inside);
}

// Four taps: their place in a window that begins at 0, and their channel in x
struct Columns { iy: vec4i, ix: vec4i, plane: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let iy = vec4i(n / KW % KH * DILATION_H) - TOP;
  let ix = vec4i(n % KW * DILATION_W) - LEFT;
  let plane = (z * (IN_C / GROUPS) + n / (KH * KW)) * (H * W);
  return Columns(select(vec4i(OUTSIDE), iy, n < vec4u(uniforms.n)), ix, plane);
}

// x at the taps of the window of output pixel k
fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let iy = c.iy + i32(k / OW % OH * STRIDE_H);
  let ix = c.ix + i32(k % OW * STRIDE_W);
  let inside = (vec4u(iy) < vec4u(H)) & (vec4u(ix) < vec4u(W)) & vec4<bool>(k < uniforms.k);
  let index = k / (OH * OW) * (IN_C * H * W) + c.plane + vec4u(iy * W + ix);
  let at = select(vec4u(), index, inside);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  dw[(z * uniforms.m + m) * uniforms.n + n] += sum;
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
