/**
 * The gradients of pooling. Each value of dx is the sum over the windows that contain it.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { adaptive } from "./pool.ts";
import { area } from "./window.ts";

/** dx += dy at the maxima, with an invocation for each plane, because windows can overlap. */
export const maxPool2dBackward: Shader = {
  name: "maxPool2dBackward",
  text: /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let plane = (group.y * GRID_WIDTH + group.x) * 64 + lane;
  if (plane >= uniforms.planes) { return; }
  for (var k = uniforms.start; k < uniforms.k; k++) {
    let i = plane * uniforms.outputs + k;
    dx[plane * uniforms.size + u32(indices[i])] += dy[i];
  }
}
`,
};

/**
 * dx = dy of each window over its area. The loops run over windows, of which there may be fewer
 * than taps.
 */
export const avgPool2dBackward: Shader = each(
  "avgPool2dBackward",
  "dx",
  /* wgsl */ `
  let size = vec2i(vec2u(uniforms.ow, uniforms.oh));
  let stride = vec2i(vec2u(uniforms.strideW, uniforms.strideH));
  let dilation = vec2i(vec2u(uniforms.dilationW, uniforms.dilationH));
  let padding = vec2i(vec2u(uniforms.left, uniforms.top));
  let reach = (vec2i(vec2u(uniforms.kw, uniforms.kh)) - 1) * dilation;
  let line = i / uniforms.w;
  let channel = line / uniforms.h;
  let at = vec2i(vec2u(i - line * uniforms.w, line - channel * uniforms.h)) + padding;
  let plane = channel * (uniforms.oh * uniforms.ow);
  // the first window whose last tap does not lie before the position, and the last that begins
  // there
  let first = max(vec2i(), (at - reach + stride - 1) / stride);
  let last = min(size - 1, at / stride);
  var sum = 0.0;
  for (var oy = first.y; oy <= last.y; oy++) {
    if ((at.y - oy * stride.y) % dilation.y != 0) { continue; }
    for (var ox = first.x; ox <= last.x; ox++) {
      if ((at.x - ox * stride.x) % dilation.x != 0) { continue; }
      let share = dy[plane + u32(oy * size.x + ox)];
      sum += share / area(vec2i(ox, oy) * stride - padding);
    }
  }
  dx[i] = sum;
`,
  area,
);

/** dx = dy of each adaptive window over its area. */
export const adaptiveAvgPool2dBackward: Shader = each(
  "adaptiveAvgPool2dBackward",
  "dx",
  /* wgsl */ `
  let h = uniforms.h;
  let w = uniforms.w;
  let oh = uniforms.oh;
  let ow = uniforms.ow;
  let iy = i / w % h;
  let ix = i % w;
  let plane = i / (w * h) * (oh * ow);
  // a row lies in the windows that end behind it and begin before the next row
  var sum = 0.0;
  for (var oy = begin(iy, oh, h); oy < end(iy, oh, h); oy++) {
    for (var ox = begin(ix, ow, w); ox < end(ix, ow, w); ox++) {
      let rows = end(oy, h, oh) - begin(oy, h, oh);
      let columns = end(ox, w, ow) - begin(ox, w, ow);
      sum += dy[plane + oy * ow + ox] / (f32(rows) * f32(columns));
    }
  }
  dx[i] = sum;
`,
  adaptive,
);
