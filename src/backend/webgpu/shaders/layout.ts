/**
 * Shaders that move values.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";

/** y = x at other places, with an invocation for each element that is copied. */
export const stridedCopy: Shader = {
  name: "stridedCopy",
  text: /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * GRID_WIDTH + group.x) * 64 + lane;
  if (i >= uniforms.count) { return; }
  let i4 = i % uniforms.n4;
  var rest = i / uniforms.n4;
  let i3 = rest % uniforms.n3;
  rest /= uniforms.n3;
  let i2 = rest % uniforms.n2;
  rest /= uniforms.n2;
  let i1 = rest % uniforms.n1;
  let i0 = rest / uniforms.n1;
  let to = i0 * uniforms.y0 + i1 * uniforms.y1 + i2 * uniforms.y2 + i3 * uniforms.y3 + i4 * uniforms.y4;
  let at = i0 * uniforms.x0 + i1 * uniforms.x1 + i2 * uniforms.x2 + i3 * uniforms.x3 + i4 * uniforms.x4;
  y[uniforms.yAt + to] = x[uniforms.xAt + at];
}
`,
};

/** Elements that an invocation of {@linkcode copyRows} copies, and those of its workgroup. */
export const copiedEach = 4, rowPart = 64 * copiedEach;

/**
 * The same for rows of neighbours, in parts of rowPart elements. Rows are counted along n3, n2 and
 * n1, and need no division for each element.
 */
export const copyRows: Shader = {
  name: "copyRows",
  text: /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let part = group.y * GRID_WIDTH + group.x;
  let parts = (uniforms.n4 + ${rowPart} - 1) / ${rowPart};
  var rest = part / parts;
  if (rest >= uniforms.count / uniforms.n4) { return; }
  let i3 = rest % uniforms.n3;
  rest /= uniforms.n3;
  let i2 = rest % uniforms.n2;
  rest /= uniforms.n2;
  let i1 = rest % uniforms.n1;
  let i0 = rest / uniforms.n1;
  let to = uniforms.yAt + i0 * uniforms.y0 + i1 * uniforms.y1 + i2 * uniforms.y2 + i3 * uniforms.y3;
  let at = uniforms.xAt + i0 * uniforms.x0 + i1 * uniforms.x1 + i2 * uniforms.x2 + i3 * uniforms.x3;
  for (var j = 0u; j < ${copiedEach}; j++) {
    let i = part % parts * ${rowPart} + j * 64 + lane;
    if (i < uniforms.n4) { y[to + i] = x[at + i]; }
  }
}
`,
};

/**
 * y = weighted sums of rows and columns of x, by the tables that assembly/resample.ts describes.
 */
export const resample: Shader = each(
  "resample",
  "y",
  /* wgsl */ `
  let oy = i / uniforms.ow % uniforms.oh;
  let ox = i % uniforms.ow;
  let plane = i / (uniforms.ow * uniforms.oh) * (uniforms.h * uniforms.w);
  var sum = 0.0;
  for (var k = rows[oy]; k < rows[oy + 1]; k += 2) {
    let row = plane + u32(rows[k]) * uniforms.w;
    var line = 0.0;
    for (var l = columns[ox]; l < columns[ox + 1]; l += 2) {
      line += x[row + u32(columns[l])] * bitcast<f32>(columns[l + 1]);
    }
    sum += line * bitcast<f32>(rows[k + 1]);
  }
  y[i] = sum;
`,
);
