/**
 * Products of pairs of matrices.
 *
 * @module
 */

import { tiled, unbiased } from "./gemm.ts";

/**
 * y = a · b, added to y from the second chunk of the depth on. aRow and aColumn are the steps from one row
 * of a to the next, and from one column; bRow and bColumn those of b. yAt, aAt and bAt are where the first
 * pair begins.
 */
export const matmul = tiled(
  "matmul",
  /* wgsl */ `${unbiased}
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.m - 1));
  let start = uniforms.aAt + z * uniforms.m * uniforms.depth + min(k, uniforms.k - 1) * uniforms.aColumn;
  let at = start + m * uniforms.aRow;
  return select(vec4f(), vec4f(a[at.x], a[at.y], a[at.z], a[at.w]), k < uniforms.k);
}

// where four columns begin in b
struct Columns { at: vec4u }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  let n = min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.n - 1));
  return Columns(uniforms.bAt + z * uniforms.n * uniforms.depth + n * uniforms.bColumn);
}

fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let at = (*c).at + min(k, uniforms.k - 1) * uniforms.bRow;
  return select(vec4f(), vec4f(b[at.x], b[at.y], b[at.z], b[at.w]), k < uniforms.k);
}

fn places(z: u32, n: vec4u) -> vec4u {
  return uniforms.yAt + z * uniforms.m * uniforms.n + n;
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  let at = place + m * uniforms.n;
  var v = sum;
  if (uniforms.start > 0) { v += y[at]; }
  y[at] = v;
}
`,
);
