/**
 * 8-bit quantised weights: integers from −127 to 127, and one scale per row.
 *
 * In safetensors, an I8 tensor `name` of shape [n, …] is quantised if there is also a tensor
 * `name_scale` of n floats: value = stored × scale[row]. The row is the outermost index, which is
 * the output channel of a convolution or the output feature of a linear layer.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { isFloat } from "./dtype.ts";
import { elements, type Shape } from "../tensor.ts";
import type { StoredTensor } from "./layout.ts";
import { escapeText, formatShape } from "./io/quote.ts";

/** The largest stored integer; −128 is not used. */
export const MAX_STORED = 127;

/** The least integer that the largest weight of a convolution's row can become. */
const LEAST_TOP = 112;

/** Buckets of rounding errors of the same sign. */
const buckets = 64;

/** The name of the tensor with a quantised tensor's scales. */
export function scaleName(name: string): string {
  return `${name}_scale`;
}

/**
 * Attaches the scales to every quantised tensor, and removes them from the list of tensors.
 *
 * @throws {FileError} When the scales are not one float per row.
 */
export function pairScales(
  tensors: ReadonlyMap<string, StoredTensor>,
  file: string,
): Map<string, StoredTensor> {
  const paired = new Map(tensors);
  for (const [key, tensor] of tensors) {
    const scale = tensor.dtype === "I8" ? tensors.get(scaleName(key)) : undefined;
    if (!scale) continue;
    const { shape } = tensor;
    if (shape.length === 0 || scale.count !== shape[0] || !isFloat(scale.dtype)) {
      throw new FileError(
        file,
        `${escapeText(scale.name)} is ${scale.dtype} ${formatShape(scale.shape)}, ` +
          `but ${escapeText(key)} ${formatShape(shape)} needs one float per row`,
      );
    }
    paired.delete(scaleName(key));
    paired.set(key, { ...tensor, scale });
  }
  return paired;
}

/**
 * Quantises weights, so that the value of largest magnitude in each row becomes ±127; in
 * convolutions, that of 112 to 127 which has the least squared error.
 *
 * @param name The tensor's name in error messages.
 * @param values The values of whole rows.
 * @param shape Their shape. With more than two axes they belong to a convolution, whose kernel rounds to
 * even, by scales of 16 significant bits: then rounding the stored values again gives the same integers
 * and scales.
 * @throws {ArgumentError} When a value is not finite.
 */
export function quantize(
  name: string,
  values: Float32Array,
  shape: Shape,
): { stored: Int8Array<ArrayBuffer>; scale: Float32Array<ArrayBuffer> } {
  const [rows] = shape, isConv = shape.length > 2, taps = isConv ? elements(shape.slice(2)) : 1;
  const stored = new Int8Array(values.length), scale = new Float32Array(rows);
  const length = values.length / rows, group = taps > 1 ? taps : length;
  for (let row = 0; row < rows; row++) {
    const from = row * length, to = from + length;
    let maxMagnitude = 0;
    for (let i = from; i < to; i++) {
      if (!Number.isFinite(values[i])) {
        throw new ArgumentError("quantize", `element ${i} of ${name}`, values[i], "finite");
      }
      maxMagnitude = Math.max(maxMagnitude, Math.abs(values[i]));
    }
    scale[row] = isConv
      ? convScale(values.subarray(from, to), maxMagnitude)
      : maxMagnitude / MAX_STORED;
    if (scale[row] === 0) continue; // all values are zero, or the scale underflows float32
    for (let i = from; i < to; i++) {
      const nearest = isConv
        ? nearestEven(values[i] / scale[row])
        : Math.round(values[i] / scale[row]);
      // A scale far below 2⁻¹²⁶ may be rounded down enough to give more than 127.
      stored[i] = Math.min(Math.max(nearest, -MAX_STORED), MAX_STORED);
    }
    for (let at = from; isConv && at < to; at += group) {
      correct(stored.subarray(at, at + group), values.subarray(at, at + group), scale[row]);
    }
  }
  return { stored, scale };
}

/** The scale of a row of a convolution, as `weightStep` of the kernel chooses it. */
function convScale(row: Float32Array, maxMagnitude: number): number {
  let best = 0, least = Infinity;
  for (let integer = MAX_STORED; integer >= LEAST_TOP; integer--) {
    const scale = round16(maxMagnitude / integer), sums = new Float32Array(4);
    for (let i = 0; i < row.length; i++) {
      const quotient = Math.fround(row[i] / scale), off = quotient - nearestEven(quotient);
      sums[i % 4] += Math.fround(off * off);
    }
    const error = (sums[0] + sums[2] + (sums[1] + sums[3])) * scale * scale;
    if (error < least) [best, least] = [scale, error];
  }
  return best;
}

/**
 * Rounds some weights the other way, so that their errors add up to 0, as the kernel does: those of an
 * input channel, whose pixels are similar, or of all channels if there is one pixel, because inputs are
 * often positive. Those in the middle of two integers are chosen, by buckets.
 */
function correct(stored: Int8Array, values: Float32Array, scale: number): void {
  const errorOf = (i: number) => Math.fround(Math.fround(values[i] / scale) - stored[i]);
  let sum = 0;
  for (let i = 0; i < stored.length; i++) sum += errorOf(i);
  if (Math.abs(sum) < 0.5) return;
  const way = Math.sign(sum), counts = new Int32Array(buckets);
  const bucketOf = (i: number) => {
    const off = errorOf(i) * way, isPossible = off > 0 && Math.abs(stored[i] + way) <= MAX_STORED;
    return isPossible ? Math.min(buckets - 1, Math.floor(off * 128)) : -1;
  };
  for (let i = 0; i < stored.length; i++) {
    const bucket = bucketOf(i);
    if (bucket >= 0) counts[bucket]++;
  }
  // ties to even, as the kernel rounds
  let missing = nearestEven(Math.abs(sum)), last = buckets, inLast = 0;
  while (missing > 0 && last > 0) {
    inLast = missing;
    missing -= counts[--last];
  }
  for (let i = 0; i < stored.length; i++) {
    const bucket = bucketOf(i);
    if (bucket > last || bucket === last && inLast-- > 0) stored[i] += way;
  }
}

/** Rounds a positive number to a float32 with 16 significant bits. */
function round16(value: number): number {
  const words = new Uint32Array(Float32Array.of(value).buffer);
  words[0] = (words[0] + 0x80) & ~0xff;
  return new Float32Array(words.buffer)[0];
}

/** Rounds a quotient in float32 to the nearest integer, ties to even: a sum with 1.5 · 2²³ does. */
function nearestEven(value: number): number {
  return Math.fround(Math.fround(value) + 12582912) - 12582912;
}

/**
 * Dequantises `count` elements of a tensor, starting at element `offset`.
 *
 * @param raw The stored elements, starting at `offset`.
 * @param rowLength Elements in a row.
 * @param scale The scale of each row of the tensor.
 * @param out Memory for the values.
 */
export function dequantize(
  raw: ArrayBuffer,
  count: number,
  offset: number,
  rowLength: number,
  scale: Float32Array,
  out: Float32Array,
): Float32Array {
  const stored = new Int8Array(raw, 0, count);
  for (let i = 0; i < count;) {
    const row = Math.floor((offset + i) / rowLength);
    const end = Math.min(count, (row + 1) * rowLength - offset), rowScale = scale[row];
    for (; i < end; i++) out[i] = stored[i] * rowScale;
  }
  return out.subarray(0, count);
}
