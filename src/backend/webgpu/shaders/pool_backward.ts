/**
 * The gradients of pooling. Each value of dx is the sum over the windows that contain it.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { adaptive, area } from "./pool.ts";

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

/** dx = dy of each window over its area. */
export const avgPool2dBackward: Shader = each(
  "avgPool2dBackward",
  "dx",
  /* wgsl */ `
  let plane = i / (W * H) * (OH * OW);
  var sum = 0.0;
  for (var ky = 0; ky < KH; ky++) {
    let y = i32(i / W % H) + TOP - ky * DILATION_H;
    let oy = y / STRIDE_H;
    if (y < 0 || oy * STRIDE_H != y || oy >= OH) { continue; }
    for (var kx = 0; kx < KW; kx++) {
      let x = i32(i % W) + LEFT - kx * DILATION_W;
      let ox = x / STRIDE_W;
      if (x < 0 || ox * STRIDE_W != x || ox >= OW) { continue; }
      let share = dy[plane + u32(oy * OW + ox)];
      sum += share / area(oy * STRIDE_H - TOP, ox * STRIDE_W - LEFT);
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
  let iy = i / W % H;
  let ix = i % W;
  let plane = i / (W * H) * (OH * OW);
  // a row lies in the windows that end behind it and begin before the next row
  var sum = 0.0;
  for (var oy = begin(iy, OH, H); oy < end(iy, OH, H); oy++) {
    for (var ox = begin(ix, OW, W); ox < end(ix, OW, W); ox++) {
      let rows = end(oy, H, OH) - begin(oy, H, OH);
      let columns = end(ox, W, OW) - begin(ox, W, OW);
      sum += dy[plane + oy * OW + ox] / f32(rows * columns);
    }
  }
  dx[i] = sum;
`,
  adaptive,
);
