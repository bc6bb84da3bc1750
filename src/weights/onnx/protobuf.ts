/**
 * Reads protocol buffers of any size, front to back and through a small window. Long fields are
 * skipped, and only their positions are kept.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type ByteRange, type ByteSource, readBytes } from "../io/source.ts";

/** A field of a message, and the range of its value. */
export interface Field extends ByteRange {
  readonly number: number;
  readonly kind: "varint" | "fixed32" | "fixed64" | "bytes";
  /** The unsigned value of a varint. */
  readonly value: bigint;
}

/** The wire types. 3 and 4 are groups, which are deprecated. */
const kinds = ["varint", "fixed64", "bytes", undefined, undefined, "fixed32"] as const;

/** Large enough for a whole node, so that most fields need no read of their own. */
const windowBytes = 4096;

/** The largest networks have about ten thousand nodes with about ten fields each. */
const maxFields = 1 << 18;

/** The limit of names and number lists in memory, in bytes of the file. */
const maxDescriptionBytes = 1 << 22;

/** Reads the messages of one file. */
export class ProtoReader {
  #window = new Uint8Array(0);
  #start = 0;
  #fields = 0;
  #descriptionBytes = 0;

  constructor(readonly source: ByteSource) {}

  /** The fields of a message, in file order. */
  async *fields({ start, length }: ByteRange): AsyncGenerator<Field> {
    const end = start + length;
    for (let at = start; at < end;) {
      if (++this.#fields > maxFields) throw this.bad(`has more than ${maxFields} fields`);
      const key = await this.#varint(at, end);
      const number = Number(key.value >> 3n), kind = kinds[Number(key.value & 7n)];
      if (!kind || number < 1) throw this.bad("has a field of an unknown type: damaged");
      let range: ByteRange = { start: key.end, length: kind === "fixed32" ? 4 : 8 }, value = 0n;
      if (kind === "varint") {
        const varint = await this.#varint(key.end, end);
        range = { start: key.end, length: varint.end - key.end };
        value = varint.value;
      } else if (kind === "bytes") {
        const size = await this.#varint(key.end, end);
        range = { start: size.end, length: Number(size.value) };
      }
      at = range.start + range.length;
      if (at > this.source.size) throw this.bad("ends inside a field: truncated or damaged");
      if (at > end) throw this.bad("has a field that is longer than its message: damaged");
      yield { number, kind, value, ...range };
    }
  }

  /** Reads a string. */
  async text(field: Field): Promise<string> {
    const bytes = await this.bytes(this.#expect(field, "bytes"));
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new FileError(this.source.name, "has a name that is not UTF-8: damaged", { cause });
    }
  }

  /** Reads the signed integers of a repeated field: a single one, or a packed list. */
  async integers(field: Field): Promise<number[]> {
    if (field.kind === "varint") return [toSigned(field.value)];
    const bytes = await this.bytes(this.#expect(field, "bytes"));
    const values: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const { value, end } = this.#decode(bytes, at);
      values.push(toSigned(value));
      at = end;
    }
    return values;
  }

  /** Reads a signed integer. */
  integer(field: Field): number {
    return toSigned(this.#expect(field, "varint").value);
  }

  /** Reads the float32 values of a repeated field: a single one, or a packed list. */
  async floats(field: Field): Promise<number[]> {
    if (field.kind !== "fixed32") this.#expect(field, "bytes");
    const bytes = await this.bytes(field);
    if (bytes.length % 4 !== 0) throw this.bad("has an incomplete number: damaged");
    return [...new Float32Array(bytes.buffer)];
  }

  /** The range of a message, a list or bytes. */
  range(field: Field): ByteRange {
    const { start, length } = this.#expect(field, "bytes");
    return { start, length };
  }

  /** Reads the bytes of a description; not for the elements of tensors. */
  async bytes({ start, length }: ByteRange): Promise<Uint8Array<ArrayBuffer>> {
    this.#descriptionBytes += length;
    if (this.#descriptionBytes > maxDescriptionBytes) {
      throw this.bad(`has more than ${maxDescriptionBytes} bytes of names and numbers`);
    }
    const ahead = await this.#readAhead(start, Math.min(length, windowBytes));
    if (ahead.length >= length) return ahead.slice(0, length);
    return await readBytes(this.source, start, length);
  }

  /** Creates an error for the file. */
  bad(reason: string): FileError {
    return new FileError(this.source.name, reason);
  }

  #expect(field: Field, kind: Field["kind"]): Field {
    if (field.kind === kind) return field;
    throw this.bad(`has a ${field.kind} field where a ${kind} field is expected: damaged`);
  }

  async #varint(start: number, end: number): Promise<{ value: bigint; end: number }> {
    const window = await this.#readAhead(start, Math.min(10, end - start));
    const { value, end: length } = this.#decode(window.subarray(0, end - start), 0);
    return { value, end: start + length };
  }

  /** Decodes a varint: seven bits per byte, lowest first; the top bit says that more follow. */
  #decode(bytes: Uint8Array, at: number): { value: bigint; end: number } {
    let value = 0n;
    for (let shift = 0n; at < bytes.length && shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return { value, end: at };
    }
    throw this.bad("has an unterminated number: truncated or damaged");
  }

  /** Reads at least `length` bytes at `start`, unless the file ends before. */
  async #readAhead(start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const offset = start - this.#start;
    if (offset < 0 || offset + length > this.#window.length) {
      const size = Math.max(0, Math.min(windowBytes, this.source.size - start));
      this.#window = await readBytes(this.source, start, size);
      this.#start = start;
      return this.#window;
    }
    return this.#window.subarray(offset);
  }
}

function toSigned(value: bigint): number {
  return Number(BigInt.asIntN(64, value));
}
