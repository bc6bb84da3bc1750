/**
 * The output that files are written to.
 *
 * @module
 */

/** A file being written, at any offset. */
export interface ByteSink {
  /** Writes all of `bytes` at `offset`. The bytes are valid only during the call. */
  write(offset: number, bytes: Uint8Array): void;
}
