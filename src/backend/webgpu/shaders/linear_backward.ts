/**
 * The gradients of fully connected layers.
 *
 * @module
 */

import { tiled, unbiased } from "./gemm.ts";

/**
 * dx = dy · weight, added to dx if `first` or `start` is not 0: rows are inputs, columns are
 * samples, and the depth runs over outputs.
 */
export const linearBackwardInput = tiled(
  "linearBackwardInput",
  /* wgsl */ `${unbiased}
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.m - 1));
  let at = min(k, uniforms.k - 1) * uniforms.m + m;
  return select(vec4f(), vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]), k < uniforms.k);
}

// where the rows of four samples begin in dy
struct Columns { at: vec4u }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  return Columns(min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.n - 1)) * uniforms.outF + uniforms.first);
}

fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let at = (*c).at + min(k, uniforms.k - 1);
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), k < uniforms.k);
}

fn places(z: u32, n: vec4u) -> vec4u {
  return n * uniforms.m;
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  let before = select(0.0, dx[place + m], uniforms.first + uniforms.start > 0);
  dx[place + m] = before + sum;
}
`,
);

/**
 * dw += dyᵀ · x: rows are outputs from `first` on, columns are inputs, the depth runs over samples.
 */
export const linearBackwardWeight = tiled(
  "linearBackwardWeight",
  /* wgsl */ `${unbiased}
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.m - 1));
  let at = min(k, uniforms.k - 1) * uniforms.outF + uniforms.first + m;
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), k < uniforms.k);
}

// four inputs
struct Columns { at: vec4u }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  return Columns(min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.n - 1)));
}

fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let at = min(k, uniforms.k - 1) * uniforms.n + (*c).at;
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), k < uniforms.k);
}

fn places(z: u32, n: vec4u) -> vec4u {
  return n;
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  dw[m * uniforms.n + place] += sum;
}
`,
);
