/**
 * Reading from what arrives once, from its beginning to its end.
 *
 * @module
 */

import type { Chunks } from "../../io/download.ts";
import { ArgumentError, FileError } from "../../errors.ts";
import { Kept } from "./recent_bytes.ts";
import { type ByteSource, checkRange, disordered, unknownSize } from "./source.ts";

/** The beginning stays: formats are found there, and read again from there. */
const headBytes = 1 << 20;

/** What was passed over may be asked for later: so much of it is kept. */
const mostPassed = 16 << 20;

/** What is read in pieces no larger than this may say where something is, and be read again soon. */
const smallBytes = 1 << 13, mostRecent = 1 << 18;

/**
 * A source over what arrives piece by piece: the body of an answer, a stream. Bytes that were read
 * are gone, but for the first MiB and the last small pieces; what is passed over is kept, as long as it
 * is no more than 16 MiB in all.
 *
 * @param chunks The pieces; cancelled when the source is closed.
 * @param name What error messages call it.
 * @param size How many bytes there will be, if that is known.
 * @throws Whatever the pieces throw; an {@linkcode ArgumentError} when they are no pieces.
 */
export async function streamSource(
  chunks: Chunks,
  name = "weights",
  size?: number,
): Promise<ByteSource> {
  if (typeof chunks?.next !== "function" || typeof chunks.cancel !== "function") {
    const takes = "Chunks, with next() and cancel() (for a ReadableStream: loadWeights)";
    throw new ArgumentError("streamSource", "chunks", chunks, takes);
  }
  const source = new StreamSource(chunks, name, size);
  try {
    await source.begin();
  } catch (error) {
    source.close();
    throw error;
  }
  return source;
}

/** Bytes, and where they were. */
interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

class StreamSource implements ByteSource {
  readonly forward = true;
  readonly #chunks: Chunks;
  #size: number | undefined;
  /** What has come and was not read yet, and where it begins. */
  #rest: Piece = { start: 0, bytes: new Uint8Array(0) };
  /** The beginning, and what was passed over. */
  readonly #passed = new Kept();
  /** Small pieces that were read not long ago. */
  readonly #recent = new Kept();
  /** Readings take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #open = true;

  constructor(chunks: Chunks, readonly name: string, size: number | undefined) {
    this.#chunks = chunks;
    this.#size = size;
  }

  get size(): number {
    return this.#size ?? unknownSize;
  }

  /** Waits for the beginning, which a short stream is all of. */
  async begin(): Promise<void> {
    while (this.#rest.start < headBytes && await this.#arrived()) {
      this.#pass(this.#take(headBytes - this.#rest.start));
    }
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    const read = this.#turn.then(() => this.#read(offset, into));
    this.#turn = read.catch(() => {});
    return read;
  }

  close(): void {
    if (this.#open) this.#chunks.cancel().catch(() => {}); // nobody waits for more of it
    this.#open = false;
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this, offset, into.length);
    if (!this.#open) throw new FileError(this.name, "was closed while it was being read");
    let filled = this.#again(offset, into);
    while (filled < into.length) {
      if (!await this.#arrived()) {
        const message = `ends after ${this.#rest.start} bytes, where ${
          offset + into.length
        } are needed`;
        throw new FileError(this.name, `${message}: truncated or damaged`);
      }
      const missing = offset + filled - this.#rest.start;
      if (missing > 0) {
        this.#pass(this.#take(missing));
        continue;
      }
      const { start, bytes } = this.#take(into.length - filled);
      if (into.length <= smallBytes) {
        this.#recent.add(start, bytes);
        this.#recent.shrink(mostRecent);
      }
      into.set(bytes, filled);
      filled += bytes.length;
    }
  }

  /** Fills in what was kept, and says how much; what is asked for otherwise must be still to come. */
  #again(offset: number, into: Uint8Array): number {
    let filled = 0;
    for (let more = 1; more > 0 && filled < into.length; filled += more) {
      const rest = into.subarray(filled);
      more = this.#passed.fill(offset + filled, rest) || this.#recent.fill(offset + filled, rest);
    }
    if (filled === into.length || offset + filled >= this.#rest.start) return filled;
    throw disordered(this.name);
  }

  #pass({ start, bytes }: Piece): void {
    this.#passed.add(start, bytes);
    if (this.#passed.size > mostPassed) throw disordered(this.name);
  }

  /** The next bytes of what has come, `most` at most. */
  #take(most: number): Piece {
    const { start, bytes } = this.#rest;
    const count = Math.min(most, bytes.length);
    this.#rest = { start: start + count, bytes: bytes.subarray(count) };
    return { start, bytes: bytes.subarray(0, count) };
  }

  /** Waits until something is there; false at the end. */
  async #arrived(): Promise<boolean> {
    while (this.#rest.bytes.length === 0) {
      const bytes = await this.#chunks.next();
      if (!bytes) {
        this.#size = this.#rest.start;
        return false;
      }
      this.#rest = { start: this.#rest.start, bytes };
    }
    return true;
  }
}
