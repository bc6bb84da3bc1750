/**
 * Memory for parts of a stream that may be read again.
 *
 * @module
 */

/** Small adjacent chunks share blocks of 64 KiB. */
const blockBytes = 1 << 16;

interface Block {
  readonly start: number;
  readonly bytes: Uint8Array;
  length: number;
}

/** Copies of bytes by their offset. They are added in ascending order. */
export class RecentBytes {
  /** Total number of bytes. */
  size = 0;
  readonly #blocks: Block[] = [];

  /** Stores a copy of the bytes at offset `start`. */
  add(start: number, bytes: Uint8Array): void {
    const last = this.#blocks.at(-1);
    const follows = last && last.start + last.length === start &&
      last.length + bytes.length <= last.bytes.length;
    const block = follows
      ? last
      : { start, bytes: new Uint8Array(Math.max(bytes.length, blockBytes)), length: 0 };
    if (!follows) this.#blocks.push(block);
    block.bytes.set(bytes, block.length);
    block.length += bytes.length;
    this.size += bytes.length;
  }

  /** Drops the oldest blocks until at most `maxBytes` are left. */
  shrink(maxBytes: number): void {
    while (this.size > maxBytes) this.size -= this.#blocks.shift()!.length;
  }

  /** Copies the bytes from `offset` as far as they are stored, and returns how many there were. */
  fill(offset: number, into: Uint8Array): number {
    let filled = 0;
    for (const { start, bytes, length } of this.#blocks) {
      const from = offset + filled - start;
      if (from < 0 || from >= length || filled === into.length) continue;
      const part = bytes.subarray(from, Math.min(length, from + into.length - filled));
      into.set(part, filled);
      filled += part.length;
    }
    return filled;
  }
}
