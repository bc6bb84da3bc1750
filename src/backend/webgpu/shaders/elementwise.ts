/**
 * Functions of the values at one place.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { special } from "./special.ts";

/** A shader that runs `body` at each place `i` of an operand, in a grid of rows of ACROSS workgroups. */
export function each(name: string, over: string, body: string, functions = ""): Shader {
  const text = /* wgsl */ `${functions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * ACROSS + group.x) * 64 + lane;
  if (i >= arrayLength(&${over})) { return; }
${body}
}
`;
  return { name, text };
}

/** y = value */
export const fill = each("fill", "y", "  y[i] = given.value;");

/** y = a + alpha · b */
export const add = each("add", "y", "  y[i] = a[i] + given.alpha * b[i];");

/** y = a · b */
export const mul = each("mul", "y", "  y[i] = a[i] * b[i];");

/** y = max(x, 0); NaN stays NaN, which max() would not promise. */
export const relu = each(
  "relu",
  "y",
  "  y[i] = select(x[i], 0.0, isNegative(x[i]));",
  special,
);

/** dx = dy where y is not 0. */
export const reluBackward = each(
  "reluBackward",
  "dx",
  "  dx[i] = select(dy[i], 0.0, y[i] == 0.0);",
);

/** y = x with elements dropped: the same that assembly/dropout.ts drops; y[0] is number `first`. */
export const dropout = each(
  "dropout",
  "y",
  /* wgsl */ `
  let drawn = hash(given.seed + (given.first + i) * 0x9e3779b9);
  y[i] = select(0.0, x[i] * given.scale, drawn <= given.keep);
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
  "  w[i] -= given.lr * (dw[i] + given.decay * w[i]);",
);

/** The same with a velocity. */
export const sgdWithMomentum = each(
  "sgdWithMomentum",
  "w",
  /* wgsl */ `
  let g = dw[i] + given.decay * w[i];
  let v = select(g + given.momentum * velocity[i], g, FIRST_STEP);
  velocity[i] = v;
  w[i] -= given.lr * select(v, g + given.momentum * v, NESTEROV);
`,
);

/** As adamwStep of assembly/optimizer.ts. */
export const adamw = each(
  "adamw",
  "w",
  /* wgsl */ `
  let g = dw[i];
  let m1 = m[i] * given.beta1 + g * given.rest1;
  let v1 = v[i] * given.beta2 + g * g * given.rest2;
  m[i] = m1;
  v[i] = v1;
  w[i] = w[i] * given.shrink - given.step * m1 / (sqrt(v1) / given.root + given.eps);
`,
);

/** y = a·x + b·y */
export const axpby = each(
  "axpby",
  "y",
  "  y[i] = given.a * x[i] + given.b * y[i];",
);

/** y[i] = Σ x² of every so-manieth place; their sum is taken in float64 elsewhere. */
export const squaredNorm = each(
  "squaredNorm",
  "y",
  /* wgsl */ `
  var sum = 0.0;
  for (var k = i; k < arrayLength(&x); k += arrayLength(&y)) { sum += x[k] * x[k]; }
  y[i] = sum;
`,
);
