/**
 * Fully connected weights in 8 bits: rows of whole words of four integers, and a scale for each.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { ROWS } from "./linear.ts";
import { reductions } from "./rows.ts";

/** A largest value below this counts as this, as in assembly/linear_int8.ts: 2⁻¹⁰⁰. */
const TINY = "7.888609052210118e-31";

/** NaN or infinity. */
const notFinite = /* wgsl */ `
fn notFinite(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7f800000) == 0x7f800000;
}

// WGSL cannot write it
fn notANumber() -> f32 {
  return bitcast<f32>(given.nan);
}
`;

/** packed and scale of the rows from `first` on: a workgroup for each row of w. */
export const packInt8: Shader = {
  name: "packInt8",
  text: /* wgsl */ `${reductions}${notFinite}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * ACROSS + group.x;
  if (row >= given.rows) { return; }
  var most = ${TINY};
  var bad = 0.0;
  for (var i = lane; i < given.inF; i += 64) {
    let v = w[row * given.inF + i];
    most = max(most, abs(v));
    if (notFinite(v)) { bad = 1; }
  }
  most = largest(most, lane);
  bad = largest(bad, lane);
  if (lane == 0) { scale[given.first + row] = select(most / 127, notANumber(), bad > 0); }
  let factor = 127 / most;
  for (var i = lane; i < given.words; i += 64) {
    var word = 0u;
    for (var j = 0u; j < 4; j++) {
      let column = i * 4 + j;
      let v = w[row * given.inF + min(column, given.inF - 1)];
      let q = select(round(v * factor), 0.0, bad > 0 || column >= given.inF);
      word |= (u32(i32(q)) & 0xff) << (8 * j);
    }
    packed[(given.first + row) * given.words + i] = word;
  }
}
`,
};

/** values = the integers of packed row by row, four to a word whatever the row's length. */
export const unpackInt8: Shader = each(
  "unpackInt8",
  "values",
  /* wgsl */ `
  var word = 0u;
  for (var j = 0u; j < 4; j++) {
    let at = min(i * 4 + j, given.count - 1);
    let column = at % given.inF;
    let old = packed[at / given.inF * given.words + column / 4];
    word |= ((old >> (8 * (column % 4))) & 0xff) << (8 * j);
  }
  values[i] = word;
`,
);

/**
 * y[s, o] = relu?(Σ x[s, i] · scale[o] · packed[o, i] + bias[o]) for a few outputs and one sample,
 * as linear() computes it; NaN for a sample that is not finite.
 */
export const linearInt8: Shader = {
  name: "linearInt8",
  text: /* wgsl */ `${reductions}${notFinite}
var<workgroup> sums: array<f32, ${ROWS} * 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * ${ROWS};
  let s = group.y;
  var mine: array<f32, ${ROWS}>;
  var bad = 0.0;
  for (var i = lane; i < given.words; i += 64) {
    var v = vec4f();
    for (var j = 0u; j < 4; j++) {
      let column = i * 4 + j;
      if (column < given.inF) { v[j] = x[s * given.inF + column]; }
      if (notFinite(v[j])) { bad = 1; }
    }
    for (var r = 0u; r < ${ROWS}; r++) {
      let o = min(row + r, given.outF - 1);
      let word = packed[o * given.words + i];
      let q = vec4f(vec4i(vec4u(word << 24, word << 16, word << 8, word)) >> vec4u(24));
      mine[r] += dot(q * scale[o], v);
    }
  }
  for (var r = 0u; r < ${ROWS}; r++) { sums[r * 64 + lane] = mine[r]; }
  bad = largest(bad, lane);

  let o = row + lane;
  if (lane >= ${ROWS} || o >= given.outF) { return; }
  var v = 0.0;
  for (var i = 0u; i < 64; i++) { v += sums[lane * 64 + i]; }
  if (BIAS) { v += bias[o]; }
  v = select(v, 0.0, RELU && v < 0.0);
  if (bad > 0 || notFinite(scale[o])) { v = notANumber(); }
  y[s * given.outF + o] = v;
}
`,
};
