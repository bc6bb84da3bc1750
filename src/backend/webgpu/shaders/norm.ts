/**
 * Normalisation: over neighbouring channels, and by statistics of each channel.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { eachRow } from "./rows.ts";

/** scaleAt(i, c) = k + alpha/size · Σ x² over the channels around c. */
const window = /* wgsl */ `
fn scaleAt(i: u32, c: u32) -> f32 {
  var sum = 0.0;
  let first = max(c, given.half) - given.half;
  for (var j = first; j <= min(c + given.half, given.channels - 1); j++) {
    let v = x[i - c * given.plane + j * given.plane];
    sum += v * v;
  }
  return BASE + SCALE * sum;
}

// s^BETA; AlexNet's exponent by roots, which are exact. pow() knows neither infinity nor NaN.
fn power(s: f32) -> f32 {
  if (BETA > 0 && (bitcast<u32>(s) & 0x7f800000) == 0x7f800000) { return s; }
  if (BETA == 0.75) {
    let root = sqrt(s);
    return root * sqrt(root);
  }
  return pow(s, BETA);
}
`;

/** y = x / (k + alpha/size · Σ x²)^beta. */
export const localResponseNorm: Shader = each(
  "localResponseNorm",
  "y",
  "  y[i] = x[i] / power(scaleAt(i, i / given.plane % given.channels));",
  window,
);

/** dx[j] = dy[j] · s[j]^−beta − 2·alpha·beta/size · x[j] · Σ dy[i]·x[i]·s[i]^(−beta−1). */
export const localResponseNormBackward: Shader = each(
  "localResponseNormBackward",
  "dx",
  /* wgsl */ `
  let c = i / given.plane % given.channels;
  var sum = 0.0;
  for (var j = max(c, given.half) - given.half; j <= min(c + given.half, given.channels - 1); j++) {
    let at = i - c * given.plane + j * given.plane;
    let s = scaleAt(at, j);
    sum += dy[at] / power(s) * x[at] / s;
  }
  dx[i] = dy[i] / power(scaleAt(i, c)) - 2 * SCALE * BETA * x[i] * sum;
`,
  window,
);

/** y = (x − mean) / √(var + eps) · weight + bias. */
export const batchNorm: Shader = each(
  "batchNorm",
  "y",
  /* wgsl */ `
  let c = i / given.plane % given.channels;
  var scale = 1 / sqrt(variance[c] + EPS);
  if (WEIGHT) { scale *= weight[c]; }
  var shift = -mean[c] * scale;
  if (BIAS) { shift += bias[c]; }
  y[i] = x[i] * scale + shift;
`,
);

/** Where value i of channel c lies: `count` are as many as a channel has in all samples. */
const channel = /* wgsl */ `
fn placeIn(c: u32, i: u32) -> u32 {
  return (i / given.plane * given.channels + c) * given.plane + i % given.plane;
}
`;

/** mean and variance of each channel: a row is a channel. */
export const batchNormStatistics: Shader = eachRow(
  "batchNormStatistics",
  /* wgsl */ `
  var sum = 0.0;
  for (var i = lane; i < given.count; i += 64) { sum += x[placeIn(row, i)]; }
  let center = total(sum, lane) / f32(given.count);
  // in a second pass, so that a mean far from 0 costs no digits
  var squares = 0.0;
  for (var i = lane; i < given.count; i += 64) {
    let v = x[placeIn(row, i)] - center;
    squares += v * v;
  }
  squares = total(squares, lane);
  if (lane == 0) {
    mean[row] = center;
    variance[row] = squares / f32(given.count);
  }
`,
  channel,
);

/** dx, dweight += Σ dy·x̂ and dbias += Σ dy: a row is a channel. */
export const batchNormBackward: Shader = eachRow(
  "batchNormBackward",
  /* wgsl */ `
  let center = mean[row];
  let inverse = 1 / sqrt(variance[row] + EPS);
  var sum = 0.0;
  var dot = 0.0;
  for (var i = lane; i < given.count; i += 64) {
    let at = placeIn(row, i);
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
  let b = -a * inverse * dot / f32(given.count);
  let d = -a * sum / f32(given.count);
  for (var i = lane; i < given.count; i += 64) {
    let at = placeIn(row, i);
    dx[at] = a * dy[at] + b * (x[at] - center) + d;
  }
`,
  channel,
);
