/**
 * Limits the memory for the description of a file's tensors, however large the file is.
 *
 * @module
 */

import { FileError } from "../../errors.ts";

/**
 * 16 MiB: enough for the descriptions of 18 000 tensors. With the garbage that V8 has not collected
 * yet, a process takes up to four times as much.
 */
const maxBytes = 16 << 20;

/** Counts the estimated size of everything that a reader creates. */
export class DescriptionBudget {
  #left = maxBytes;

  /**
   * @param file The file name in error messages.
   * @param what What is too large, in error messages.
   */
  constructor(readonly file: string, readonly what: string) {}

  /**
   * Counts some bytes, before they are allocated.
   *
   * @throws {FileError} When the budget is spent.
   */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    throw new FileError(this.file, `${this.what} takes more than ${maxBytes >> 20} MiB of memory`);
  }
}
