/**
 * Elementwise shaders.
 *
 * @module
 */

import type { Shader } from "../shader.ts";

/**
 * A shader that runs `body` for each element `i` of the operand `over`, in rows of GRID_WIDTH
 * workgroups.
 */
export function each(name: string, over: string, body: string, functions = ""): Shader {
  const text = /* wgsl */ `${functions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * GRID_WIDTH + group.x) * 64 + lane;
  if (i >= arrayLength(&${over})) { return; }
${body}
}
`;
  return { name, text };
}

/** y = value */
export const fill = each("fill", "y", "  y[i] = uniforms.value;");

/**
 * y = x with the same elements dropped as in assembly/dropout.ts. y[0] is element `first` of the
 * tensor.
 */
export const dropout = each(
  "dropout",
  "y",
  /* wgsl */ `
  let drawn = hash(uniforms.seed + (uniforms.first + i) * 0x9e3779b9);
  y[i] = select(0.0, x[i] * uniforms.scale, drawn <= uniforms.keep);
`,
  /* wgsl */ `
// "lowbias32" of Chris Wellons' hash prospector
fn hash(seed: u32) -> u32 {
  var h = seed;
  h ^= h >> 16;
  h *= 0x21f0aaad;
  h ^= h >> 15;
  h *= 0xd35a2d97;
  return h ^ (h >> 15);
}
`,
);

/** As sgdStep of assembly/optimizer.ts. */
export const sgd = each(
  "sgd",
  "w",
  "  w[i] -= uniforms.lr * (dw[i] + uniforms.decay * w[i]);",
);

/** The same with a velocity. */
export const sgdWithMomentum = each(
  "sgdWithMomentum",
  "w",
  /* wgsl */ `
  let g = dw[i] + uniforms.decay * w[i];
  let v = g + uniforms.momentum * velocity[i];
  velocity[i] = v;
  w[i] -= uniforms.lr * select(v, g + uniforms.momentum * v, NESTEROV);
`,
);

/** As adamwStep of assembly/optimizer.ts. */
export const adamw = each(
  "adamw",
  "w",
  /* wgsl */ `
  let g = dw[i];
  let m1 = m[i] * uniforms.beta1 + g * uniforms.rest1;
  let v1 = v[i] * uniforms.beta2 + g * g * uniforms.rest2;
  m[i] = m1;
  v[i] = v1;
  w[i] = w[i] * uniforms.shrink - uniforms.step * m1 / (sqrt(v1) / uniforms.root + uniforms.eps);
`,
);

/** y = a·x + b·y */
export const axpby = each(
  "axpby",
  "y",
  "  y[i] = uniforms.a * x[i] + uniforms.b * y[i];",
);

/** y[i] = Σ x² over some of the elements. The caller adds the sums in float64. */
export const squaredNorm = each(
  "squaredNorm",
  "y",
  /* wgsl */ `
  var sum = 0.0;
  for (var k = i; k < arrayLength(&x); k += arrayLength(&y)) { sum += x[k] * x[k]; }
  y[i] = sum;
`,
);
