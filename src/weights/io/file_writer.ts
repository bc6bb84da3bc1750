/**
 * Writes files of tensors in chunks. A format first lays the file out as a list of parts, which
 * fixes all offsets; the elements then follow in any order.
 *
 * @module
 */

import type { ByteSink } from "../../io/byte_sink.ts";
import { crc32 } from "../../io/crc32.ts";
import { ArgumentError, PembrokeError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import { fromFloat32, itemSize } from "../dtype.ts";

/** A tensor to write. */
export interface TensorToWrite {
  /** Its unique name, such as `features.0.weight`. */
  readonly name: string;
  /** The stored type. I8 needs at least one axis, and adds a tensor `name_scale` to the file. */
  readonly dtype: "F32" | "F16" | "BF16" | "I8";
  /** Its shape, outermost axis first. */
  readonly shape: readonly number[];
  /** Its elements in row-major order. */
  readonly data: Float32Array;
}

/** A tensor to write, without its elements. */
export type TensorOutline = Omit<TensorToWrite, "data">;

/** A float type that can be written. */
type FloatKind = Exclude<TensorToWrite["dtype"], "I8">;

/** A tensor of floats to write, without its elements. */
export interface FloatOutline extends TensorOutline {
  readonly dtype: FloatKind;
}

/** Space for the elements of a tensor. */
export interface ElementsPart {
  readonly kind: "elements";
  readonly tensor: string;
  readonly length: number;
}

/** Space for the CRC-32 of a tensor's elements. */
interface ChecksumPart {
  readonly kind: "checksum";
  readonly tensor: string;
  readonly length: 4;
}

/** A part of a file: bytes, or space of a known `length` in bytes. */
export type Part = Uint8Array<ArrayBuffer> | ElementsPart | ChecksumPart;

/** A non-negative integer below 2⁵³ as `width` little-endian bytes. */
export function littleEndian(value: number, width: 2 | 4 | 8): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes.subarray(0, width);
}

/** The length of all parts in bytes. */
export function totalLength(parts: readonly Part[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** Space for the elements of a tensor. */
export function elementsPart({ name, dtype, shape }: TensorOutline): ElementsPart {
  return { kind: "elements", tensor: name, length: elements(shape) * itemSize(dtype) };
}

/**
 * Checks that no two tensors share a name, and none has the `reserved` one.
 *
 * @throws {ArgumentError} When a name is wrong.
 */
export function checkNames(op: string, tensors: readonly TensorOutline[], reserved?: string): void {
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (name === reserved) throw new ArgumentError(op, "name", name, "a name that is not reserved");
    if (names.has(name)) throw new ArgumentError(op, "name", name, "unique");
    names.add(name);
  }
}

/** The types that can be written. */
const writable: readonly unknown[] = [
  "F32",
  "F16",
  "BF16",
  "I8",
] satisfies TensorToWrite["dtype"][];

/**
 * Checks that every tensor has a type that can be written, and as many elements as its shape.
 *
 * @throws {ArgumentError} When one does not.
 */
export function checkData(op: string, tensors: readonly TensorToWrite[]): void {
  const unknown = tensors.find(({ dtype }) => !writable.includes(dtype));
  if (unknown) {
    const { name, dtype } = unknown;
    throw new ArgumentError(op, `dtype of ${name}`, dtype, '"F32", "F16", "BF16" or "I8"');
  }
  const bad = tensors.find(({ shape, data }) => elements(shape) !== data.length);
  if (!bad) return;
  const { name, shape, data } = bad;
  throw new ArgumentError(op, `shape of ${name}`, shape, `a shape of ${data.length} elements`);
}

/**
 * Returns the tensors as tensors of floats.
 *
 * @throws {ArgumentError} When one is I8.
 */
export function requireFloats<T extends TensorOutline>(op: string, tensors: readonly T[]) {
  return tensors.map((tensor): T & FloatOutline => {
    if (isFloatOutline(tensor)) return tensor;
    throw new ArgumentError(op, `dtype of ${tensor.name}`, tensor.dtype, '"F32", "F16" or "BF16"');
  });
}

function isFloatOutline<T extends TensorOutline>(tensor: T): tensor is T & FloatOutline {
  return tensor.dtype !== "I8";
}

/** Writes the parts of a file. */
export class FileWriter {
  /** The size of the whole file in bytes. */
  readonly size: number;
  readonly #sink: ByteSink;
  /** The offset of each tensor's next element. */
  readonly #offsets = new Map<string, number>();
  /** The current checksum of each tensor that has one in the file. */
  readonly #checksums = new Map<string, number>();
  /** The offsets of the checksums. */
  readonly #checksumParts: { readonly tensor: string; readonly offset: number }[] = [];
  /** Memory for rounded elements. */
  #rounded = new Uint8Array(0);

  /** Writes the parts that are bytes. */
  constructor(parts: readonly Part[], sink: ByteSink) {
    this.#sink = sink;
    let offset = 0;
    for (const part of parts) {
      if (part instanceof Uint8Array) sink.write(offset, part);
      else if (part.kind === "elements") this.#offsets.set(part.tensor, offset);
      else {
        this.#checksums.set(part.tensor, 0); // the checksum of no bytes
        this.#checksumParts.push({ tensor: part.tensor, offset });
      }
      offset += part.length;
    }
    this.size = offset;
  }

  /** Appends elements to a tensor, as the bytes to store. */
  append(tensor: string, bytes: Uint8Array): void {
    const offset = this.#offsets.get(tensor)!;
    this.#sink.write(offset, bytes);
    this.#offsets.set(tensor, offset + bytes.length);
    const checksum = this.#checksums.get(tensor);
    if (checksum !== undefined) this.#checksums.set(tensor, crc32(bytes, checksum));
  }

  /**
   * Appends elements to a tensor, rounded to nearest even.
   *
   * @throws {PembrokeError} When a finite value is too large for the type.
   */
  appendFloats(tensor: string, dtype: FloatKind, values: Float32Array): void {
    const { buffer, byteOffset, byteLength } = values;
    if (dtype === "F32") return this.append(tensor, new Uint8Array(buffer, byteOffset, byteLength));
    const length = values.length * itemSize(dtype);
    if (this.#rounded.length < length) this.#rounded = new Uint8Array(length);
    const tooLarge = fromFloat32(dtype, values, new DataView(this.#rounded.buffer));
    if (tooLarge !== undefined) {
      throw new PembrokeError(`${tensor}: ${tooLarge} is too large for ${dtype}; store it as F32`);
    }
    this.append(tensor, this.#rounded.subarray(0, length));
  }

  /** Writes the checksums, once all elements are written. */
  finish(): void {
    for (const { tensor, offset } of this.#checksumParts) {
      this.#sink.write(offset, littleEndian(this.#checksums.get(tensor)!, 4));
    }
  }
}

/** Writes the parts of a file to memory; `fill` appends all elements. */
export function writeToMemory(
  parts: readonly Part[],
  fill: (writer: FileWriter) => void,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(totalLength(parts));
  const writer = new FileWriter(parts, { write: (offset, chunk) => bytes.set(chunk, offset) });
  fill(writer);
  writer.finish();
  return bytes;
}
