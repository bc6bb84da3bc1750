/**
 * The activations that a shader applies to its result before it stores it.
 *
 * @module
 */

import { fusedKindCodes as codes } from "../../wasm/generated/geometry.ts";

/** `activate()` applies the activation whose code is the uniform `activation`. A NaN stays NaN. */
export const activate = /* wgsl */ `
fn activate(v: f32) -> f32 {
  switch uniforms.activation {
    case ${codes.relu}: { return select(v, 0.0, v < 0.0); }
    case ${codes.relu6}: { return clampTo6(v); }
    case ${codes.hardswish}: { return v * (clampTo6(v + 3) / 6); }
    case ${codes.silu}: { return silu(v); }
    default: { return v; }
  }
}

fn silu(v: f32) -> f32 {
  let e = exp(-abs(v));
  return v * (select(1.0, e, v < 0) / (1 + e));
}

fn clampTo6(v: f32) -> f32 {
  return select(select(v, 0.0, v < 0.0), 6.0, v > 6.0);
}
`;

/** Where the residual of a convolution is: nowhere, in an operand of its own, or in y. */
export const noResidual = 0, ownResidual = 1, residualInY = 2;

/** `store()` adds the residual to a result of a convolution, and stores it. */
export const store = /* wgsl */ `${activate}
fn store(at: u32, sum: f32) {
  var v = sum;
  if (uniforms.residual == ${ownResidual}) { v += residual[at]; }
  if (uniforms.residual == ${residualInY}) { v += y[at]; }
  y[at] = activate(v);
}
`;
