/**
 * Fully connected layers: a few samples as products of the matrix with vectors, whose sums are
 * split over the invocations of a workgroup; many as one product of matrices.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { tiled } from "./gemm.ts";

/** Rows of weights that an invocation reads, and samples that it keeps sums for, at most. */
export const ROWS = 4, SAMPLES = 4;
/** Invocations of a workgroup. */
export const LANES = 64;

/**
 * y[s, o] = relu?(Σ x[s, i] · weight[o, i] + bias[o]). SPLIT neighbouring invocations share ROWS
 * outputs o of SAMPLES samples s: each adds up every so-manieth word of the rows, four values where
 * rows are made of such.
 */
function matrixVector(name: string, word: "vec4f" | "f32"): Shader {
  const text = /* wgsl */ `
var<workgroup> parts: array<f32, ROWS * SAMPLES * LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = (group.x * (LANES / SPLIT) + lane / SPLIT) * ROWS;
  let sample = group.y * SAMPLES;
  var sums: array<array<${word}, SAMPLES>, ROWS>;
  for (var i = lane % SPLIT; i < given.words; i += SPLIT) {
    var v: array<${word}, SAMPLES>;
    for (var s = 0u; s < SAMPLES; s++) { v[s] = x[min(sample + s, given.n - 1) * given.words + i]; }
    for (var r = 0u; r < ROWS; r++) {
      let w = weight[min(row + r, given.count - 1) * given.words + i];
      for (var s = 0u; s < SAMPLES; s++) { sums[r][s] += w * v[s]; }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    for (var s = 0u; s < SAMPLES; s++) {
      let sum = sums[r][s];
      parts[(r * SAMPLES + s) * LANES + lane] = ${word === "f32" ? "sum" : "dot(sum, vec4f(1))"};
    }
  }
  workgroupBarrier();

  for (var i = lane % SPLIT; i < ROWS * SAMPLES; i += SPLIT) {
    let o = row + i / SAMPLES;
    let s = sample + i % SAMPLES;
    var v = 0.0;
    for (var k = 0u; k < SPLIT; k++) { v += parts[i * LANES + lane / SPLIT * SPLIT + k]; }
    if (o < given.count && s < given.n) { put(s, given.first + o, v); }
  }
}

fn put(s: u32, o: u32, sum: f32) {
  var v = sum;
  if (BIAS) { v += bias[o]; }
  y[s * given.outF + o] = select(v, 0.0, RELU && v < 0.0);
}
`;
  return { name, text };
}

/** For rows of whole vec4f. */
export const linear: Shader = matrixVector("linear", "vec4f");
/** For rows of any length. */
export const linearOdd: Shader = matrixVector("linearOdd", "f32");

/** The same for many samples: rows are outputs, columns samples. */
export const linearBatch = tiled(
  "linearBatch",
  /* wgsl */ `
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(given.m - 1));
  let at = m * given.k + min(k, given.k - 1);
  return select(vec4f(), vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]), k < given.k);
}

// Where four samples begin in x.
struct Columns { at: vec4u }

fn columns(z: u32, first: u32) -> Columns {
  return Columns(min(first + vec4u(0, 1, 2, 3), vec4u(given.n - 1)) * given.k);
}

fn b4(z: u32, k: u32, c: Columns) -> vec4f {
  let at = c.at + min(k, given.k - 1);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), k < given.k);
}

fn put(z: u32, m: u32, n: u32, sum: f32) {
  var v = sum;
  if (BIAS) { v += bias[given.first + m]; }
  y[n * given.outF + given.first + m] = select(v, 0.0, RELU && v < 0.0);
}
`,
);
