/**
 * Depthwise convolution: every input channel has kernels of its own. All sizes are uniforms, so
 * that all layers share a program.
 *
 * @module
 */

import type { WindowGeometry } from "../../geometry.ts";
import type { Shader } from "../shader.ts";
import { store } from "./activate.ts";
import { each } from "./elementwise.ts";
import { reductions } from "./rows.ts";

/** Adds the bias to output i of channel c, and stores it. */
const put = /* wgsl */ `${store}
fn put(i: u32, c: u32, sum: f32) {
  var v = sum;
  if (uniforms.biased != 0) { v += biases[c]; }
  store(i, v);
}
`;

/** y = activation(x ⋆ weight + biases + residual), with windows of any kind. */
export const depthwise: Shader = each(
  "depthwise",
  "y",
  /* wgsl */ `
  let line = i / uniforms.ow;
  let plane = line / uniforms.oh;
  let c = plane % uniforms.channels;
  let first = plane / uniforms.multiplier * (uniforms.h * uniforms.w);
  let iy = i32((line - plane * uniforms.oh) * uniforms.strideH) - i32(uniforms.top);
  let ix = i32((i - line * uniforms.ow) * uniforms.strideW) - i32(uniforms.left);
  var v = 0.0;
  for (var ky = 0u; ky < uniforms.kh; ky++) {
    let row = u32(iy + i32(ky * uniforms.dilationH));
    if (row >= uniforms.h) { continue; }
    for (var kx = 0u; kx < uniforms.kw; kx++) {
      let column = u32(ix + i32(kx * uniforms.dilationW));
      if (column >= uniforms.w) { continue; }
      v += weight[(c * uniforms.kh + ky) * uniforms.kw + kx] * x[first + row * uniforms.w + column];
    }
  }
  put(i, c, v);
`,
  put,
);

/** Outputs of an invocation. */
export const stripLength = 4;

/**
 * The same for windows of `columns` columns without dilation. An invocation computes a strip of a
 * row.
 */
function strips(columns: number, stride: number): Shader {
  const taps = Array.from({ length: columns }, (_, k) => k);
  const values = Array.from({ length: (stripLength - 1) * stride + columns }, (_, j) => j);
  const outputs = Array.from({ length: stripLength }, (_, o) => o);
  const text = /* wgsl */ `${put}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * GRID_WIDTH + group.x) * 64 + lane;
  if (i >= uniforms.count) { return; }
  let line = i / uniforms.strips;
  let plane = line / uniforms.oh;
  let c = plane % uniforms.channels;
  let first = plane / uniforms.multiplier * (uniforms.h * uniforms.w);
  let ox = (i - line * uniforms.strips) * ${stripLength};
  let iy = i32((line - plane * uniforms.oh) * uniforms.strideH) - i32(uniforms.top);
  let ix = i32(ox * ${stride}) - i32(uniforms.left);
  var sums = vec4f();
  for (var ky = 0u; ky < uniforms.kh; ky++) {
    let row = u32(iy + i32(ky));
    if (row >= uniforms.h) { continue; }
    let begin = first + row * uniforms.w;
${values.map((j) => `    let x${j} = valueAt(begin, ix + ${j});`).join("\n")}
    let w = (c * uniforms.kh + ky) * ${columns};
${
    taps.map((k) => {
      const factors = outputs.map((o) => `x${o * stride + k}`).join();
      return `    sums += weight[w + ${k}] * vec4f(${factors});`;
    }).join("\n")
  }
  }
  let out = line * uniforms.ow + ox;
${
    outputs.map((o) => `  if (ox + ${o} < uniforms.ow) { put(out + ${o}, c, sums[${o}]); }`)
      .join("\n")
  }
}

fn valueAt(begin: u32, column: i32) -> f32 {
  let isInside = u32(column) < uniforms.w;
  return select(0.0, x[select(begin, begin + u32(column), isInside)], isInside);
}
`;
  return { name: `depthwise${columns}x${stride}`, text };
}

/** The shaders for common windows by their columns and strides. */
const common: ReadonlyMap<string, Shader> = new Map(
  [3, 5, 7].flatMap((columns) =>
    [1, 2].map((stride) => [`${columns} ${stride}`, strips(columns, stride)])
  ),
);

/** The shader for windows of this kind; undefined if only {@linkcode depthwise} computes them. */
export function stripsFor(
  { kw, strideW, dilationH, dilationW }: WindowGeometry,
): Shader | undefined {
  return dilationH === 1 && dilationW === 1 ? common.get(`${kw} ${strideW}`) : undefined;
}

/** dx: for each tap there is at most one window whose tap lies on an element. */
export const depthwiseBackwardInput: Shader = each(
  "depthwiseBackwardInput",
  "dx",
  /* wgsl */ `
  let plane = i / (uniforms.h * uniforms.w);
  let y = i32(i / uniforms.w % uniforms.h + uniforms.top);
  let x = i32(i % uniforms.w + uniforms.left);
  var v = 0.0;
  for (var m = 0u; m < uniforms.multiplier; m++) {
    let output = plane * uniforms.multiplier + m;
    let c = output % uniforms.channels;
    for (var ky = 0u; ky < uniforms.kh; ky++) {
      let oy = y - i32(ky * uniforms.dilationH);
      let row = u32(oy) / uniforms.strideH;
      if (oy < 0 || u32(oy) % uniforms.strideH > 0 || row >= uniforms.oh) { continue; }
      for (var kx = 0u; kx < uniforms.kw; kx++) {
        let ox = x - i32(kx * uniforms.dilationW);
        let column = u32(ox) / uniforms.strideW;
        if (ox < 0 || u32(ox) % uniforms.strideW > 0 || column >= uniforms.ow) { continue; }
        let w = weight[(c * uniforms.kh + ky) * uniforms.kw + kx];
        v += w * dy[(output * uniforms.oh + row) * uniforms.ow + column];
      }
    }
  }
  dx[i] = v;
`,
);

/** dw += …: each workgroup sums up a weight's products over the outputs of `n` samples. */
export const depthwiseBackwardWeight: Shader = {
  name: "depthwiseBackwardWeight",
  text: /* wgsl */ `${reductions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * GRID_WIDTH + group.x;
  if (row >= uniforms.rows) { return; }
  let c = row / (uniforms.kh * uniforms.kw);
  let top = i32(row / uniforms.kw % uniforms.kh * uniforms.dilationH) - i32(uniforms.top);
  let left = i32(row % uniforms.kw * uniforms.dilationW) - i32(uniforms.left);
  let outputs = uniforms.oh * uniforms.ow;
  var sum = 0.0;
  for (var i = lane; i < uniforms.n * outputs; i += 64) {
    let iy = u32(top + i32(i % outputs / uniforms.ow * uniforms.strideH));
    let ix = u32(left + i32(i % uniforms.ow * uniforms.strideW));
    if (iy >= uniforms.h || ix >= uniforms.w) { continue; }
    let plane = i / outputs * uniforms.channels + c;
    let v = x[(plane / uniforms.multiplier * uniforms.h + iy) * uniforms.w + ix];
    sum += v * dy[plane * outputs + i % outputs];
  }
  sum = total(sum, lane);
  if (lane == 0) { dw[row] += sum; }
}
`,
};
