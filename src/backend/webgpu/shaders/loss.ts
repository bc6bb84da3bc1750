/**
 * Cross-entropy and its gradient, as in assembly/softmax.ts.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { eachRow, reductions } from "./rows.ts";

/** dx = (softmax(x) − q) / n and losses = −Σ q · log softmax(x) for each row. */
export const crossEntropy: Shader = eachRow(
  "crossEntropy",
  /* wgsl */ `
  let target_at = first + u32(targets[row]);
  var top = x[first];
  for (var k = lane; k < uniforms.length; k += 64) { top = max(top, x[first + k]); }
  top = largest(top, lane);
  let chosen = x[target_at] - top;
  var sum = 0.0;
  var rest = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) {
    let v = x[first + k] - top;
    sum += expOf(v);
    rest += v;
  }
  sum = total(sum, lane);
  rest = total(rest, lane);
  let shift = logOf(sum);
  // an impossible class (−∞) makes the loss infinite only with smoothing
  var spread = 0.0;
  if (uniforms.share > 0) { spread = uniforms.share * (rest - f32(uniforms.length) * shift); }
  if (lane == 0) { losses[row] = -(uniforms.rest * (chosen - shift) + spread); }
  for (var k = lane; k < uniforms.length; k += 64) {
    let q = uniforms.share + select(0.0, uniforms.rest, first + k == target_at);
    dx[first + k] = (expOf(x[first + k] - top) / sum - q) / f32(uniforms.rows);
  }
`,
);

/** y[0] = the mean of x. */
export const mean: Shader = {
  name: "mean",
  text: /* wgsl */ `${reductions}
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < arrayLength(&x); i += 64) { sum += x[i]; }
  sum = total(sum, lane);
  if (lane == 0) { y[0] = sum / f32(arrayLength(&x)); }
}
`,
};
