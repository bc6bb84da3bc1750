/**
 * Which positions of an axis each position of a resampled axis reads.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";

/** The largest size of a resampled axis: its table takes up to 20 bytes for each position. */
const maxResampled = 2 ** 22;

/**
 * The positions of the input that each position of the output reads, and their weights.
 *
 * @internal
 */
export interface Taps {
  /** The size of the input. */
  readonly size: number;
  /** The number of the first tap of each output position, and that behind the last tap. */
  readonly starts: Int32Array;
  /** The position in the input that each tap reads. */
  readonly positions: Int32Array;
  /** The weight of each tap. */
  readonly weights: Float32Array;
}

/** Checks the size of an axis that is resampled, or the result. */
export function checkResampled(op: string, parameter: string, size: number): number {
  if (Number.isInteger(size) && size >= 1 && size <= maxResampled) return size;
  throw new ArgumentError(op, parameter, size, `from 1 to ${maxResampled}`);
}

/**
 * The taps that a function adds.
 *
 * @param size The size of the input.
 * @param out The size of the output.
 * @param most The most taps of a position.
 * @param fill Adds the taps of a position in the output.
 */
export function tapsOf(
  size: number,
  out: number,
  most: number,
  fill: (i: number, add: (position: number, weight: number) => void) => void,
): Taps {
  const starts = new Int32Array(out + 1);
  const positions = new Int32Array(most * out), weights = new Float32Array(most * out);
  let count = 0;
  const add = (position: number, weight: number) => {
    positions[count] = position;
    weights[count++] = weight;
  };
  for (let i = 0; i < out; i++) {
    fill(i, add);
    starts[i + 1] = count;
  }
  const used = { positions: positions.subarray(0, count), weights: weights.subarray(0, count) };
  return { size, starts, ...used };
}

/**
 * The taps for positions between those of the input.
 *
 * @param size The size of the input.
 * @param out The size of the output.
 * @param sourceOf The position in the input for one in the output, from 0 to size − 1. Between two
 * integers, both are read. (A weight of 0 would turn infinity into NaN.)
 */
export function tapsAt(size: number, out: number, sourceOf: (position: number) => number): Taps {
  return tapsOf(size, out, 2, (i, add) => {
    const source = sourceOf(i), low = Math.floor(source), share = Math.fround(source - low);
    add(low, 1 - share);
    if (share > 0) add(low + 1, share);
  });
}

/** The taps of the gradient: those of each input position are the outputs that read it. */
export function transposedTaps({ size, starts, positions, weights }: Taps): Taps {
  const out = starts.length - 1, count = positions.length;
  const t = {
    size: out,
    starts: new Int32Array(size + 1),
    positions: new Int32Array(count),
    weights: new Float32Array(count),
  };
  for (const position of positions) t.starts[position + 1]++;
  for (let i = 0; i < size; i++) t.starts[i + 1] += t.starts[i];
  const next = t.starts.slice(0, size); // the number of the next tap of each input position
  for (let i = 0; i < out; i++) {
    for (let tap = starts[i]; tap < starts[i + 1]; tap++) {
      const at = next[positions[tap]]++;
      t.positions[at] = i;
      t.weights[at] = weights[tap];
    }
  }
  return t;
}

/** The table for a kernel, as assembly/resample.ts describes it. */
export function tableOf({ starts, positions, weights }: Taps): Int32Array {
  const first = starts.length, table = new Int32Array(first + 2 * positions.length);
  const floats = new Float32Array(table.buffer);
  for (let i = 0; i < first; i++) table[i] = first + 2 * starts[i];
  for (let tap = 0; tap < positions.length; tap++) {
    table[first + 2 * tap] = positions[tap];
    floats[first + 2 * tap + 1] = weights[tap];
  }
  return table;
}
