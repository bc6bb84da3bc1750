/**
 * Opens the other files of weights that consist of several: shards, and data outside an ONNX file.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { escapeText } from "./quote.ts";
import type { ByteSource } from "./source.ts";

/** Enough for the largest models. Each open file takes a descriptor. */
const maxFiles = 500;

/**
 * Opens files by name, each of them once: those that the caller passed, else those in the folder of
 * the main file. Names with a folder are rejected, so nothing outside that folder is read.
 */
export class RelatedFiles {
  readonly #opened = new Map<string, ByteSource>();

  /**
   * @param main The file that refers to the others.
   * @param passed Other files by name. By default they are read from the folder of the main file.
   */
  constructor(
    readonly main: ByteSource,
    readonly passed: Readonly<Record<string, ByteSource>> = {},
  ) {}

  /**
   * Opens a file.
   *
   * @param location Its name, as the main file has it. A leading "./" is ignored.
   * @throws {FileError} When the name is not that of a file in the same folder, or there is no such
   * file.
   */
  async open(location: string): Promise<ByteSource> {
    const name = location.replace(/^(?:\.\/)+/, ""), quoted = escapeText(name);
    const bad = (reason: string) => new FileError(this.main.name, reason);
    const opened = this.#opened.get(name);
    if (opened) return opened;
    // deno-lint-ignore no-control-regex -- no file name has control characters
    if (name === "" || name === "." || name === ".." || /[/\\:\x00-\x1f]/.test(name)) {
      throw bad(`refers to the file ${quoted}, only files in its own folder are read`);
    }
    if (this.#opened.size === maxFiles) throw bad(`consists of more than ${maxFiles} files`);
    const source = Object.hasOwn(this.passed, name)
      ? this.passed[name]
      : await this.main.sibling?.(name);
    if (!source) throw bad(`needs the file ${quoted}: pass it as files: { "${quoted}": … }`);
    this.#opened.set(name, source);
    return source;
  }

  /** The size of all opened files in bytes. */
  get size(): number {
    return [...this.#opened.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Closes all files except for the main one, also those that were passed but never opened. */
  close(): void {
    for (const source of this.#opened.values()) source.close();
    for (const source of Object.values(this.passed)) source.close();
  }
}
