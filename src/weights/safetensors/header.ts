/**
 * The JSON at the beginning of safetensors, by a parser that knows nothing but its shape: it refuses
 * what JSON.parse() would let pass (a name that comes twice) or spend 30 times the memory on (a long
 * list of empty objects).
 *
 * Source: https://github.com/huggingface/safetensors, README, "Format".
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { shown } from "../io/quote.ts";

/** What the header says about one tensor; nothing but its form has been checked. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** In bytes from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** A whole header. */
export interface Header {
  readonly metadata: ReadonlyMap<string, string>;
  readonly entries: readonly HeaderEntry[];
}

/**
 * Parses a header.
 *
 * @throws {FileError} When it is of any other form.
 */
export function parseHeader(bytes: Uint8Array, file: string): Header {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FileError(file, "has a header that is not UTF-8: damaged", { cause });
  }
  return new Parser(text, file).header();
}

class Parser {
  #at = 0;

  constructor(readonly text: string, readonly file: string) {}

  header(): Header {
    const metadata = new Map<string, string>(), entries: HeaderEntry[] = [];
    this.#object((name) => {
      if (name !== "__metadata__") entries.push(this.#entry(name));
      else this.#object((key) => metadata.set(key, this.#string()));
    });
    if (this.#peek() !== "") throw this.#expected("nothing more");
    return { metadata, entries };
  }

  #entry(name: string): HeaderEntry {
    let dtype: string | undefined, shape: number[] | undefined, offsets: number[] | undefined;
    this.#object((field) => {
      if (field === "dtype") dtype = this.#string();
      else if (field === "shape") shape = this.#integers();
      else if (field === "data_offsets") offsets = this.#integers();
      else throw this.#expected("dtype, shape or data_offsets");
    });
    if (dtype === undefined || !shape || offsets?.length !== 2) {
      throw new FileError(this.file, `${shown(name)} lacks dtype, shape or data_offsets: damaged`);
    }
    return { name, dtype, shape, begin: offsets[0], end: offsets[1] };
  }

  /** `{"key": value, …}`, where `value` reads the value of the key it is given. */
  #object(value: (key: string) => void): void {
    const keys = new Set<string>();
    this.#list("{", "}", () => {
      const key = this.#string();
      if (keys.has(key)) throw new FileError(this.file, `has ${shown(key)} twice in its header`);
      keys.add(key);
      this.#take(":");
      value(key);
    });
  }

  #integers(): number[] {
    const values: number[] = [];
    this.#list("[", "]", () => values.push(this.#integer()));
    return values;
  }

  #list(open: string, close: string, item: () => void): void {
    this.#take(open);
    if (this.#peek() === close) return this.#take(close);
    for (;;) {
      item();
      if (this.#peek() !== ",") return this.#take(close);
      this.#take(",");
    }
  }

  #integer(): number {
    this.#peek();
    const digits = /^(?:0|[1-9]\d{0,15})(?=[\s,\]])/.exec(this.text.slice(this.#at, this.#at + 17));
    if (!digits) throw this.#expected("a count");
    this.#at += digits[0].length;
    return Number(digits[0]);
  }

  #string(): string {
    if (this.#peek() !== '"') throw this.#expected("a string");
    let end = this.#at + 1;
    // A loop, as a regular expression runs out of stack on a string of some megabytes.
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    try {
      const value: string = JSON.parse(this.text.slice(this.#at, end + 1));
      this.#at = end + 1;
      return value;
    } catch {
      throw this.#expected("a string");
    }
  }

  #take(char: string): void {
    if (this.#peek() !== char) throw this.#expected(`“${char}”`);
    this.#at++;
  }

  /** The next character that is not white space; "" at the end. */
  #peek(): string {
    while (" \n\r\t".includes(this.text[this.#at] || "x")) this.#at++;
    return this.text[this.#at] ?? "";
  }

  #expected(what: string): FileError {
    return new FileError(
      this.file,
      `its header should have ${what} at character ${this.#at}: damaged`,
    );
  }
}
