/**
 * Normalisation of rows, the groups of channels of each sample, as in assembly/row_norm.ts. The
 * first row has the statistics at `start`.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { eachRow } from "./rows.ts";

/** The channel of element k of a row. */
const channel = /* wgsl */ `
fn channelOf(row: u32, k: u32) -> u32 {
  return row % uniforms.groups * uniforms.channels + k / uniforms.plane;
}
`;

/** Normalises a row. Its mean is `center`, and 1 / √(variance + eps) is `inverse`. */
const normalise = /* wgsl */ `
  var sum = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) { sum += x[first + k]; }
  let center = total(sum, lane) / f32(uniforms.length);
  // in a second pass, so that a mean far from 0 does not cost digits
  var squares = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) {
    let v = x[first + k] - center;
    squares += v * v;
  }
  let inverse = 1 / sqrt(total(squares, lane) / f32(uniforms.length) + uniforms.eps);
  for (var k = lane; k < uniforms.length; k += 64) {
    var v = (x[first + k] - center) * inverse;
    if (WEIGHT) { v *= weight[channelOf(row, k)]; }
    if (BIAS) { v += bias[channelOf(row, k)]; }
    y[first + k] = v;
  }
`;

/** y = (x − mean) · rstd · weight + bias. */
export const rowNorm: Shader = eachRow("rowNorm", normalise, channel);

/** The same, and the mean and rstd of each row. */
export const rowNormWithStatistics: Shader = eachRow(
  "rowNormWithStatistics",
  /* wgsl */ `${normalise}
  if (lane == 0) {
    mean[uniforms.start + row] = center;
    rstd[uniforms.start + row] = inverse;
  }
`,
  channel,
);

/** dx = rstd · (g − mean(g) − x̂ · mean(g·x̂)), g = dy · weight. */
export const rowNormBackward: Shader = eachRow(
  "rowNormBackward",
  /* wgsl */ `
  let center = mean[uniforms.start + row];
  let inverse = rstd[uniforms.start + row];
  var sum = 0.0;
  var dot = 0.0;
  for (var k = lane; k < uniforms.length; k += 64) {
    var g = dy[first + k];
    if (WEIGHT) { g *= weight[channelOf(row, k)]; }
    sum += g;
    dot += g * (x[first + k] - center);
  }
  let d = -inverse * total(sum, lane) / f32(uniforms.length);
  let b = -inverse * inverse * inverse * total(dot, lane) / f32(uniforms.length);
  for (var k = lane; k < uniforms.length; k += 64) {
    var g = dy[first + k];
    if (WEIGHT) { g *= weight[channelOf(row, k)]; }
    dx[first + k] = inverse * g + b * (x[first + k] - center) + d;
  }
`,
  channel,
);

/** dweight += Σ dy·x̂ and dbias += Σ dy, with a row for each channel. */
export const rowNormParameters: Shader = eachRow(
  "rowNormParameters",
  /* wgsl */ `
  let plane = uniforms.plane;
  var sum = 0.0;
  var dot = 0.0;
  for (var k = lane; k < uniforms.count; k += 64) {
    let sample = k / plane;
    let at = (sample * uniforms.rows + row) * plane + k % plane;
    let statistic = uniforms.start + sample * uniforms.groups + row / uniforms.channels;
    sum += dy[at];
    dot += dy[at] * (x[at] - mean[statistic]) * rstd[statistic];
  }
  sum = total(sum, lane);
  dot = total(dot, lane);
  if (lane == 0) {
    dbias[row] += sum;
    dweight[row] += dot;
  }
`,
);
