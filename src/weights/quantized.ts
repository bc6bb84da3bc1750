/**
 * Weights in eight bits: whole numbers from −127 to 127, and a factor for each row.
 *
 * In safetensors a tensor `name` of kind I8 and shape [n, …] stands for real numbers when a tensor
 * `name_scale` of n floats is there too: value = stored × scale[row], the row being the outermost
 * index (the output channel of a convolution, the output feature of a linear layer).
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { isFloat } from "./dtype.ts";
import type { StoredTensor } from "./layout.ts";
import { shown, shownShape } from "./io/quote.ts";

/** The largest number a quantised weight is stored as; −128 is not used. */
const LARGEST = 127;

/** What the factors of a tensor are called. */
export function scaleName(name: string): string {
  return `${name}_scale`;
}

/**
 * Joins every I8 tensor to its factors, which are then no tensors by themselves.
 *
 * @throws {FileError} When factors are there, and are not one float for each row.
 */
export function pairScales(
  tensors: ReadonlyMap<string, StoredTensor>,
  file: string,
): Map<string, StoredTensor> {
  const joined = new Map(tensors);
  for (const [key, tensor] of tensors) {
    const scale = tensor.dtype === "I8" ? tensors.get(scaleName(key)) : undefined;
    if (!scale) continue;
    const { shape } = tensor;
    if (shape.length === 0 || scale.count !== shape[0] || !isFloat(scale.dtype)) {
      throw new FileError(
        file,
        `${shown(scale.name)} is ${scale.dtype} ${shownShape(scale.shape)}, ` +
          `${shown(key)} ${shownShape(shape)} takes a float for each row`,
      );
    }
    joined.delete(scaleName(key));
    joined.set(key, { ...tensor, scale });
  }
  return joined;
}

/**
 * The nearest quantised weights: the largest of each row becomes ±127.
 *
 * @param name What an error calls them.
 * @param values In rows of equal length.
 * @throws {ArgumentError} When a value is not finite.
 */
export function quantize(
  name: string,
  values: Float32Array,
  rows: number,
): { stored: Int8Array<ArrayBuffer>; scale: Float32Array<ArrayBuffer> } {
  const stored = new Int8Array(values.length), scale = new Float32Array(rows);
  const length = values.length / rows;
  for (let row = 0; row < rows; row++) {
    const from = row * length, to = from + length;
    let largest = 0;
    for (let i = from; i < to; i++) {
      if (!Number.isFinite(values[i])) {
        throw new ArgumentError("quantize", `element ${i} of ${name}`, values[i], "finite");
      }
      largest = Math.max(largest, Math.abs(values[i]));
    }
    scale[row] = largest / LARGEST;
    if (scale[row] === 0) continue; // zeros, or too small for float32
    for (let i = from; i < to; i++) {
      const nearest = Math.round(values[i] / scale[row]);
      // a scale that was rounded down far below 2⁻¹²⁶ would give more
      stored[i] = Math.min(Math.max(nearest, -LARGEST), LARGEST);
    }
  }
  return { stored, scale };
}

/**
 * Real numbers again: `count` of a tensor's elements, from element `offset` on.
 *
 * @param raw As stored, from that element on.
 * @param rowLength Elements of a row.
 * @param out Is written to from its beginning on.
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
    const end = Math.min(count, (row + 1) * rowLength - offset), factor = scale[row];
    for (; i < end; i++) out[i] = stored[i] * factor;
  }
  return out.subarray(0, count);
}
