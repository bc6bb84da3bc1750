/**
 * Convolution as an implicit matrix product: rows are output channels, columns are the output pixels of
 * all samples, and the depth runs over the taps of all input channels. Taps are read from x directly.
 *
 * @module
 */

import type { Conv2dGeometry } from "../../geometry.ts";
import type { Constants, Shader } from "../shader.ts";
import { activate } from "./activate.ts";
import { each } from "./elementwise.ts";
import { DEPTH, TILE_ROWS, tiled } from "./gemm.ts";
import { windowConstants } from "./window.ts";

/** y = activation(x ⋆ packed + bias + residual). packed is vec4f, [GROUPS, K, M], with K and M rounded up to tiles. */
export const conv2d = tiled(
  "conv2d",
  /* wgsl */ `${activate}
fn a4(z: u32, k: u32, m: u32) -> vec4f {
  return packed[((z * uniforms.deep + k) * uniforms.wide + m) / 4];
}

// The windows of four output pixels: where they begin, and the first channel of their sample in x
struct Columns { iy: vec4i, ix: vec4i, plane: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let iy = vec4i(n / OW % OH * STRIDE_H) - TOP;
  let ix = vec4i(n % OW * STRIDE_W) - LEFT;
  let plane = (n / (OH * OW) * IN_C + z * (IN_C / GROUPS)) * (H * W);
  return Columns(select(vec4i(OUTSIDE), iy, n < vec4u(uniforms.n)), ix, plane);
}

// x at tap k of the windows
fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let iy = c.iy + i32(k / KW % KH * DILATION_H);
  let ix = c.ix + i32(k % KW * DILATION_W);
  let inside = (vec4u(iy) < vec4u(H)) & (vec4u(ix) < vec4u(W)) & vec4<bool>(k < uniforms.k);
  let index = c.plane + k / (KH * KW) * (H * W) + vec4u(iy * W + ix);
  let at = select(vec4u(), index, inside);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  let c = z * uniforms.m + m;
  var v = sum;
  if (BIAS) { v += bias[c]; }
  let at = (n / (OH * OW) * OUT_C + c) * (OH * OW) + n % (OH * OW);
  if (RESIDUAL) { v += residual[at]; }
  y[at] = activate(v);
}
`,
);

/** packed[z, k, m] = w[z · M + m, k], padded with zeros. */
export const packConv2d: Shader = each(
  "packConv2d",
  "packed",
  /* wgsl */ `
  let m = i % uniforms.wide;
  let k = i / uniforms.wide % uniforms.deep;
  let z = i / (uniforms.wide * uniforms.deep);
  let inside = m < uniforms.m && k < uniforms.k;
  packed[i] = select(0.0, w[select(0, (z * uniforms.m + m) * uniforms.k + k, inside)], inside);
`,
);

/** The same for the gradient: k runs over output channels and taps, m over input channels. */
export const packConv2dTransposed: Shader = each(
  "packConv2dTransposed",
  "packed",
  /* wgsl */ `
  let m = i % uniforms.wide;
  let k = i / uniforms.wide % uniforms.deep;
  let z = i / (uniforms.wide * uniforms.deep);
  let inside = m < uniforms.m && k < uniforms.k;
  let c = z * (uniforms.k / uniforms.taps) + k / uniforms.taps;
  let at = (c * uniforms.m + m) * uniforms.taps + k % uniforms.taps;
  packed[i] = select(0.0, w[select(0, at, inside)], inside);
`,
);

/** Depth and width of the packed weights of a group, in whole tiles. */
export function packedSize(m: number, k: number): { deep: number; wide: number } {
  return {
    deep: Math.ceil(k / DEPTH) * DEPTH,
    wide: Math.ceil(m / TILE_ROWS) * TILE_ROWS,
  };
}

/** A row so far outside that no tap of its window lies inside. */
const OUTSIDE = -(2 ** 30);

/** The sizes of a convolution as constants. */
export function constantsOf(g: Conv2dGeometry): Constants {
  return { ...windowConstants(g), OUTSIDE, IN_C: g.inC, OUT_C: g.outC, GROUPS: g.groups };
}
