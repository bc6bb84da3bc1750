/**
 * Protocol buffers, as much as it takes to read a message of any size: fields are walked from front
 * to back, a small window at a time, and what is long is passed over and only its place kept.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { Extent } from "../layout.ts";
import { type ByteSource, readBytes } from "../io/source.ts";

/** A field of a message: its number, and what it holds. */
export interface Field extends Extent {
  readonly number: number;
  readonly kind: "varint" | "fixed32" | "fixed64" | "bytes";
  /** The number itself, of a varint; whoever knows that it is signed says so. */
  readonly value: bigint;
}

/** Kinds by their number on the wire; 3 and 4 are groups, which nobody writes any more. */
const kinds = ["varint", "fixed64", "bytes", undefined, undefined, "fixed32"] as const;

/** Room for the names and numbers of a layer: most fields need no read of their own. */
const windowBytes = 4096;

/** The largest networks have some ten thousand nodes of some ten fields each. */
const maxFields = 1 << 18;

/** Names and lists of numbers that are held in memory, in bytes of the file. */
const maxHeld = 1 << 22;

/** Reads the messages of one file. */
export class ProtoReader {
  #window = new Uint8Array(0);
  #start = 0;
  #fields = 0;
  #held = 0;

  constructor(readonly source: ByteSource) {}

  /** The fields of the message that lies there, in the order of the file. */
  async *fields({ start, length }: Extent): AsyncGenerator<Field> {
    const end = start + length;
    for (let at = start; at < end;) {
      if (++this.#fields > maxFields) throw this.bad(`has more than ${maxFields} fields`);
      const key = await this.#varint(at, end);
      const number = Number(key.value >> 3n), kind = kinds[Number(key.value & 7n)];
      if (!kind || number < 1) throw this.bad("holds a field of no known kind: damaged");
      let place: Extent = { start: key.end, length: kind === "fixed32" ? 4 : 8 }, value = 0n;
      if (kind === "varint") {
        const varint = await this.#varint(key.end, end);
        place = { start: key.end, length: varint.end - key.end };
        value = varint.value;
      } else if (kind === "bytes") {
        const size = await this.#varint(key.end, end);
        place = { start: size.end, length: Number(size.value) };
      }
      at = place.start + place.length;
      if (at > this.source.size) throw this.bad("ends inside of a field: truncated or damaged");
      if (at > end) throw this.bad("has a field that is longer than what it is part of: damaged");
      yield { number, kind, value, ...place };
    }
  }

  /** The text in a field. */
  async text(field: Field): Promise<string> {
    const bytes = await this.bytes(this.#expect(field, "bytes"));
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new FileError(this.source.name, "has a name that is not UTF-8: damaged", { cause });
    }
  }

  /** The signed integers of a field that may be repeated: one, or a list in one piece. */
  async integers(field: Field): Promise<number[]> {
    if (field.kind === "varint") return [signed(field.value)];
    const bytes = await this.bytes(this.#expect(field, "bytes"));
    const values: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const { value, end } = this.#decode(bytes, at);
      values.push(signed(value));
      at = end;
    }
    return values;
  }

  /** The integer in a field. */
  integer(field: Field): number {
    return signed(this.#expect(field, "varint").value);
  }

  /** The float32 values of a field that may be repeated: one, or a list in one piece. */
  async floats(field: Field): Promise<number[]> {
    if (field.kind !== "fixed32") this.#expect(field, "bytes");
    const bytes = await this.bytes(field);
    if (bytes.length % 4 !== 0) throw this.bad("has half of a number: damaged");
    return [...new Float32Array(bytes.buffer)];
  }

  /** The place of a message, a list or bytes. */
  extent(field: Field): Extent {
    const { start, length } = this.#expect(field, "bytes");
    return { start, length };
  }

  /** A copy of bytes that describe something; not for tensors. */
  async bytes({ start, length }: Extent): Promise<Uint8Array<ArrayBuffer>> {
    this.#held += length;
    if (this.#held > maxHeld) throw this.bad(`has more than ${maxHeld} bytes of names and numbers`);
    const ahead = await this.#ahead(start, Math.min(length, windowBytes));
    if (ahead.length >= length) return ahead.slice(0, length);
    return await readBytes(this.source, start, length);
  }

  /** An error about the file. */
  bad(reason: string): FileError {
    return new FileError(this.source.name, reason);
  }

  #expect(field: Field, kind: Field["kind"]): Field {
    if (field.kind === kind) return field;
    throw this.bad(`has a ${field.kind} where ${kind} should be: damaged`);
  }

  async #varint(start: number, end: number): Promise<{ value: bigint; end: number }> {
    const window = await this.#ahead(start, Math.min(10, end - start));
    const { value, end: length } = this.#decode(window.subarray(0, end - start), 0);
    return { value, end: start + length };
  }

  /** Seven bits to a byte, lowest first, the top bit saying that more follow; ten bytes at most. */
  #decode(bytes: Uint8Array, at: number): { value: bigint; end: number } {
    let value = 0n;
    for (let shift = 0n; at < bytes.length && shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return { value, end: at };
    }
    throw this.bad("has a number without an end: truncated or damaged");
  }

  /** The bytes from `start` on: `length` of them or more, fewer only at the end of the file. */
  async #ahead(start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
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

function signed(value: bigint): number {
  return Number(BigInt.asIntN(64, value));
}
