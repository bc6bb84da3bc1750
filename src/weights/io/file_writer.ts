/**
 * Writing a file of tensors, whatever its format: a format lays it out as parts, from which all places
 * follow; elements then go where they belong, a piece at a time.
 *
 * @module
 */

import type { ByteSink } from "../../io/byte_sink.ts";
import { crc32 } from "../../io/crc32.ts";
import { ArgumentError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import { fromFloat32, itemSize } from "../dtype.ts";

/** A tensor to write. */
export interface TensorToWrite {
  /** Its name, as `features.0.weight`; no two may share one. */
  readonly name: string;
  /** What to store it as; I8 takes one more tensor, `name_scale`, and at least one axis. */
  readonly dtype: "F32" | "F16" | "BF16" | "I8";
  /** Its sizes, outermost first. */
  readonly shape: readonly number[];
  /** Its elements in row-major order. */
  readonly data: Float32Array;
}

/** A tensor whose elements come later. */
export type TensorOutline = Omit<TensorToWrite, "data">;

/** A kind of float that is written. */
export type FloatKind = Exclude<TensorToWrite["dtype"], "I8">;

/** A tensor of floats, which come later. */
export interface FloatOutline extends TensorOutline {
  readonly dtype: FloatKind;
}

/** The place of a tensor's elements. */
export interface Elements {
  readonly kind: "elements";
  readonly tensor: string;
  readonly length: number;
}

/** The place of the CRC-32 of a tensor's elements. */
export interface Checksum {
  readonly kind: "checksum";
  readonly tensor: string;
  readonly length: 4;
}

/** A part of a file that is laid out; lengths are in bytes. */
export type Part = Uint8Array<ArrayBuffer> | Elements | Checksum;

/** A whole number below 2⁵³ in so many bytes. */
export function littleEndian(value: number, width: 2 | 4 | 8): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes.subarray(0, width);
}

/** Bytes of some parts together. */
export function lengthOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** The place of a tensor's elements. */
export function elementsOf({ name, dtype, shape }: TensorOutline): Elements {
  return { kind: "elements", tensor: name, length: elements(shape) * itemSize(dtype) };
}

/** Throws an {@linkcode ArgumentError} if a name comes twice, or is the one that is `taken`. */
export function checkNames(op: string, tensors: readonly TensorOutline[], taken?: string): void {
  const names = new Set([taken]);
  for (const { name } of tensors) {
    if (names.has(name)) throw new ArgumentError(op, "name", name, "a name no other tensor has");
    names.add(name);
  }
}

/** Throws an {@linkcode ArgumentError} unless every tensor's data fills its shape. */
export function checkData(op: string, tensors: readonly TensorToWrite[]): void {
  const bad = tensors.find(({ shape, data }) => elements(shape) !== data.length);
  if (!bad) return;
  const { name, shape, data } = bad;
  throw new ArgumentError(op, `shape of ${name}`, shape, `that of ${data.length} elements`);
}

/** Tensors that have to be floats; throws an {@linkcode ArgumentError} if one is to be I8. */
export function floatsOnly<T extends TensorOutline>(op: string, tensors: readonly T[]) {
  return tensors.map((tensor): T & FloatOutline => {
    if (hasFloats(tensor)) return tensor;
    throw new ArgumentError(op, `dtype of ${tensor.name}`, tensor.dtype, "a float");
  });
}

function hasFloats<T extends TensorOutline>(tensor: T): tensor is T & FloatOutline {
  return tensor.dtype !== "I8";
}

/** Writes a file that was laid out. */
export class FileWriter {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly #sink: ByteSink;
  /** Where the next element of each tensor goes. */
  readonly #places = new Map<string, number>();
  /** The checksum so far of each tensor whose file has it. */
  readonly #checksums = new Map<string, number>();
  /** Where checksums go. */
  readonly #checks: { readonly tensor: string; readonly at: number }[] = [];
  /** Room for a piece that is rounded. */
  #rounded = new Uint8Array(0);

  /** Writes what is known already. */
  constructor(parts: readonly Part[], sink: ByteSink) {
    this.#sink = sink;
    let at = 0;
    for (const part of parts) {
      if (part instanceof Uint8Array) sink.write(at, part);
      else if (part.kind === "elements") this.#places.set(part.tensor, at);
      else {
        this.#checksums.set(part.tensor, 0); // that of no bytes
        this.#checks.push({ tensor: part.tensor, at });
      }
      at += part.length;
    }
    this.size = at;
  }

  /** Writes the next of a tensor's elements, as they will lie there. */
  append(tensor: string, bytes: Uint8Array): void {
    const at = this.#places.get(tensor)!;
    this.#sink.write(at, bytes);
    this.#places.set(tensor, at + bytes.length);
    const before = this.#checksums.get(tensor);
    if (before !== undefined) this.#checksums.set(tensor, crc32(bytes, before));
  }

  /** Writes the next of a tensor's elements, rounded to nearest even. */
  appendFloats(tensor: string, dtype: FloatKind, values: Float32Array): void {
    const { buffer, byteOffset, byteLength } = values;
    if (dtype === "F32") return this.append(tensor, new Uint8Array(buffer, byteOffset, byteLength));
    const length = values.length * itemSize(dtype);
    if (this.#rounded.length < length) this.#rounded = new Uint8Array(length);
    fromFloat32(dtype, values, new DataView(this.#rounded.buffer));
    this.append(tensor, this.#rounded.subarray(0, length));
  }

  /** Writes what only all elements together tell. */
  finish(): void {
    for (const { tensor, at } of this.#checks) {
      this.#sink.write(at, littleEndian(this.#checksums.get(tensor)!, 4));
    }
  }
}

/** The bytes of a file that was laid out; `fill` writes all of its elements. */
export function inMemory(
  parts: readonly Part[],
  fill: (writer: FileWriter) => void,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(parts));
  const writer = new FileWriter(parts, { write: (offset, piece) => bytes.set(piece, offset) });
  fill(writer);
  writer.finish();
  return bytes;
}
