/**
 * Memory for parts of a stream that may be read again.
 *
 * @module
 */

/** Bytes of the first block. Each further one is twice as large, up to a limit. */
const smallestBlock = 1 << 8, largestBlock = 1 << 16;

/** The memory of a segment besides its bytes, roughly. */
const segmentBytes = 64;

/** Successive bytes of the stream that are in one block. */
interface Segment {
  /** The offset in the stream. */
  readonly start: number;
  readonly block: Uint8Array;
  /** The offset in the block. */
  readonly at: number;
  length: number;
}

/** Copies of bytes by their offset. They are added in ascending order. */
export class RecentBytes {
  /** Memory in use, including that of the bookkeeping. */
  size = 0;
  #segments: Segment[] = [];
  /** The number of segments that were dropped but are still in the list. */
  #dropped = 0;
  #block = new Uint8Array(0);
  /** Used bytes of the block. */
  #used = 0;

  /** Stores a copy of the bytes at offset `start`. */
  add(start: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      if (this.#used === this.#block.length) this.#addBlock();
      const block = this.#block, at = this.#used;
      const length = Math.min(bytes.length - done, block.length - at);
      block.set(bytes.subarray(done, done + length), at);
      const last = this.#segments.at(-1);
      if (last && last.block === block && last.start + last.length === start + done) {
        last.length += length;
      } else {
        this.#segments.push({ start: start + done, block, at, length });
        this.size += segmentBytes;
      }
      this.#used += length;
      this.size += length;
      done += length;
    }
  }

  /** Drops the oldest segments until the size is at most `maxSize`. */
  shrink(maxSize: number): void {
    while (this.size > maxSize && this.#dropped < this.#segments.length) {
      this.size -= this.#segments[this.#dropped++].length + segmentBytes;
    }
    if (this.#dropped === this.#segments.length) {
      this.#block = new Uint8Array(0);
      this.#used = 0;
    }
    if (2 * this.#dropped < this.#segments.length) return;
    this.#segments = this.#segments.slice(this.#dropped);
    this.#dropped = 0;
  }

  /** Copies bytes from `offset` on, as far as they are stored, and returns their number. */
  fill(offset: number, into: Uint8Array): number {
    let filled = 0;
    for (let i = this.#find(offset); i < this.#segments.length && filled < into.length; i++) {
      const { start, block, at, length } = this.#segments[i];
      const from = offset + filled - start;
      if (from < 0 || from >= length) break;
      const count = Math.min(length - from, into.length - filled);
      into.set(block.subarray(at + from, at + from + count), filled);
      filled += count;
    }
    return filled;
  }

  /** The index of the first segment that ends after `offset`. */
  #find(offset: number): number {
    let low = this.#dropped, high = this.#segments.length;
    while (low < high) {
      const middle = low + high >>> 1, { start, length } = this.#segments[middle];
      if (start + length > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #addBlock(): void {
    const length = Math.min(Math.max(smallestBlock, 2 * this.#block.length), largestBlock);
    this.#block = new Uint8Array(length);
    this.#used = 0;
  }
}
