/**
 * The bytes of a pickle, read from the front.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { DescriptionBudget } from "../io/description_budget.ts";
import { decodeText } from "../io/text.ts";
import { cost, type Opaque, opaque } from "./pickle_values.ts";

/** The bytes end before the pickle does. The caller knows whether there are more. */
export class TruncatedPickle extends Error {}

/** Integers of more bytes are neither sizes nor the number at the start of a legacy file. */
const maxLongBytes = 16;

/** Reads the operands of instructions. */
export class PickleBytes {
  /** A view of all bytes. */
  readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    /** The offset of the next byte. */
    public at: number,
    readonly budget: DescriptionBudget,
    readonly file: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Skips `length` bytes and returns the offset of the first. */
  take(length: number): number {
    const at = this.at;
    if (at + length > this.bytes.length) throw new TruncatedPickle();
    this.at = at + length;
    return at;
  }

  /** Reads a length of eight bytes. */
  length(): number {
    return Number(this.view.getBigUint64(this.take(8), true));
  }

  #slice(length: number): Uint8Array {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  /** Reads a text of `length` bytes. */
  text(length: number, decoder?: TextDecoder): string {
    const bytes = this.#slice(length);
    this.budget.spend(cost.text + cost.char * length);
    return this.#decode(bytes, decoder);
  }

  #decode(bytes: Uint8Array, decoder?: TextDecoder): string {
    try {
      return decodeText(bytes, decoder);
    } catch {
      throw damagedPickle(this.file, "has text that is not UTF-8");
    }
  }

  /** Reads a line of a GLOBAL: the name of a module, class or function. */
  line(): string {
    let length = 0;
    while (length < 256 && this.bytes[this.at + length] !== 0x0a) length++;
    if (length === 256) {
      this.take(256);
      throw damagedPickle(this.file, "has an unterminated name");
    }
    const text = this.#decode(this.#slice(length)); // not counted: of each name, one copy is kept
    this.take(1);
    return text;
  }

  /** Reads a little-endian integer in two's complement, as a number if that is exact. */
  long(length: number): number | bigint | Opaque {
    const bytes = this.#slice(length);
    if (length > maxLongBytes) return opaque;
    this.budget.spend(cost.number + length);
    const extended = new Uint8Array(maxLongBytes).fill(bytes[length - 1] & 0x80 ? 0xff : 0);
    extended.set(bytes);
    const view = new DataView(extended.buffer), low = view.getBigUint64(0, true);
    const value = view.getBigInt64(8, true) << 64n | low, number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
}

/** The error for a pickle that no program writes. */
export function damagedPickle(file: string, what: string): FileError {
  return new FileError(file, `the pickle ${what}: damaged`);
}
