/**
 * A source over a stream, which can be read only once and in order.
 *
 * @module
 */

import { ArgumentError, FileError } from "../../errors.ts";
import type { Chunks } from "../../io/download.ts";
import { asBytes } from "../../kinds.ts";
import { RecentBytes } from "./recent_bytes.ts";
import { type ByteSource, checkRange, needsRandomAccess, unknownSize } from "./source.ts";

/** The first bytes stay in memory: format detection reads them, then the format's reader again. */
const headBytes = 1 << 20;

/** Skipped bytes may be needed later, so they are kept. A stream that skips more fails. */
const maxSkippedBytes = 16 << 20;

/** Reads of up to 8 KiB may be headers, which are read again: 256 KiB of them are kept. */
const smallReadBytes = 1 << 13, maxRecentBytes = 1 << 18;

/**
 * Creates a source over a stream, such as a response body. Bytes are gone once they are read,
 * except for the first MiB and the most recent small reads. Skipped bytes are kept, up to 16 MiB in
 * total.
 *
 * @param chunks The stream, which is cancelled when the source is closed.
 * @param name The file name in error messages.
 * @param size The number of bytes, if known.
 * @throws {ArgumentError} When `chunks` is not a {@linkcode Chunks}. Errors of the stream pass
 * through.
 */
export async function streamSource(
  chunks: Chunks,
  name = "weights",
  size?: number,
): Promise<ByteSource> {
  if (typeof chunks?.next !== "function" || typeof chunks.cancel !== "function") {
    const expected = "a Chunks object with next() and cancel() (for a ReadableStream: loadWeights)";
    throw new ArgumentError("streamSource", "chunks", chunks, expected);
  }
  const source = new StreamSource(chunks, name, size);
  try {
    await source.readHead();
  } catch (error) {
    source.close();
    throw error;
  }
  return source;
}

/** Bytes at an offset of the stream. */
interface Chunk {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** The source of a stream. */
class StreamSource implements ByteSource {
  readonly forward = true;
  readonly #chunks: Chunks;
  #size: number | undefined;
  /** The bytes that have arrived but are unread. */
  #rest: Chunk = { start: 0, bytes: new Uint8Array(0) };
  /** The first MiB, and everything that was skipped. */
  readonly #skipped = new RecentBytes();
  /** The most recent small reads. */
  readonly #recent = new RecentBytes();
  /** The last read that was requested. The next one waits for it. */
  #lastRead: Promise<unknown> = Promise.resolve();
  #open = true;

  constructor(chunks: Chunks, readonly name: string, size: number | undefined) {
    this.#chunks = chunks;
    this.#size = size;
  }

  get size(): number {
    return this.#size ?? unknownSize;
  }

  /** Waits for the first MiB, or the end of a shorter stream. */
  async readHead(): Promise<void> {
    while (this.#rest.start < headBytes && await this.#fill()) {
      this.#skip(this.#take(headBytes - this.#rest.start));
    }
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    const read = this.#lastRead.then(() => this.#read(offset, into));
    this.#lastRead = read.catch(() => {});
    return read;
  }

  close(): void {
    if (this.#open) this.#chunks.cancel().catch(() => {}); // no reader is left to tell
    this.#open = false;
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this, offset, into.length);
    if (!this.#open) throw new FileError(this.name, "was closed while being read");
    let filled = this.#copyKept(offset, into);
    while (filled < into.length) {
      if (!await this.#fill()) checkRange(this, offset, into.length); // the size is known now
      const missing = offset + filled - this.#rest.start;
      if (missing > 0) {
        this.#skip(this.#take(missing));
        continue;
      }
      const { start, bytes } = this.#take(into.length - filled);
      if (into.length <= smallReadBytes) {
        this.#recent.add(start, bytes);
        this.#recent.shrink(maxRecentBytes);
      }
      into.set(bytes, filled);
      filled += bytes.length;
    }
  }

  /** Copies the bytes that were kept, and returns their number. The rest must be still to come. */
  #copyKept(offset: number, into: Uint8Array): number {
    let filled = 0;
    for (let more = 1; more > 0 && filled < into.length; filled += more) {
      const rest = into.subarray(filled);
      more = this.#skipped.fill(offset + filled, rest) || this.#recent.fill(offset + filled, rest);
    }
    if (filled === into.length || offset + filled >= this.#rest.start) return filled;
    throw needsRandomAccess(this.name);
  }

  #skip({ start, bytes }: Chunk): void {
    this.#skipped.add(start, bytes);
    if (this.#skipped.size > maxSkippedBytes) throw needsRandomAccess(this.name);
  }

  /** Takes at most `maxBytes` of the bytes that have arrived. */
  #take(maxBytes: number): Chunk {
    const { start, bytes } = this.#rest;
    const count = Math.min(maxBytes, bytes.length);
    this.#rest = { start: start + count, bytes: bytes.subarray(count) };
    return { start, bytes: bytes.subarray(0, count) };
  }

  /** Waits until there are unread bytes; false at the end. */
  async #fill(): Promise<boolean> {
    while (this.#rest.bytes.length === 0) {
      const chunk = await this.#chunks.next(), bytes = asBytes(chunk);
      if (!chunk) {
        this.#size = this.#rest.start;
        return false;
      }
      if (!bytes) throw new FileError(this.name, "the chunks of its stream are not Uint8Arrays");
      this.#rest = { start: this.#rest.start, bytes };
    }
    return true;
  }
}
