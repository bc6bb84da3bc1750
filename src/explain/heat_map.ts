/**
 * Heat maps: how much each place counts.
 *
 * @module
 */

/**
 * A grid of values from 0 to 1.
 */
export interface HeatMap {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width × height` values from 0 to 1, row by row from the top left. */
  readonly heat: Float32Array;
}

/** Returns the least and the largest of some values. */
export function rangeOf(values: Float32Array): [least: number, largest: number] {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

/** Divides values by `largest`, and limits them to 0 … 1. All become 0 if none is positive. */
export function normalised(values: Float32Array, largest: number): Float32Array {
  if (!(largest > 0)) return new Float32Array(values.length);
  return values.map((value) => Math.min(Math.max(value / largest, 0), 1));
}
