/**
 * Parses the JSON of safetensors files and of their indexes. Unlike JSON.parse(), this strict
 * parser rejects duplicate names, and long lists of empty objects, which take 30 times their size
 * in memory.
 *
 * Source: https://github.com/huggingface/safetensors, README, "Format".
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { DescriptionBudget } from "../io/description_budget.ts";
import { escapeText } from "../io/quote.ts";
import { maxDimensions } from "../layout.ts";

/** The description of a tensor. Only its syntax has been checked. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Offsets in bytes from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** The contents of a header. */
export interface Header {
  readonly metadata: ReadonlyMap<string, string>;
  readonly entries: readonly HeaderEntry[];
}

/**
 * Parses a header.
 *
 * @throws {FileError} When it is malformed.
 */
export function parseHeader(bytes: Uint8Array, file: string): Header {
  return new Parser(decode(bytes, file, "a header"), file, "header").header();
}

function decode(bytes: Uint8Array, file: string, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FileError(file, `has ${what} that is not UTF-8: damaged`, { cause });
  }
}

/**
 * Parses the index of sharded weights.
 *
 * @returns The file of every tensor.
 * @throws {FileError} When it is malformed.
 */
export function parseIndex(bytes: Uint8Array, file: string): Map<string, string> {
  return new Parser(decode(bytes, file, "an index"), file, "index").index();
}

/** The memory of an item of an object in bytes. A tensor has four: itself and three fields. */
const itemBytes = 100;

/** A parser of one JSON text, which goes through it once. */
class Parser {
  #at = 0;
  readonly #budget: DescriptionBudget;

  constructor(readonly text: string, readonly file: string, readonly what: string) {
    this.#budget = new DescriptionBudget(file, `its ${what}`);
  }

  header(): Header {
    const metadata = new Map<string, string>(), entries: HeaderEntry[] = [];
    this.#object((name) => {
      if (name !== "__metadata__") entries.push(this.#entry(name));
      else if (this.#peek() === "n") this.#word("null"); // the same as no metadata
      else this.#object((key) => metadata.set(key, this.#string()));
    });
    if (this.#peek() !== "") throw this.#expected("its end");
    return { metadata, entries };
  }

  index(): Map<string, string> {
    const files = new Map<string, string>();
    this.#object((name) => {
      if (name === "weight_map") this.#object((tensor) => files.set(tensor, this.#string()));
      else this.#skipValue();
    });
    if (this.#peek() !== "") throw this.#expected("its end");
    return files;
  }

  /** Skips a JSON value of any kind. Only its brackets and strings are checked. */
  #skipValue(): void {
    let depth = 0;
    do {
      const char = this.#peek();
      if (char === '"') this.#string();
      else if (char === "") throw this.#expected("a value");
      else {
        this.#at++;
        if (char === "{" || char === "[") depth++;
        else if (char === "}" || char === "]") depth--;
        else if (depth === 0) { while (!",}]".includes(this.#peek())) this.#at++; }
      }
    } while (depth > 0);
    if (depth < 0) throw this.#expected("a value");
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
      throw new FileError(
        this.file,
        `${escapeText(name)} lacks dtype, shape or data_offsets: damaged`,
      );
    }
    return { name, dtype, shape, begin: offsets[0], end: offsets[1] };
  }

  /** Parses `{"key": value, …}`; `parseValue` parses the value of a key. */
  #object(parseValue: (key: string) => void): void {
    const keys = new Set<string>();
    this.#list("{", "}", () => {
      const key = this.#string();
      this.#budget.spend(itemBytes);
      if (keys.has(key)) {
        throw new FileError(this.file, `has ${escapeText(key)} twice in its ${this.what}`);
      }
      keys.add(key);
      this.#take(":");
      parseValue(key);
    });
  }

  #integers(): number[] {
    const values: number[] = [];
    this.#list("[", "]", () => {
      if (values.length === maxDimensions) throw this.#expected("at most 64 numbers");
      values.push(this.#integer());
    });
    return values;
  }

  #word(word: string): void {
    if (!this.text.startsWith(word, this.#at)) throw this.#expected(word);
    this.#at += word.length;
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
    if (!digits) throw this.#expected("a non-negative integer");
    this.#at += digits[0].length;
    return Number(digits[0]);
  }

  #string(): string {
    if (this.#peek() !== '"') throw this.#expected("a string");
    let end = this.#at + 1;
    // Not a regular expression, which overflows the stack on a string of several megabytes.
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

  /** Skips white space and returns the next character; "" at the end. */
  #peek(): string {
    let char = this.text[this.#at] ?? "";
    while (char !== "" && " \n\r\t".includes(char)) char = this.text[++this.#at] ?? "";
    return char;
  }

  #expected(what: string): FileError {
    return new FileError(
      this.file,
      `its ${this.what} is invalid, expected ${what} at character ${this.#at}: damaged`,
    );
  }
}
