/**
 * Convolution as an implicit matrix product: rows are output channels, columns are the output
 * pixels of all samples, and the depth runs over the taps of all input channels. Taps are read from
 * x directly.
 *
 * @module
 */

import type { Conv2dGeometry } from "../../geometry.ts";
import type { Shader } from "../shader.ts";
import { store } from "./activate.ts";
import { each } from "./elementwise.ts";
import { tiled } from "./gemm.ts";
import { outside, walk, windowSizes } from "./window.ts";

/** Reads the weights, and stores the results. */
const common = /* wgsl */ `${store}
fn a4(z: u32, k: u32, m: u32) -> vec4f {
  return packed[((z * uniforms.deep + k) * uniforms.wide + m) / 4];
}

fn places(z: u32, n: vec4u) -> vec4u {
  let plane = uniforms.oh * uniforms.ow;
  let sample = n / plane;
  return sample * (uniforms.outC * plane) + n - sample * plane;
}

fn bias(z: u32, m: u32) -> f32 {
  if (uniforms.biased == 0) { return 0; }
  return biases[z * uniforms.m + m];
}

fn put(z: u32, m: u32, place: u32, sum: f32) {
  store(place + (z * uniforms.m + m) * (uniforms.oh * uniforms.ow), sum);
}
`;

/**
 * y = activation(x ⋆ packed + biases + residual). packed is vec4f, [groups, K, M], with K and M
 * rounded up to tiles.
 */
export const conv2d = tiled(
  "conv2d",
  /* wgsl */ `${common}${walk}${outside}
// The windows of four output pixels: where they begin in a plane and, if that is inside, in x; and
// their next tap
struct Columns { iy: vec4i, ix: vec4i, begin: vec4u, tap: Place, step: Place }

fn columns(z: u32, first: u32, k: u32) -> Columns {
  let n = first + vec4u(0, 1, 2, 3);
  let row = n / uniforms.ow;
  let sample = row / uniforms.oh;
  let iy = vec4i((row - sample * uniforms.oh) * uniforms.strideH) - i32(uniforms.top);
  let ix = vec4i((n - row * uniforms.ow) * uniforms.strideW) - i32(uniforms.left);
  let plane = (sample * uniforms.inC + z * uniforms.groupC) * (uniforms.h * uniforms.w);
  return Columns(
    select(vec4i(OUTSIDE), iy, n < vec4u(uniforms.n)),
    ix,
    plane + vec4u(iy * i32(uniforms.w) + ix),
    placeAt(k, uniforms.kh, uniforms.kw),
    placeAt(STEP, uniforms.kh, uniforms.kw),
  );
}

// x at tap k of the windows
fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let tap = (*c).tap;
  let row = tap.row * uniforms.dilationH;
  let column = tap.column * uniforms.dilationW;
  let within = (vec4u((*c).iy + i32(row)) < vec4u(uniforms.h)) &
    (vec4u((*c).ix + i32(column)) < vec4u(uniforms.w));
  let inside = within & vec4<bool>(k < uniforms.k);
  let index = (*c).begin + ((tap.plane * uniforms.h + row) * uniforms.w + column);
  let at = select(vec4u(), index, inside);
  (*c).tap = placeAfter(tap, (*c).step, uniforms.kh, uniforms.kw);
  return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}
`,
);

/** The same for kernels of 1×1 that step over no pixel. x is vec4f, so planes are whole vec4f. */
export const pointwise = tiled(
  "pointwise",
  /* wgsl */ `${common}
// Where four pixels lie in the first channel
struct Columns { at: u32, exist: bool }

fn columns(z: u32, n: u32, k: u32) -> Columns {
  let plane = uniforms.oh * uniforms.ow;
  let sample = n / plane;
  let channel = sample * uniforms.inC + z * uniforms.groupC;
  return Columns((channel - sample) * plane + n, n < uniforms.n);
}

fn b4(z: u32, k: u32, c: ptr<function, Columns>) -> vec4f {
  let inside = (*c).exist && k < uniforms.k;
  let at = ((*c).at + k * (uniforms.oh * uniforms.ow)) / 4;
  return select(vec4f(), x[select(0, at, inside)], inside);
}
`,
);

/** Whether {@linkcode pointwise} computes a convolution. */
export function isPointwise(g: Conv2dGeometry): boolean {
  return g.kh === 1 && g.kw === 1 && g.oh === g.h && g.ow === g.w && g.strideH === 1 &&
    g.strideW === 1 && g.top === 0 && g.left === 0 && g.oh * g.ow % 4 === 0;
}

/**
 * Packs weights as [groups, K, M], padded with zeros. `at` computes where element k, m of layer z
 * is.
 */
function packing(name: string, at: string): Shader {
  return each(
    name,
    "packed",
    /* wgsl */ `
  let m = i % uniforms.wide;
  let k = i / uniforms.wide % uniforms.deep;
  let z = i / (uniforms.wide * uniforms.deep);
  let inside = m < uniforms.m && k < uniforms.k;
  ${at}
  packed[i] = select(0.0, w[select(0, at, inside)], inside);
`,
  );
}

/** For a convolution: k runs over input channels and taps, m over output channels. */
export const packConv2d = packing(
  "packConv2d",
  "let at = (z * uniforms.m + m) * uniforms.k + k;",
);

/** For its gradient: k runs over output channels and taps, m over input channels. */
export const packConv2dTransposed = packing(
  "packConv2dTransposed",
  /* wgsl */ `let c = z * (uniforms.k / uniforms.taps) + k / uniforms.taps;
  let at = (c * uniforms.m + m) * uniforms.taps + k % uniforms.taps;`,
);

/** The sizes of a convolution as uniforms. */
export function convSizes(g: Conv2dGeometry): Readonly<Record<string, number>> {
  return { ...windowSizes(g), inC: g.inC, outC: g.outC, groupC: g.inC / g.groups };
}
