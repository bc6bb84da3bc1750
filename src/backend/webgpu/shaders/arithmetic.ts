/**
 * Sums and products with a tensor b that is repeated. See BroadcastGeometry in
 * assembly/geometry.ts.
 *
 * @module
 */

import type { Shader } from "../shader.ts";
import { each } from "./elementwise.ts";
import { eachRow } from "./rows.ts";

/** at(i) is the element of b for element i, counted from element `first` of the whole tensor. */
const at = /* wgsl */ `
fn at(i: u32) -> u32 {
  let k = uniforms.first + i;
  let row = k / uniforms.inner;
  return row / uniforms.size * uniforms.outerStep + row % uniforms.size * uniforms.step +
    k % uniforms.inner * uniforms.innerStep;
}
`;

/** y = a + alpha · b */
export const add: Shader = each(
  "add",
  "y",
  "  y[i] = a[i] + uniforms.alpha * b[at(i)];",
  at,
);

/** y = a · b */
export const mul: Shader = each("mul", "y", "  y[i] = a[i] * b[at(i)];", at);

/** y = a where x is positive, a · b elsewhere. */
export const prelu: Shader = each(
  "prelu",
  "y",
  "  y[i] = select(a[i] * b[at(i)], a[i], x[i] > 0);",
  at,
);

/**
 * db[row] += Σ dy · a over the elements for which b is repeated: terms start … k of the row. Along
 * each axis either b has elements, or there are terms.
 */
export const sumProducts: Shader = eachRow(
  "sumProducts",
  /* wgsl */ `
  let rowSize = uniforms.ownSize * uniforms.ownInner;
  let firstOuter = row / rowSize;
  let firstAxis = row / uniforms.ownInner % uniforms.ownSize;
  let firstInner = row % uniforms.ownInner;
  var sum = 0.0;
  for (var t = uniforms.start + lane; t < uniforms.k; t += 64) {
    let o = firstOuter + t / (uniforms.termSize * uniforms.termInner);
    let m = firstAxis + t / uniforms.termInner % uniforms.termSize;
    let i = (o * uniforms.size + m) * uniforms.inner + firstInner + t % uniforms.termInner;
    let f = a[i];
    sum += dy[i] * select(select(f, 1.0, uniforms.ones == 1), 0.0, uniforms.negative == 1 && f > 0);
  }
  sum = total(sum, lane);
  if (lane == 0) { db[row] += sum; }
`,
);
