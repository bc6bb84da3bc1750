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

/** dx = dy of each window over its area. The loops run over windows, of which there may be fewer than taps. */
export const avgPool2dBackward: Shader = each(
  "avgPool2dBackward",
  "dx",
  /* wgsl */ `
  let plane = i / (W * H) * (OH * OW);
  let y = i32(i / W % H) + TOP;
  let x = i32(i % W) + LEFT;
  let oy1 = min(OH - 1, y / STRIDE_H);
  let ox1 = min(OW - 1, x / STRIDE_W);
  var sum = 0.0;
  for (var oy = firstWindow(y, (KH - 1) * DILATION_H, STRIDE_H); oy <= oy1; oy++) {
    if ((y - oy * STRIDE_H) % DILATION_H != 0) { continue; }
    for (var ox = firstWindow(x, (KW - 1) * DILATION_W, STRIDE_W); ox <= ox1; ox++) {
      if ((x - ox * STRIDE_W) % DILATION_W != 0) { continue; }
      let share = dy[plane + u32(oy * OW + ox)];
      sum += share / area(oy * STRIDE_H - TOP, ox * STRIDE_W - LEFT);
    }
  }
  dx[i] = sum;
`,
  /* wgsl */ `${area}

// The first window whose last tap does not lie before the position
fn firstWindow(position: i32, reach: i32, stride: i32) -> i32 {
  return max(0, (position - reach + stride - 1) / stride);
}
`,
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
      sum += dy[plane + oy * OW + ox] / (f32(rows) * f32(columns));
    }
  }
  dx[i] = sum;
`,
  adaptive,
);
