/**
 * What convolutions and poolings share.
 *
 * @module
 */

import type { Pool2dGeometry, WindowGeometry } from "../../geometry.ts";
import type { Constants } from "../shader.ts";

/**
 * The sizes and strides of windows as uniforms. A negative padding wraps around, and `i32()`
 * restores it.
 */
export function windowSizes(g: WindowGeometry): Readonly<Record<string, number>> {
  const { h, w, oh, ow, kh, kw, strideH, strideW, dilationH, dilationW, top, left } = g;
  return { h, w, oh, ow, kh, kw, strideH, strideW, dilationH, dilationW, top, left };
}

/**
 * WGSL that steps through the elements of many planes, or the taps of many channels, without
 * dividing: `placeAt(i, rows, columns)` is the place of element i,
 * `placeAfter(place, step, rows, columns)` is `step` elements later.
 */
export const walk = /* wgsl */ `
struct Place { plane: u32, row: u32, column: u32 }

fn placeAt(i: u32, rows: u32, columns: u32) -> Place {
  let row = i / columns;
  let plane = row / rows;
  return Place(plane, row - plane * rows, i - row * columns);
}

fn placeAfter(place: Place, step: Place, rows: u32, columns: u32) -> Place {
  var column = place.column + step.column;
  let nextRow = column >= columns;
  column -= select(0, columns, nextRow);
  var row = place.row + step.row + select(0u, 1u, nextRow);
  let nextPlane = row >= rows;
  row -= select(0, rows, nextPlane);
  return Place(place.plane + step.plane + select(0u, 1u, nextPlane), row, column);
}
`;

/** The sizes of an average pooling as uniforms. */
export function averageSizes(
  g: Pool2dGeometry,
  countIncludePad: boolean,
  divisor: number | null,
): Readonly<Record<string, number>> {
  const { bottom, right } = countIncludePad ? g : { bottom: 0, right: 0 };
  const padded = Number(countIncludePad);
  return { ...windowSizes(g), bottom, right, padded, divisor: divisor ?? 0 };
}

/** The constants of a pooling: only windows with dilation divide by it. */
export function poolConstants({ dilationH, dilationW }: WindowGeometry): Constants {
  return { DILATED: dilationH > 1 || dilationW > 1 };
}

/**
 * `firstTap()` and `endTap()` are the range of taps inside, for a window that begins at `start`,
 * which may be far larger than the input. Vectors are x, y.
 */
export const taps = /* wgsl */ `
fn divided(v: vec2i) -> vec2i {
  if (!DILATED) { return v; }
  return v / vec2i(vec2u(uniforms.dilationW, uniforms.dilationH));
}

fn firstTap(start: vec2i) -> vec2i {
  let dilation = vec2i(vec2u(uniforms.dilationW, uniforms.dilationH));
  return select(divided(dilation - 1 - start), vec2i(), start >= vec2i());
}

fn endTap(start: vec2i, size: vec2u) -> vec2i {
  let dilation = vec2i(vec2u(uniforms.dilationW, uniforms.dilationH));
  let taps = vec2i(vec2u(uniforms.kw, uniforms.kh));
  return clamp(divided(vec2i(size) - start + dilation - 1), vec2i(), taps);
}
`;

/** `area()` for the shaders of average pooling. */
export const area = /* wgsl */ `${taps}
// The divisor of the window that begins at start: what is given, or its area inside the input; if
// padded, inside input and padding
fn area(start: vec2i) -> f32 {
  if (uniforms.divisor > 0) { return f32(uniforms.divisor); }
  let size = vec2u(uniforms.w + uniforms.right, uniforms.h + uniforms.bottom);
  let first = select(firstTap(start), vec2i(), uniforms.padded != 0);
  let taps = vec2f(endTap(start, size) - first);
  return taps.x * taps.y;
}
`;

/** A row so far outside that no tap of its window lies inside. */
export const outside = /* wgsl */ `
const OUTSIDE = -(1 << 30);
`;
