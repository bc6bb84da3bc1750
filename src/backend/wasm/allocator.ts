/**
 * An allocator for a WebAssembly memory: first fit from a list of free blocks, which are merged
 * with their neighbours. The list is kept outside the memory, so tensors lie densely on cache
 * lines.
 */

import { PembrokeError } from "../../errors.ts";

/** A page, the unit in which a memory grows. */
const pageBytes = 65536;
/** A cache line. Blocks start and end at multiples of it. */
const cacheLine = 64;
/**
 * The end of what is allocated. The last cache line before 4 GiB stays free, so that the address
 * behind a block, and one vector further, never wraps to 0.
 */
export const addressLimit = 2 ** 32 - cacheLine;

/** A block of memory that may be allocated. */
interface FreeBlock {
  start: number;
  end: number;
}

/** Allocates blocks of a memory, and grows it as needed. */
export class Allocator {
  /** Bytes that are allocated. */
  inUse = 0;
  /** Free blocks by address. */
  #free: FreeBlock[] = [];
  #top: number;

  /** @param base The first address that may be allocated. */
  constructor(readonly memory: WebAssembly.Memory, base: number) {
    this.#top = align(base);
  }

  /**
   * Allocates a block and returns its address.
   *
   * @throws {PembrokeError} When the memory cannot grow any more.
   */
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

  /** Frees a block of `bytes` bytes. */
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

  /** Allocates a block at the end, where the memory may have to grow. */
  #extend(size: number): number {
    const start = this.#top, end = start + size;
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        if (end > addressLimit) throw new RangeError("32-bit addresses end at 4 GiB");
        this.memory.grow(Math.ceil(missing / pageBytes));
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

  /** Merges a free block with the next one if they touch. */
  #merge(index: number): void {
    const block = this.#free[index], next = this.#free[index + 1];
    if (!block || !next || block.end !== next.start) return;
    block.end = next.end;
    this.#free.splice(index + 1, 1);
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / cacheLine) * cacheLine;
}
