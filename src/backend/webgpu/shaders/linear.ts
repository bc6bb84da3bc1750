/**
 * Fully connected layers. A few samples are matrix-vector products, whose sums are split among the
 * invocations of a workgroup. Many samples are a matrix product.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { activate } from "./activate.ts";
import { type Tiled, tiled } from "./gemm.ts";

/** Rows of weights and samples for which an invocation computes sums. */
export const rowsEach = 4, samplesEach = 4;
/** Invocations of a workgroup. */
export const lanes = 64;

/**
 * How weights are stored: as float32 or float16, or as two float16 in a word. `weightAt(i)` is
 * weight i, `weightsAt(i)` is a vector of four weights.
 */
const storages = {
  whole: {
    one: "fn weightAt(i: u32) -> f32 { return f32(weight[i]); }",
    four: "fn weightsAt(i: u32) -> vec4f { return vec4f(weight[i]); }",
  },
  packed: {
    one: "fn weightAt(i: u32) -> f32 { return unpack2x16float(weight[i / 2])[i % 2]; }",
    four: /* wgsl */ `
fn weightsAt(i: u32) -> vec4f {
  let halves = weight[i];
  return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
`,
  },
};

/**
 * y[s, o] = activation(Σ x[s, i] · weight[o, i] + bias[o]). SPLIT neighbouring invocations share
 * ROWS outputs of SAMPLES samples: each sums up every SPLIT-th word of the rows. A word is four
 * values if the length of rows is a multiple of four.
 */
function matrixVector(name: string, word: "vec4f" | "f32", storage: string): Shader {
  const at = word === "f32" ? "weightAt" : "weightsAt";
  const text = /* wgsl */ `${activate}${storage}
var<workgroup> parts: array<f32, ROWS * SAMPLES * LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * GRID_WIDTH + group.x;
  let across = (uniforms.count + LANES / SPLIT * ROWS - 1) / (LANES / SPLIT * ROWS);
  let sample = index / across * SAMPLES;
  if (sample >= uniforms.n) { return; }
  let row = (index % across * (LANES / SPLIT) + lane / SPLIT) * ROWS;
  var sums: array<array<${word}, SAMPLES>, ROWS>;
  for (var i = lane % SPLIT; i < uniforms.words; i += SPLIT) {
    var v: array<${word}, SAMPLES>;
    for (var s = 0u; s < SAMPLES; s++) { v[s] = x[min(sample + s, uniforms.n - 1) * uniforms.words + i]; }
    for (var r = 0u; r < ROWS; r++) {
      let w = ${at}(min(row + r, uniforms.count - 1) * uniforms.words + i);
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
    if (o < uniforms.count && s < uniforms.n) { put(s, uniforms.first + o, v); }
  }
}

fn put(s: u32, o: u32, sum: f32) {
  var v = sum;
  if (uniforms.biased != 0) { v += biases[o]; }
  y[s * uniforms.outF + o] = activate(v);
}
`;
  return { name, text };
}

/** The same for many samples, as a matrix product: rows are outputs, columns are samples. */
function matrices(name: string, storage: string): Tiled {
  return tiled(
    name,
    /* wgsl */ `${activate}${storage}
fn a4(z: u32, k: u32, first: u32) -> vec4f {
  let m = min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.m - 1));
  let at = m * uniforms.inF + min(k, uniforms.k - 1);
  let w = vec4f(weightAt(at.x), weightAt(at.y), weightAt(at.z), weightAt(at.w));
  return select(vec4f(), w, k < uniforms.k);
}

// where four samples begin in x
struct Columns { at: vec4u }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  return Columns(min(first + vec4u(0, 1, 2, 3), vec4u(uniforms.n - 1)) * uniforms.inF);
}

fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let at = (*c).at + min(k, uniforms.k - 1);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), k < uniforms.k);
}

fn places(z: u32, n: vec4u) -> vec4u {
  return n * uniforms.outF + uniforms.first;
}

fn bias(z: u32, m: u32) -> f32 {
  if (uniforms.biased == 0) { return 0; }
  return biases[uniforms.first + m];
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  var v = sum;
  if (uniforms.start > 0) { v += y[place + m]; }
  y[place + m] = activate(v);
}
`,
  );
}

/** The shaders for weights in float32, or in float16. */
function shaders(name: string, { one, four }: typeof storages.whole) {
  return {
    /** For rows of whole vec4f. */
    words: matrixVector(name, "vec4f", four),
    /** For rows of any length. */
    odd: matrixVector(`${name}Odd`, "f32", one),
    /** For many samples. */
    batch: matrices(`${name}Batch`, one),
  };
}

/** For weights in float32, and for float16 with `shader-f16`. */
export const linear = shaders("linear", storages.whole);
/** For weights in float16 without `shader-f16`. */
export const linearPacked = shaders("linearPacked", storages.packed);

/** half = values in float16, rounded to nearest even, two in a word, from word `first` on. */
export const packHalf: Shader = {
  name: "packHalf",
  text: /* wgsl */ `
fn bitsOf(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let sign = (bits >> 16) & 0x8000;
  let magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) { return sign | 0x7e00; } // NaN
  if (magnitude >= 0x47800000) { return sign | 0x7c00; } // 2¹⁶ and more: infinity
  // below 2⁻¹⁴: multiples of 2⁻²⁴
  if (magnitude < 0x38800000) { return sign | u32(round(abs(v) * 16777216)); }
  // a carry from the fraction raises the exponent, as it should
  let odd = (magnitude >> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ((group.y * GRID_WIDTH + group.x) * 64 + lane) * 2;
  if (i >= uniforms.count) { return; }
  var word = bitsOf(values[i]);
  if (i + 1 < uniforms.count) { word |= bitsOf(values[i + 1]) << 16; }
  half[uniforms.first + i / 2] = word;
}
`,
};
