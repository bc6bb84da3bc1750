/**
 * Fully connected layers with weights in 8 bits. A row is whole words of four integers, and has a
 * scale.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { activate } from "./activate.ts";
import { each } from "./elementwise.ts";
import { rowsEach } from "./linear.ts";
import { reductions } from "./rows.ts";

/** The least divisor, TINY of assembly/quantize.ts: 2⁻¹⁰⁰. */
const tiny = "7.888609052210118e-31";

/** Tests for NaN and infinity. */
const notFinite = /* wgsl */ `
fn notFinite(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7f800000) == 0x7f800000;
}

// WGSL has no literal for it
fn notANumber() -> f32 {
  return bitcast<f32>(uniforms.nan);
}
`;

/** Quantises rows of w to packed and scale, from row `first` on, with a workgroup for each row. */
export const packInt8: Shader = {
  name: "packInt8",
  text: /* wgsl */ `${reductions}${notFinite}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * GRID_WIDTH + group.x;
  if (row >= uniforms.rows) { return; }
  var top = ${tiny};
  var bad = 0.0;
  for (var i = lane; i < uniforms.inF; i += 64) {
    let v = w[row * uniforms.inF + i];
    top = max(top, abs(v));
    if (notFinite(v)) { bad = 1; }
  }
  top = largest(top, lane);
  bad = largest(bad, lane);
  if (lane == 0) { scale[uniforms.first + row] = select(top / 127, notANumber(), bad > 0); }
  let factor = 127 / top;
  for (var i = lane; i < uniforms.words; i += 64) {
    var word = 0u;
    for (var j = 0u; j < 4; j++) {
      let column = i * 4 + j;
      let v = w[row * uniforms.inF + min(column, uniforms.inF - 1)];
      let q = select(round(v * factor), 0.0, bad > 0 || column >= uniforms.inF);
      word |= (u32(i32(q)) & 0xff) << (8 * j);
    }
    packed[(uniforms.first + row) * uniforms.words + i] = word;
  }
}
`,
};

/** values = the integers of packed, row by row without padding, four in a word. */
export const unpackInt8: Shader = each(
  "unpackInt8",
  "values",
  /* wgsl */ `
  var word = 0u;
  for (var j = 0u; j < 4; j++) {
    let at = min(i * 4 + j, uniforms.count - 1);
    let column = at % uniforms.inF;
    let old = packed[at / uniforms.inF * uniforms.words + column / 4];
    word |= ((old >> (8 * (column % 4))) & 0xff) << (8 * j);
  }
  values[i] = word;
`,
);

/**
 * y[s, o] = activation(Σ x[s, i] · scale[o] · packed[o, i] + bias[o]) for a few outputs and one
 * sample. The outputs of a sample with NaN or infinity are NaN.
 */
export const linearInt8: Shader = {
  name: "linearInt8",
  text: /* wgsl */ `${reductions}${notFinite}${activate}
var<workgroup> sums: array<f32, ${rowsEach} * 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * GRID_WIDTH + group.x;
  if (index >= uniforms.rows) { return; }
  let across = (uniforms.outF + ${rowsEach} - 1) / ${rowsEach};
  let row = index % across * ${rowsEach};
  let s = index / across;
  var mine: array<f32, ${rowsEach}>;
  var bad = 0.0;
  for (var i = lane; i < uniforms.words; i += 64) {
    var v = vec4f();
    for (var j = 0u; j < 4; j++) {
      let column = i * 4 + j;
      if (column < uniforms.inF) { v[j] = x[s * uniforms.inF + column]; }
      if (notFinite(v[j])) { bad = 1; }
    }
    for (var r = 0u; r < ${rowsEach}; r++) {
      let o = min(row + r, uniforms.outF - 1);
      let word = packed[o * uniforms.words + i];
      let q = vec4f(vec4i(vec4u(word << 24, word << 16, word << 8, word)) >> vec4u(24));
      mine[r] += dot(q * scale[o], v);
    }
  }
  for (var r = 0u; r < ${rowsEach}; r++) { sums[r * 64 + lane] = mine[r]; }
  bad = largest(bad, lane);

  let o = row + lane;
  if (lane >= ${rowsEach} || o >= uniforms.outF) { return; }
  var v = 0.0;
  for (var i = 0u; i < 64; i++) { v += sums[lane * 64 + i]; }
  if (BIAS) { v += bias[o]; }
  v = activate(v);
  if (bad > 0 || notFinite(scale[o])) { v = notANumber(); }
  y[s * uniforms.outF + o] = v;
}
`,
};
