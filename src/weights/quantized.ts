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

/** The largest stored integer. −128 is not used. */
export const maxStored = 127;

/** The least integer that the largest weight in a row of a convolution may become. */
const leastTop = 112;

/** How finely {@linkcode balanceErrors} tells rounding errors from 0 to 0.5 apart. */
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
 * Quantises whole rows of a weight. In a linear layer, the value of largest magnitude in each row
 * becomes ±127. In a convolution it becomes ±112 to ±127, whichever has the least squared error. A
 * convolution's values are rounded just as its 8-bit kernel rounds them, to even and by scales of
 * 16 significant bits, so the kernel gets the same integers and scales from the stored ones.
 *
 * @param name The tensor's name in error messages.
 * @param values The values of the rows.
 * @param shape Their shape: of a convolution if it has more than two axes.
 * @throws {ArgumentError} When a value is not finite.
 */
export function quantize(
  name: string,
  values: Float32Array,
  shape: Shape,
): { stored: Int8Array<ArrayBuffer>; scale: Float32Array<ArrayBuffer> } {
  const [rows] = shape, length = values.length / rows;
  const isConv = shape.length > 2, taps = isConv ? elements(shape.slice(2)) : 1;
  const stored = new Int8Array(values.length), scale = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const from = row * length, to = from + length;
    const top = largestMagnitude(name, values, from, to);
    scale[row] = isConv ? convScale(values.subarray(from, to), top) : top / maxStored;
    if (scale[row] === 0) continue; // all values are zero, or the scale underflows float32
    for (let i = from; i < to; i++) {
      const quotient = values[i] / scale[row];
      const nearest = isConv ? nearestEven(quotient) : Math.round(quotient);
      // A scale far below 2⁻¹²⁶ may be rounded down enough to give more than 127.
      stored[i] = Math.min(Math.max(nearest, -maxStored), maxStored);
    }
    if (!isConv) continue;
    const group = taps > 1 ? taps : length;
    for (let at = from; at < to; at += group) {
      balanceErrors(stored.subarray(at, at + group), values.subarray(at, at + group), scale[row]);
    }
  }
  return { stored, scale };
}

function largestMagnitude(name: string, values: Float32Array, from: number, to: number): number {
  let largest = 0;
  for (let i = from; i < to; i++) {
    if (!Number.isFinite(values[i])) {
      throw new ArgumentError("quantize", `element ${i} of ${name}`, values[i], "finite");
    }
    largest = Math.max(largest, Math.abs(values[i]));
  }
  return largest;
}

/** The scale of a convolution's row, to the bit as the kernel computes it (`weightStep`). */
function convScale(row: Float32Array, top: number): number {
  let best = 0, least = Infinity;
  for (let integer = maxStored; integer >= leastTop; integer--) {
    const scale = round16(top / integer), sums = new Float32Array(4);
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
 * Rounds some weights the other way, so that their errors add up to 0, as the kernel does. It is
 * called with the weights of one input channel, whose pixels are similar, or for a kernel of one
 * pixel with those of all channels, because inputs are often positive. Weights closest to the
 * middle of two integers change first. They are found in buckets, which takes less time than
 * sorting.
 */
function balanceErrors(stored: Int8Array, values: Float32Array, scale: number): void {
  const errorOf = (i: number) => Math.fround(Math.fround(values[i] / scale) - stored[i]);
  let sum = 0;
  for (let i = 0; i < stored.length; i++) sum += errorOf(i);
  if (Math.abs(sum) < 0.5) return;
  const way = Math.sign(sum), counts = new Int32Array(buckets);
  const bucketOf = (i: number) => {
    const off = errorOf(i) * way, isPossible = off > 0 && Math.abs(stored[i] + way) <= maxStored;
    return isPossible ? Math.min(buckets - 1, Math.floor(off * 2 * buckets)) : -1;
  };
  for (let i = 0; i < stored.length; i++) {
    const bucket = bucketOf(i);
    if (bucket >= 0) counts[bucket]++;
  }
  // Take the highest buckets, and of the last one only as many weights as are missing.
  let missing = nearestEven(Math.abs(sum)), last = buckets, inLast = 0; // rounded as in the kernel
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

/** Rounds a quotient in float32 to the nearest integer, ties to even, by adding 1.5 · 2²³. */
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
