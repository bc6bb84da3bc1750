/**
 * Convolution as an implicit product: rows are output channels, columns output pixels of all
 * samples, and the depth runs over the taps of all input channels, which are looked up in x as they
 * come.
 *
 * @module
 */

import type { Conv2dGeometry } from "../../geometry.ts";
import type { Constants, Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { DEPTH, TILE_ROWS, tiled } from "./gemm.ts";
import { windowConstants } from "./window.ts";

/** y = relu?(x ⋆ packed + bias); packed is vec4f, [GROUPS, K to whole tiles, M to whole tiles]. */
export const conv2d = tiled(
  "conv2d",
  /* wgsl */ `
fn a4(z: u32, k: u32, m: u32) -> vec4f {
  return packed[((z * given.deep + k) * given.wide + m) / 4];
}

// Windows of four output pixels: where they begin, and their sample's first channel in x.
struct Columns { iy: vec4i, ix: vec4i, plane: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let iy = vec4i(n / OW % OH * STRIDE_H) - TOP;
  let ix = vec4i(n % OW * STRIDE_W) - LEFT;
  let plane = (n / (OH * OW) * IN_C + z * (IN_C / GROUPS)) * (H * W);
  return Columns(select(vec4i(OUTSIDE), iy, n < vec4u(given.n)), ix, plane);
}

// x where tap k of the windows lies
fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let iy = c.iy + i32(k / KW % KH * DILATION_H);
  let ix = c.ix + i32(k % KW * DILATION_W);
  let inside = (vec4u(iy) < vec4u(H)) & (vec4u(ix) < vec4u(W)) & vec4<bool>(k < given.k);
  let there = c.plane + k / (KH * KW) * (H * W) + vec4u(iy * W + ix);
  let at = select(vec4u(), there, inside);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  let c = z * given.m + m;
  var v = sum;
  if (BIAS) { v += bias[c]; }
  y[(n / (OH * OW) * OUT_C + c) * (OH * OW) + n % (OH * OW)] = select(v, 0.0, RELU && v < 0.0);
}
`,
);

/** packed[z, k, m] = w[z · M + m, k], 0 where there is none. */
export const packConv2d: Shader = each(
  "packConv2d",
  "packed",
  /* wgsl */ `
  let m = i % given.wide;
  let k = i / given.wide % given.deep;
  let z = i / (given.wide * given.deep);
  let inside = m < given.m && k < given.k;
  packed[i] = select(0.0, w[select(0, (z * given.m + m) * given.k + k, inside)], inside);
`,
);

/** packed[z, k, m] with k over output channels and taps, m over input channels. */
export const packConv2dTransposed: Shader = each(
  "packConv2dTransposed",
  "packed",
  /* wgsl */ `
  let m = i % given.wide;
  let k = i / given.wide % given.deep;
  let z = i / (given.wide * given.deep);
  let inside = m < given.m && k < given.k;
  let c = z * (given.k / given.taps) + k / given.taps;
  let at = (c * given.m + m) * given.taps + k % given.taps;
  packed[i] = select(0.0, w[select(0, at, inside)], inside);
`,
);

/** Depth and width of packed weights of one group: whole tiles. */
export function packedSize(m: number, k: number): { deep: number; wide: number } {
  return {
    deep: Math.ceil(k / DEPTH) * DEPTH,
    wide: Math.ceil(m / TILE_ROWS) * TILE_ROWS,
  };
}

/** Where no window begins and no tap leads inside from. */
const OUTSIDE = -(2 ** 30);

/** A convolution's sizes under their names. */
export function constantsOf(g: Conv2dGeometry): Constants {
  return { ...windowConstants(g), OUTSIDE, IN_C: g.inC, OUT_C: g.outC, GROUPS: g.groups };
}
