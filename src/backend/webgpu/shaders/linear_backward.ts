/**
 * The gradients of fully connected layers.
 *
 * @module
 */

import { tiled } from "./gemm.ts";

/**
 * dx = dy · weight, or added to what the rows of weights before FIRST gave: rows are inputs, columns
 * samples, the depth outputs.
 */
export const linearBackwardInput = tiled(
  "linearBackwardInput",
  /* wgsl */ `
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(given.m - 1));
  let at = min(k, given.k - 1) * given.m + m;
  return select(vec4f(), vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]), k < given.k);
}

// Where the rows of four samples begin in dy.
struct Columns { at: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  return Columns(min(first + vec4u(0, 1, 2, 3), vec4u(given.n - 1)) * given.outF + given.first);
}

fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let at = c.at + min(k, given.k - 1);
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), k < given.k);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  let before = select(0.0, dx[n * given.m + m], given.first > 0);
  dx[n * given.m + m] = before + sum;
}
`,
);

/** dw += dyᵀ · x: rows are outputs from FIRST on, columns inputs, the depth samples. */
export const linearBackwardWeight = tiled(
  "linearBackwardWeight",
  /* wgsl */ `
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(given.m - 1));
  let at = min(k, given.k - 1) * given.outF + given.first + m;
  return select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), k < given.k);
}

// Four inputs.
struct Columns { at: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  return Columns(min(first + vec4u(0, 1, 2, 3), vec4u(given.n - 1)));
}

fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let at = min(k, given.k - 1) * given.n + c.at;
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), k < given.k);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  dw[m * given.n + n] += sum;
}
`,
);
