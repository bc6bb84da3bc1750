/**
 * Functions of the values along one axis of [outer, length, inner]. Each row has a workgroup; each
 * invocation reads every 64th value, and the results are reduced.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { special } from "./special.ts";

/**
 * `total()` and `largest()` reduce the values of the 64 invocations and return the result to all of
 * them.
 */
export const reductions = /* wgsl */ `
var<workgroup> parts: array<f32, 64>;

fn total(v: f32, lane: u32) -> f32 {
  workgroupBarrier();
  parts[lane] = v;
  for (var half = 32u; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { parts[lane] += parts[lane + half]; }
  }
  workgroupBarrier();
  return parts[0];
}

fn largest(v: f32, lane: u32) -> f32 {
  workgroupBarrier();
  parts[lane] = v;
  for (var half = 32u; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { parts[lane] = max(parts[lane], parts[lane + half]); }
  }
  workgroupBarrier();
  return parts[0];
}
`;

/**
 * A shader that runs `body` for each row, whose elements begin at `first` and are `inner` apart.
 */
export function eachRow(name: string, body: string, functions = ""): Shader {
  const text = /* wgsl */ `${reductions}${special}${functions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * GRID_WIDTH + group.x;
  if (row >= uniforms.rows) { return; }
  let first = row / uniforms.inner * (uniforms.length * uniforms.inner) + row % uniforms.inner;
${body}
}
`;
  return { name, text };
}

/** y = exp(x) / Σ exp(x). The maximum is subtracted first, so that nothing overflows. */
export const softmax: Shader = eachRow(
  "softmax",
  /* wgsl */ `
  var top = x[first];
  for (var k = lane; k < uniforms.length; k += 64) { top = max(top, x[first + k * uniforms.inner]); }
  top = largest(top, lane);
  var sum = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) {
    let e = expOf(x[first + k * uniforms.inner] - top);
    y[first + k * uniforms.inner] = e;
    sum += e;
  }
  sum = total(sum, lane);
  for (var k = lane; k < uniforms.length; k += 64) { y[first + k * uniforms.inner] /= sum; }
`,
);

/** y = x − log Σ exp(x). */
export const logSoftmax: Shader = eachRow(
  "logSoftmax",
  /* wgsl */ `
  var top = x[first];
  for (var k = lane; k < uniforms.length; k += 64) { top = max(top, x[first + k * uniforms.inner]); }
  top = largest(top, lane);
  var sum = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) { sum += expOf(x[first + k * uniforms.inner] - top); }
  let shift = logOf(total(sum, lane));
  for (var k = lane; k < uniforms.length; k += 64) {
    y[first + k * uniforms.inner] = x[first + k * uniforms.inner] - top - shift;
  }
`,
);

/** dx = y · (dy − Σ dy·y). */
export const softmaxBackward: Shader = eachRow(
  "softmaxBackward",
  /* wgsl */ `
  var sum = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) { sum += dy[first + k * uniforms.inner] * y[first + k * uniforms.inner]; }
  sum = total(sum, lane);
  for (var k = lane; k < uniforms.length; k += 64) {
    let at = first + k * uniforms.inner;
    dx[at] = y[at] * (dy[at] - sum);
  }
`,
);

/** dx = dy − exp(y) · Σ dy. */
export const logSoftmaxBackward: Shader = eachRow(
  "logSoftmaxBackward",
  /* wgsl */ `
  var sum = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) { sum += dy[first + k * uniforms.inner]; }
  sum = total(sum, lane);
  for (var k = lane; k < uniforms.length; k += 64) {
    let at = first + k * uniforms.inner;
    dx[at] = dy[at] - expOf(y[at]) * sum;
  }
`,
);
