/**
 * Reading from what arrives once, from its beginning to its end.
 *
 * @module
 */

import type { Chunks } from "../download.ts";
import { FileError } from "../errors.ts";
import { type ByteSource, checkRange, unknownSize } from "./source.ts";

/** The beginning stays: formats are found there, and read again from there. */
const headBytes = 1 << 20;

/** What is read in pieces no larger than this describes tensors, and is read again. */
const smallBytes = 1 << 13;

/** What was passed over may be asked for later: so much of it is kept. */
const mostKept = 16 << 20;

/**
 * A source over what arrives piece by piece: the body of an answer, a stream. Bytes that were read
 * are gone, but for the first MiB and small pieces; what is passed over is kept, as long as it is no
 * more than 16 MiB in all.
 *
 * @param chunks The pieces; cancelled when the source is closed.
 * @param name What error messages call it.
 * @param size How many bytes there will be, if that is known.
 * @throws Whatever the pieces throw.
 */
export async function streamSource(
  chunks: Chunks,
  name = "weights",
  size?: number,
): Promise<ByteSource> {
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
  /** What may be read again, in order. */
  readonly #kept: Piece[] = [];
  #keptBytes = 0;
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
      this.#keep(this.#take(headBytes - this.#rest.start));
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
        this.#keep(this.#take(missing));
        continue;
      }
      const piece = this.#take(into.length - filled), { bytes } = piece;
      if (into.length <= smallBytes) this.#keep(piece);
      into.set(bytes, filled);
      filled += bytes.length;
    }
  }

  /** Fills in what was kept, and says how much; what is asked for otherwise must be still to come. */
  #again(offset: number, into: Uint8Array): number {
    let filled = 0;
    for (const { start, bytes } of this.#kept) {
      const from = offset + filled - start;
      if (from < 0 || from >= bytes.length || filled === into.length) continue;
      const part = bytes.subarray(from, from + into.length - filled);
      into.set(part, filled);
      filled += part.length;
    }
    if (filled === into.length || offset + filled >= this.#rest.start) return filled;
    throw this.#disordered();
  }

  #keep(piece: Piece): void {
    this.#keptBytes += piece.bytes.length;
    if (this.#keptBytes > mostKept) throw this.#disordered();
    this.#kept.push({ start: piece.start, bytes: piece.bytes.slice() });
  }

  #disordered(): FileError {
    const message =
      "its tensors lie in an order that cannot be read from a stream: download it first";
    return new FileError(this.name, message);
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
