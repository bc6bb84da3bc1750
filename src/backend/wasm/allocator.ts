/**
 * The allocator over a WebAssembly memory: first fit from a list of free blocks, neighbours
 * merged. Bookkeeping lives outside the memory, so tensors lie densely on cache lines.
 */

import { PembrokeError } from "../../errors.ts";

const PAGE = 65536;
/** A cache line: blocks start and end on one. */
const ALIGN = 64;
/** 32-bit addresses end here. */
const MAX_BYTES = 65536 * PAGE;

interface Block {
  start: number;
  end: number;
}

/** Hands out blocks of a memory and grows it as needed. */
export class Allocator {
  /** Bytes handed out. */
  inUse = 0;
  /** Free blocks by address; the memory behind the last one was never used. */
  #free: Block[] = [];
  #top: number;

  /** @param base The first address that may be handed out. */
  constructor(readonly memory: WebAssembly.Memory, base: number) {
    this.#top = align(base);
  }

  /** The address of a block of at least `bytes` bytes. */
  alloc(bytes: number): number {
    const size = align(Math.max(bytes, 1));
    const index = this.#free.findIndex((block) => block.end - block.start >= size);
    if (index < 0) return this.#extend(size);
    this.inUse += size;
    const block = this.#free[index];
    const start = block.start;
    block.start += size;
    if (block.start === block.end) this.#free.splice(index, 1);
    return start;
  }

  /** Takes back a block of `bytes` bytes. */
  free(start: number, bytes: number): void {
    const end = start + align(Math.max(bytes, 1));
    this.inUse -= end - start;
    let index = this.#free.findIndex((block) => block.start > start);
    if (index < 0) index = this.#free.length;
    this.#free.splice(index, 0, { start, end });
    this.#merge(index);
    this.#merge(index - 1);
    const last = this.#free.at(-1)!;
    if (last.end === this.#top) {
      this.#top = last.start;
      this.#free.pop();
    }
  }

  /** A block at the end, for which the memory may have to grow. */
  #extend(size: number): number {
    const start = this.#top, end = start + size;
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        if (end > MAX_BYTES) throw new RangeError("32-bit addresses end at 4 GiB");
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch (cause) {
        const mb = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
        const message = `out of memory: ${mb(size)} more than the ${mb(this.inUse)} in use`;
        throw new PembrokeError(message, { cause });
      }
    }
    this.#top = end;
    this.inUse += size;
    return start;
  }

  /** Joins a free block with the one behind it if they touch. */
  #merge(index: number): void {
    const block = this.#free[index], next = this.#free[index + 1];
    if (!block || !next || block.end !== next.start) return;
    block.end = next.end;
    this.#free.splice(index + 1, 1);
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}
