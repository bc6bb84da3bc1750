/**
 * Reads the operands of pickle instructions.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { MemoryBudget } from "../io/memory_budget.ts";
import { decodeText } from "../io/text.ts";
import { type Opaque, opaque } from "./pickle_values.ts";

/** The bytes end before the pickle does. The caller knows whether there are more. */
export class TruncatedPickle extends Error {}

/** Integers of more bytes are neither sizes nor the number at the start of a legacy file. */
const maxLongBytes = 16;

/** The memory that values take in V8, in bytes, with what their containers allocate ahead. */
export const cost = {
  number: 16,
  text: 32,
  char: 2,
  tuple: 56,
  list: 48,
  dict: 48,
  item: 8,
  entry: 64,
  firstItem: 160,
  firstEntry: 200,
  object: 64,
} as const;

/** Decodes the text of Python 2. */
export const latin1 = new TextDecoder("latin1");

/** The bytes of a pickle, read front to back. */
export class PickleInput {
  readonly #view: DataView;

  /**
   * @param bytes The bytes that contain the pickle.
   * @param at The offset of the next byte.
   * @param file The file name in error messages.
   * @param budget The memory that numbers and text may take.
   */
  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly file: string,
    readonly budget: MemoryBudget,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Creates an error for the pickle. */
  damaged(what: string): FileError {
    return new FileError(this.file, `the pickle ${what}: damaged`);
  }

  /** Skips `length` bytes and returns the offset of the first. */
  skip(length: number): number {
    const at = this.at;
    if (at + length > this.bytes.length) throw new TruncatedPickle();
    this.at = at + length;
    return at;
  }

  uint8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** Rounded to a double. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.skip(8), true));
  }

  int32(): number {
    this.budget.spend(cost.number);
    return this.#view.getInt32(this.skip(4), true);
  }

  /** Big-endian, unlike all other numbers. */
  float64(): number {
    this.budget.spend(cost.number);
    return this.#view.getFloat64(this.skip(8));
  }

  /** An integer in two's complement, as a number if that is exact. */
  long(length: number): number | bigint | Opaque {
    const bytes = this.#slice(length);
    if (length > maxLongBytes) return opaque; // no size or key
    this.budget.spend(cost.number + length);
    const extended = new Uint8Array(maxLongBytes).fill(bytes[length - 1] & 0x80 ? 0xff : 0);
    extended.set(bytes);
    const view = new DataView(extended.buffer), low = view.getBigUint64(0, true);
    const value = view.getBigInt64(8, true) << 64n | low, number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** Text of `length` bytes, by default UTF-8. */
  text(length: number, decoder?: TextDecoder): string {
    const bytes = this.#slice(length);
    this.budget.spend(cost.text + cost.char * length);
    return this.#decode(bytes, decoder);
  }

  /** A line of GLOBAL: the name of a module, class or function. */
  line(): string {
    let length = 0;
    while (length < 256 && this.bytes[this.at + length] !== 0x0a) length++;
    if (length === 256) {
      this.skip(256);
      throw this.damaged("has an unterminated name");
    }
    const text = this.#decode(this.#slice(length)); // of known names, only one copy is kept
    this.skip(1);
    return text;
  }

  #slice(length: number): Uint8Array {
    const at = this.skip(length);
    return this.bytes.subarray(at, at + length);
  }

  #decode(bytes: Uint8Array, decoder?: TextDecoder): string {
    try {
      return decodeText(bytes, decoder);
    } catch {
      throw this.damaged("has text that is not UTF-8");
    }
  }
}
