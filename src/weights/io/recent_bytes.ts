/**
 * Pieces of what has gone by.
 *
 * @module
 */

/** Small pieces that follow each other share blocks of 64 KiB. */
const blockBytes = 1 << 16;

interface Block {
  readonly start: number;
  readonly bytes: Uint8Array;
  length: number;
}

/** Copies of bytes by where they were, added in the order of their places. */
export class Kept {
  /** Bytes in all. */
  size = 0;
  readonly #blocks: Block[] = [];

  /** Keeps a copy of bytes that were at `start`. */
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

  /** Forgets the first bytes, in blocks, until no more than so many are left. */
  shrink(most: number): void {
    while (this.size > most) this.size -= this.#blocks.shift()!.length;
  }

  /** Fills in the bytes from `offset` on, as far as they are there; returns how many. */
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
