/**
 * Heat maps as pictures.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkPixels, type RgbImage } from "../image/pixels.ts";
import type { Region } from "../image/preprocess.ts";
import { kindOf } from "../kinds.ts";
import { checkFraction } from "../ops/checks.ts";
import { checkOptions } from "../options.ts";
import type { HeatMap } from "./heat_map.ts";

/** How much of the colour of a heat map covers the image. */
const defaultAlpha = 0.6;

/**
 * Draws a heat map over its image, in the size of the image. Hot places are yellow, cold ones dark. The
 * rest of the image, which the network did not see, stays as it is.
 *
 * @param image The image. It is not changed.
 * @param map The result of {@linkcode explain} for the image.
 * @param options `alpha` is the share of the colours, from 0 to 1. Default: 0.6.
 * @returns A new image.
 * @throws {ArgumentError} When the image or the map is invalid, alpha is not between 0 and 1, or an
 * option is unknown.
 *
 * @example
 * ```ts
 * import { drawHeatMap } from "./draw.ts";
 *
 * const image = { width: 4, height: 2, data: new Uint8Array(4 * 2 * 3).fill(100) };
 * const region = { left: 1, top: 0, width: 2, height: 2 };
 * const map = { width: 1, height: 1, heat: Float32Array.of(1), region };
 * console.log(drawHeatMap(image, map, { alpha: 1 }).data.slice(0, 6)); // 100, 100, 100, 250, 255, 168
 * ```
 */
export function drawHeatMap(
  image: RgbImage,
  map: HeatMap & { readonly region: Region },
  options: { readonly alpha?: number } = {},
): RgbImage {
  checkPixels("drawHeatMap", image, 3);
  checkOptions("drawHeatMap", options, ["alpha"]);
  const { alpha = defaultAlpha } = options;
  checkFraction("drawHeatMap", "alpha", alpha);
  if (!isMap(map)) {
    throw new ArgumentError("drawHeatMap", "map", map, "a result of explain()");
  }
  const { width, height, heat, region } = map, data = Uint8Array.from(image.data);
  const colors = colorTable();
  const rows = samplePoints(image.height, region.top, region.height, height);
  const columns = samplePoints(image.width, region.left, region.width, width);
  for (const row of rows) {
    const above = heat.subarray(row.first * width, (row.first + 1) * width);
    const below = heat.subarray(row.next * width, (row.next + 1) * width);
    for (const column of columns) {
      const value = between(valueAt(above, column), valueAt(below, column), row.share);
      const color = Math.round(255 * value) * 3;
      const pixel = (row.at * image.width + column.at) * 3;
      for (let c = 0; c < 3; c++) {
        data[pixel + c] = Math.round(between(data[pixel + c], colors[color + c], alpha));
      }
    }
  }
  return { width: image.width, height: image.height, data };
}

/** Whether a value is a map with its region. */
function isMap(map: Partial<Parameters<typeof drawHeatMap>[1]> | null): boolean {
  const { width = 0, height = 0, heat, region } = map ?? {};
  return kindOf(heat) === "Float32Array" && heat!.length > 0 && heat!.length === width * height &&
    heat!.every((value) => value >= 0 && value <= 1) &&
    [region?.left, region?.top, region?.width, region?.height].every(Number.isFinite);
}

/** Draws values from 0 to 1 as colours, one pixel each. */
export function colorMap({ width, height, heat }: HeatMap): RgbImage {
  const data = new Uint8Array(width * height * 3), colors = colorTable();
  for (const [i, value] of heat.entries()) {
    const color = Math.round(255 * value) * 3;
    data.set(colors.subarray(color, color + 3), i * 3);
  }
  return { width, height, data };
}

/** Where a pixel's value lies between two cells of a map. */
interface SamplePoint {
  /** The row or column of the image. */
  readonly at: number;
  /** The cell before it. */
  readonly first: number;
  /** The cell behind it; the same one at the edge of the map. */
  readonly next: number;
  /** The share of the cell behind it. */
  readonly share: number;
}

/** The value of one row of a map at a point. */
function valueAt(row: Float32Array, { first, next, share }: SamplePoint): number {
  return between(row[first], row[next], share);
}

/** The number that lies between two others by a share of their difference. */
function between(from: number, to: number, share: number): number {
  return from + (to - from) * share;
}

/** The points on one axis whose centres lie in the region. Cells end at the region's edges. */
function samplePoints(length: number, start: number, size: number, cells: number): SamplePoint[] {
  const from = Math.max(Math.ceil(start - 0.5), 0);
  const to = Math.min(Math.ceil(start + size - 0.5), length);
  return Array.from({ length: Math.max(to - from, 0) }, (_, i) => {
    const at = from + i;
    const cell = Math.min(Math.max((at + 0.5 - start) / size * cells - 0.5, 0), cells - 1);
    const first = Math.floor(cell), share = cell - first;
    return { at, first, next: share > 0 ? first + 1 : first, share };
  });
}

/**
 * The coefficients of polynomials that are close to matplotlib's "inferno": from black over purple and
 * orange to a light yellow, ever brighter to the eye. Red, green and blue; from the highest power down.
 *
 * Source: Matt Zucker, https://www.shadertoy.com/view/WlfXRN (CC0).
 */
const inferno = [
  [25.1311262, -71.3194282, 77.1629357, -41.703996, 11.602493, 0.10651342, 0.00021894],
  [-12.242669, 32.626064, -33.402359, 17.436399, -3.972854, 0.56395644, 0.00165100],
  [-23.070325, 73.20952, -81.807309, 44.354145, -15.942394, 3.9327124, -0.0194809],
];

let table: Uint8ClampedArray | undefined;

/** The red, green and blue of 256 values from 0 to 1, as bytes. Made on first use. */
function colorTable(): Uint8ClampedArray {
  return table ??= new Uint8ClampedArray(256 * 3).map((_, i) => {
    const value = Math.floor(i / 3) / 255;
    return 255 * inferno[i % 3].reduce((sum, coefficient) => sum * value + coefficient, 0);
  });
}
