/**
 * Normalisation: over neighbouring channels, and by statistics of each channel.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { activate } from "./activate.ts";
import { each } from "./elementwise.ts";
import { eachRow } from "./rows.ts";

/** scaleAt(i, c) = k + alpha/size · Σ x² over the channels around c. */
const window = /* wgsl */ `
fn scaleAt(i: u32, c: u32) -> f32 {
  var sum = 0.0;
  let first = max(c, uniforms.half) - uniforms.half;
  for (var j = first; j <= min(c + uniforms.half, uniforms.channels - 1); j++) {
    let v = x[i - c * uniforms.plane + j * uniforms.plane];
    sum += v * v;
  }
  return uniforms.base + uniforms.scale * sum;
}

// s^beta; 0.75, as in AlexNet, by square roots, which are more exact. pow() may fail for infinity
// and NaN.
fn power(s: f32) -> f32 {
  if (uniforms.beta > 0 && (bitcast<u32>(s) & 0x7f800000) == 0x7f800000) { return s; }
  if (uniforms.beta == 0.75) {
    let root = sqrt(s);
    return root * sqrt(root);
  }
  return pow(s, uniforms.beta);
}
`;

/** y = x / (k + alpha/size · Σ x²)^beta. */
export const localResponseNorm: Shader = each(
  "localResponseNorm",
  "y",
  "  y[i] = x[i] / power(scaleAt(i, i / uniforms.plane % uniforms.channels));",
  window,
);

/** dx[j] = dy[j] · s[j]^−beta − 2·alpha·beta/size · x[j] · Σ dy[i]·x[i]·s[i]^(−beta−1). */
export const localResponseNormBackward: Shader = each(
  "localResponseNormBackward",
  "dx",
  /* wgsl */ `
  let c = i / uniforms.plane % uniforms.channels;
  var sum = 0.0;
  for (var j = max(c, uniforms.half) - uniforms.half; j <= min(c + uniforms.half, uniforms.channels - 1); j++) {
    let at = i - c * uniforms.plane + j * uniforms.plane;
    let s = scaleAt(at, j);
    sum += dy[at] / power(s) * x[at] / s;
  }
  dx[i] = dy[i] / power(scaleAt(i, c)) - 2 * uniforms.scale * uniforms.beta * x[i] * sum;
`,
  window,
);

/** y = activation((x − mean) / √(var + eps) · weight + bias). */
export const batchNorm: Shader = each(
  "batchNorm",
  "y",
  /* wgsl */ `
  let c = i / uniforms.plane % uniforms.channels;
  var scale = 1 / sqrt(variance[c] + uniforms.eps);
  if (WEIGHT) { scale *= weight[c]; }
  var shift = -mean[c] * scale;
  if (BIAS) { shift += bias[c]; }
  y[i] = activate(x[i] * scale + shift);
`,
  activate,
);

/**
 * The filters w · f and the bias (b − mean) · f + bias, f = weight / √(var + eps), with a row for
 * each.
 */
export const foldBatchNorm: Shader = eachRow(
  "foldBatchNorm",
  /* wgsl */ `
  var factor = 1 / sqrt(variance[row] + uniforms.eps);
  if (WEIGHT) { factor *= weight[row]; }
  for (var i = lane; i < uniforms.plane; i += 64) {
    filters[row * uniforms.plane + i] = w[row * uniforms.plane + i] * factor;
  }
  if (lane > 0) { return; }
  var v = -mean[row];
  if (B) { v += b[row]; }
  v *= factor;
  if (BIAS) { v += bias[row]; }
  biases[row] = v;
`,
);

/** The index of value i of channel c, which has `count` values in all samples. */
const channel = /* wgsl */ `
fn indexOf(c: u32, i: u32) -> u32 {
  return (i / uniforms.plane * uniforms.channels + c) * uniforms.plane + i % uniforms.plane;
}
`;

/** mean and variance of each channel, with a row for each channel. */
export const batchNormStatistics: Shader = eachRow(
  "batchNormStatistics",
  /* wgsl */ `
  var sum = 0.0;
  for (var i = lane; i < uniforms.count; i += 64) { sum += x[indexOf(row, i)]; }
  let center = total(sum, lane) / f32(uniforms.count);
  // in a second pass, so that a mean far from 0 does not cost digits
  var squares = 0.0;
  for (var i = lane; i < uniforms.count; i += 64) {
    let v = x[indexOf(row, i)] - center;
    squares += v * v;
  }
  squares = total(squares, lane);
  if (lane == 0) {
    mean[row] = center;
    variance[row] = squares / f32(uniforms.count);
  }
`,
  channel,
);

/** dx, dweight += Σ dy·x̂ and dbias += Σ dy, with a row for each channel. */
export const batchNormBackward: Shader = eachRow(
  "batchNormBackward",
  /* wgsl */ `
  let center = mean[row];
  let inverse = 1 / sqrt(variance[row] + uniforms.eps);
  var sum = 0.0;
  var dot = 0.0;
  for (var i = lane; i < uniforms.count; i += 64) {
    let at = indexOf(row, i);
    sum += dy[at];
    dot += dy[at] * (x[at] - center);
  }
  sum = total(sum, lane);
  dot = total(dot, lane) * inverse;
  if (lane == 0) {
    dbias[row] += sum;
    dweight[row] += dot;
  }
  // dx = a·dy + b·(x − mean) + d
  var a = inverse;
  if (WEIGHT) { a *= weight[row]; }
  let b = -a * inverse * dot / f32(uniforms.count);
  let d = -a * sum / f32(uniforms.count);
  for (var i = lane; i < uniforms.count; i += 64) {
    let at = indexOf(row, i);
    dx[at] = a * dy[at] + b * (x[at] - center) + d;
  }
`,
  channel,
);
