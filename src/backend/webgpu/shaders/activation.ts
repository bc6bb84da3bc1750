/**
 * Activation functions of single elements. One shader computes all kinds, as assembly/activation.ts
 * does, so that a network needs few pipelines.
 *
 * @module
 */

import { activationKindCodes } from "../../wasm/generated/geometry.ts";
import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { special } from "./special.ts";

/** `reluKind` and so on. */
const kinds = Object.entries(activationKindCodes)
  .map(([name, code]) => `const ${name}Kind = ${code}u;`)
  .join("\n");

const functions = /* wgsl */ `${special}${kinds}

// exp(v) − 1 for v ≤ 0, by its series where the difference would lose digits
fn expm1(v: f32) -> f32 {
  if (v < -0.5) { return exp(v) - 1; }
  return v * (1 + v / 2 * (1 + v / 3 * (1 + v / 4 * (1 + v / 5 * (1 + v / 6 * (1 + v / 7))))));
}

// log(1 + e) for 0 ≤ e ≤ 1, as in assembly/inline/exp.ts
fn log1p(e: f32) -> f32 {
  let s = e / (2 + e);
  let q = s * s;
  return s * (2 + q * (0.66666416 + q * (0.40021529 + q * (0.28001767 + q * 0.2801219))));
}

fn sigmoid(v: f32) -> f32 {
  let e = exp(-abs(v));
  return select(1.0, e, v < 0) / (1 + e);
}

// exp(−v²/2)
fn bell(v: f32) -> f32 {
  return exp(-0.5 * v * v);
}

// The normal distribution from e = bell(v), as in assembly/inline/exp.ts
fn normal(v: f32, e: f32) -> f32 {
  let t = 1 / (1 + 0.3 * abs(v));
  var p = 0.03567630323;
  p = -0.15720925183 + p * t;
  p = 0.20636382228 + p * t;
  p = -0.05369288136 + p * t;
  p = 0.12856639306 + p * t;
  p = 0.09991207977 + p * t;
  p = 0.12075417781 + p * t;
  p = 0.11962928463 + p * t;
  let tail = e * p * t;
  return select(1 - tail, tail, v < 0);
}

// a + factor · b · v²
fn quadratic(v: f32, factor: f32) -> f32 {
  return uniforms.a + factor * uniforms.b * min(v * v, 1e30);
}
`;

/**
 * y = f(x). NaN stays NaN, which WGSL does not guarantee for comparisons, min(), max() and exp().
 */
export const activation: Shader = each(
  "activation",
  "y",
  /* wgsl */ `
  let v = x[i];
  var f = 0.0;
  switch (uniforms.kind) {
    case reluKind: { f = max(v, 0.0); }
    case leakyReluKind: { f = select(v * uniforms.a, v, v > 0); }
    case hardtanhKind: { f = min(max(v, uniforms.a), uniforms.b); }
    case hardsigmoidKind: { f = clamp(uniforms.a * v + uniforms.b, 0.0, 1.0); }
    case hardswishKind: { f = v * (clamp(v + 3, 0.0, 6.0) / 6); }
    case sigmoidKind: { f = sigmoid(v); }
    case tanhKind: {
      let m = expm1(-2 * abs(v));
      f = select(-m, m, v < 0) / (2 + m);
    }
    case siluKind: { f = v * sigmoid(v * quadratic(v, 1)); }
    case geluKind: { f = v * normal(v, bell(v)); }
    case softplusKind: {
      let z = uniforms.a * v;
      f = select((max(z, 0.0) + log1p(exp(-abs(z)))) / uniforms.a, v, z > uniforms.b);
    }
    case eluKind: { f = select(uniforms.a * expm1(min(v, 0.0)), v, v > 0); }
    case fakeQuantizeKind: {
      f = uniforms.a * clamp(round(v / uniforms.a), uniforms.b, uniforms.b + 255);
    }
    default: {}
  }
  y[i] = select(f, v, isNan(v));
`,
  functions,
);

/** dx = dy · f′, from the output or the input of f. */
export const activationBackward: Shader = each(
  "activationBackward",
  "dx",
  /* wgsl */ `
  let v = saved[i];
  let d = dy[i];
  var slope = 1.0;
  var flat = false; // where dx is 0 even if dy is infinite or NaN
  switch (uniforms.kind) {
    case reluKind: { flat = v <= 0; }
    case leakyReluKind: { slope = select(uniforms.a, 1.0, v > 0); }
    case hardtanhKind: { flat = v <= uniforms.a || v >= uniforms.b; }
    case hardsigmoidKind: {
      slope = uniforms.a;
      flat = !(v > 0 && v < 1);
    }
    case hardswishKind: {
      slope = select(v / 3 + 0.5, 1.0, v >= 3);
      flat = v < -3;
    }
    case sigmoidKind: { slope = (1 - v) * v; }
    case tanhKind: { slope = 1 - v * v; }
    case siluKind: {
      let u = v * quadratic(v, 1);
      let e = exp(-abs(u));
      slope = sigmoid(u) + v * (e / (1 + e) / (1 + e)) * quadratic(v, 3);
    }
    case geluKind: {
      let e = bell(v);
      slope = normal(v, e) + v * e * 0.3989422804;
    }
    case softplusKind: {
      let z = uniforms.a * v;
      slope = select(sigmoid(z), 1.0, z > uniforms.b);
    }
    case eluKind: { slope = select(v + uniforms.a, 1.0, v > 0); }
    default: {}
  }
  dx[i] = select(d * slope, 0.0, flat);
`,
  functions,
);
