/**
 * Reads protocol buffers of any size from front to back, through a small window in memory. Long
 * fields are skipped: only their positions are kept.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { DescriptionBudget } from "../io/description_budget.ts";
import type { RelatedFiles } from "../io/related_files.ts";
import { type ByteRange, type ByteSource, readBytes } from "../io/source.ts";
import { decodeText } from "../io/text.ts";

/** A field of a message, and the range of its value. */
export interface Field extends ByteRange {
  readonly number: number;
  readonly kind: "varint" | "fixed32" | "fixed64" | "bytes";
  /** The lower and upper 32 bits of a varint, unsigned. */
  readonly low: number;
  readonly high: number;
}

/** A decoded varint. */
interface Varint {
  readonly low: number;
  readonly high: number;
  /** The offset of what follows. */
  readonly end: number;
}

/** The wire types. 3 and 4 are groups, which are deprecated. */
const kinds = ["varint", "fixed64", "bytes", undefined, undefined, "fixed32"] as const;

/** Large enough for a whole node, so that most fields need no read of their own. */
const windowBytes = 4096;

/** The longest varint in bytes. */
const maxVarint = 10;

/** The largest networks have about ten thousand nodes with about ten fields each. */
const maxFields = 1 << 18;

/** The memory of a string besides its characters, in bytes. */
const textBytes = 32;

/** The limit of names and number lists in memory, in bytes of the file. */
const maxDescriptionBytes = 1 << 22;

/** Reads the fields of one file's messages. */
export class ProtoReader {
  /** The part of the file that is in memory, and its offset. */
  #window = new Uint8Array(0);
  #windowStart = 0;
  #fieldCount = 0;
  #descriptionBytes = 0;
  /** The memory of everything that is read, except for the elements of tensors. */
  readonly budget: DescriptionBudget;

  /**
   * @param source The file.
   * @param files Opens the files with external data.
   */
  constructor(readonly source: ByteSource, readonly files: RelatedFiles) {
    this.budget = new DescriptionBudget(source.name, "its graph");
  }

