/**
 * Inflates a zlib stream piece by piece, on request.
 *
 * @module
 */

import { release } from "../release.ts";

/** A zlib stream whose content is read in order. */
export class Inflater {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** The latest piece, and the number of its bytes that were read. */
  #piece = new Uint8Array();
  #read = 0;
  #bytesIn = 0;
  #ended = false;

  /**
   * Starts inflating.
   *
   * @param parts The compressed stream, in parts of any size.
   * @param pieceBytes Compressed bytes to inflate at a time. The runtime holds all they inflate to.
   */
  constructor(parts: Iterable<Uint8Array>, pieceBytes: number) {
    const { readable, writable } = new DecompressionStream("deflate");
    this.#reader = readable.getReader();
    void this.#write(parts, writable.getWriter(), pieceBytes)
      .catch(() => {}); // reading throws the same error
  }

  /** Compressed bytes that were inflated so far, rounded up to pieces. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  /** Whether all compressed bytes were inflated. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Fills an array with the next bytes.
   *
   * @returns False if the stream ends before that.
   * @throws {Error} When the stream is invalid.
   */
  async fill(target: Uint8Array): Promise<boolean> {
    for (let filled = 0; filled < target.length;) {
      if (this.#read === this.#piece.length) {
        release(this.#piece); // all together would fill memory before they are garbage collected
        const { value } = await this.#reader.read();
        if (!value) return false;
        this.#piece = value as Uint8Array<ArrayBuffer>;
        this.#read = 0;
        continue;
      }
      const part = this.#piece.subarray(this.#read, this.#read + target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.#read += part.length;
    }
    return true;
  }

  /** Stops inflating. */
  cancel(): void {
    release(this.#piece);
    this.#piece = new Uint8Array();
    this.#reader.cancel().catch(() => {});
  }

  async #write(
    parts: Iterable<Uint8Array>,
    writer: WritableStreamDefaultWriter<BufferSource>,
    pieceBytes: number,
  ): Promise<void> {
    // Copies: streams reject shared memory, and parts may be as small as a byte.
    let piece = new Uint8Array(pieceBytes), filled = 0;
    const flush = async () => {
      this.#bytesIn += filled;
      await writer.write(piece.subarray(0, filled));
      piece = new Uint8Array(pieceBytes);
      filled = 0;
    };
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        const bytes = part.subarray(at, at + pieceBytes - filled);
        piece.set(bytes, filled);
        at += bytes.length;
        filled += bytes.length;
        if (filled === pieceBytes) await flush();
      }
    }
    if (filled > 0) await flush();
    this.#ended = true;
    await writer.close();
  }
}