  /** The fields of a message, in file order. */
  async *fields(message: ByteRange): AsyncGenerator<Field> {
    const end = message.start + message.length;
    for (let at = message.start; at < end;) {
      if (++this.#fieldCount > maxFields) throw this.bad(`has more than ${maxFields} fields`);
      // Waiting costs more than reading, so only wait for bytes that are not there yet.
      if (!this.#isAhead(at, end)) await this.#readAhead(at, Math.min(2 * maxVarint, end - at));
      const key = this.#varint(at, end), number = key.high * 2 ** 29 + (key.low >>> 3);
      const kind = kinds[key.low & 7];
      if (!kind || number < 1) throw this.bad("has a field of an unknown type: damaged");
      let start = key.end, length = kind === "fixed32" ? 4 : 8, low = 0, high = 0;
      if (kind === "varint") {
        const varint = this.#varint(start, end);
        length = varint.end - start;
        ({ low, high } = varint);
      } else if (kind === "bytes") {
        const size = this.#varint(start, end);
        start = size.end;
        length = size.high * 2 ** 32 + size.low;
      }
      at = start + length;
      if (at > this.source.size) throw this.bad("ends inside a field: truncated or damaged");
      if (at > end) throw this.bad("has a field that is longer than its message: damaged");
      yield { number, kind, low, high, start, length };
    }
  }

  /** Reads a string. */
  async text(field: Field): Promise<string> {
    const { start, length } = this.#expect(field, "bytes"), offset = start - this.#windowStart;
    this.budget.spend(textBytes + 2 * length);
    const isAhead = offset >= 0 && offset + length <= this.#window.length;
    const bytes = isAhead
      ? this.#window.subarray(offset, offset + length)
      : await this.bytes(field);
    try {
      return decodeText(bytes);
    } catch (cause) {
      throw new FileError(this.source.name, "has a name that is not UTF-8: damaged", { cause });
    }
  }

  /** Adds the signed integers of a repeated field to `values`: a single one, or a packed list. */
  async integers(field: Field, values: number[]): Promise<void> {
    if (field.kind === "varint") {
      values.push(toSigned(field));
      return;
    }
    const bytes = await this.bytes(this.#expect(field, "bytes"));
    this.budget.spend(8 * bytes.length);
    for (let at = 0; at < bytes.length;) {
      const varint = this.#decode(bytes, at);
      values.push(toSigned(varint));
      at = varint.end;
    }
  }

  /** Adds the integers of a repeated field to `values`, exactly. */
  async longs(field: Field, values: IntegerList): Promise<void> {
    if (field.kind === "varint") return values.push(field.low, field.high);
    const bytes = await this.bytes(this.#expect(field, "bytes"));
    let count = 0;
    for (const byte of bytes) if (byte < 0x80) count++;
    values.reserve(count);
    for (let at = 0; at < bytes.length;) {
      const { low, high, end } = this.#decode(bytes, at);
      values.push(low, high);
      at = end;
    }
  }

  /** Reads a signed integer. */
  integer(field: Field): number {
    return toSigned(this.#expect(field, "varint"));
  }

  /** Reads a float32 value. */
  async float(field: Field): Promise<number> {
    const bytes = await this.bytes(this.#expect(field, "fixed32"));
    return new DataView(bytes.buffer).getFloat32(0, true);
  }

  /** Adds the float32 values of a repeated field to `values`: a single one, or a packed list. */
  async floats(field: Field, values: number[]): Promise<void> {
    if (field.kind !== "fixed32") this.#expect(field, "bytes");
    const bytes = await this.bytes(field);
    this.budget.spend(2 * bytes.length);
    if (bytes.length % 4 !== 0) throw this.bad("has an incomplete number: damaged");
    for (const value of new Float32Array(bytes.buffer)) values.push(value);
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

  /** Whether the window has a whole key and varint at `start`, or all bytes from there to `end`. */
  #isAhead(start: number, end: number): boolean {
    return start >= this.#windowStart &&
      Math.min(start + 2 * maxVarint, end) <= this.#windowStart + this.#window.length;
  }

  /** Decodes a varint in the window. */
  #varint(start: number, end: number): Varint {
    const last = Math.min(end - this.#windowStart, this.#window.length);
    const varint = this.#decode(this.#window, start - this.#windowStart, last);
    return { ...varint, end: this.#windowStart + varint.end };
  }

  /** Decodes a varint: seven bits per byte, lowest first; the top bit says that more follow. */
  #decode(bytes: Uint8Array, start: number, end = bytes.length): Varint {
    let low = 0, high = 0;
    for (let i = 0; i < maxVarint && start + i < end; i++) {
      const byte = bytes[start + i], bits = byte & 0x7f, shift = 7 * i;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << shift - 32;
      if (byte < 0x80) return { low: low >>> 0, high: high >>> 0, end: start + i + 1 };
    }
    throw this.bad("has an unterminated number: truncated or damaged");
  }

  /** Reads at least `length` bytes at `start`, unless the file ends before. */
  async #readAhead(start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const offset = start - this.#windowStart;
    if (offset >= 0 && offset + length <= this.#window.length) return this.#window.subarray(offset);
    const size = Math.max(0, Math.min(windowBytes, this.source.size - start));
    this.#window = await readBytes(this.source, start, size);
    this.#windowStart = start;
    return this.#window;
  }
}

/** The value of 64 bits in two's complement, rounded to a double. */
function toSigned({ low, high }: { readonly low: number; readonly high: number }): number {
  return (high | 0) * 2 ** 32 + low;
}

/** 64-bit integers, in memory that grows with them. */
export class IntegerList {
  /** The number of integers. */
  length = 0;
  #words = new Uint32Array(32);

  /** Makes room for `count` more integers: exactly that, unless doubling the integers gives more. */
  reserve(count: number): void {
    const length = this.length + count;
    if (2 * length > this.#words.length) this.#resize(Math.max(length, 2 * this.length));
  }

  /** Adds an integer, as its lower and upper 32 bits. */
  push(low: number, high: number): void {
    if (2 * this.length === this.#words.length) this.#resize(2 * this.length);
    this.#words[2 * this.length] = low;
    this.#words[2 * this.length + 1] = high;
    this.length++;
  }

  #resize(length: number): void {
    const words = new Uint32Array(2 * length);
    words.set(this.#words.subarray(0, 2 * this.length));
    this.#words = words;
  }

  /** The lowest `itemSize` bytes of each integer, little-endian. */
  bytes(itemSize: number): Uint8Array {
    const { length } = this, words = this.#words;
    if (itemSize === 8) return new Uint8Array(words.buffer, 0, 8 * length);
    const Items = itemSize === 1 ? Uint8Array : itemSize === 2 ? Uint16Array : Uint32Array;
    const items = new Items(length);
    for (let i = 0; i < length; i++) items[i] = words[2 * i];
    return new Uint8Array(items.buffer);
  }
}
