/**
 * A pool of GPU buffers. Small buffers are kept when they are freed and handed out again. So a
 * forward pass finds the buffers of the pass before it, and the bind groups that refer to them.
 */

/** A buffer of the pool. */
export interface PooledBuffer {
  readonly buffer: GPUBuffer;
  /** Its size in bytes, at least what was asked for. */
  readonly bytes: number;
  /** Its number, unique on its device. */
  readonly id: number;
  /** The last submission whose commands use it; it may still be in recording. */
  submission: number;
  /** The keys of the bind groups that refer to it. */
  readonly bindGroups: Set<string>;
}

/** Sizes are multiples of this: fewer different sizes, so that buffers are reused more often. */
const sizeStep = 256;
/** Larger buffers are not kept. */
const maxCachedBuffer = 8 * 2 ** 20;
/** The most bytes that are kept. */
const maxCachedTotal = 64 * 2 ** 20;

/** The buffers of tensors. */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #free = new Map<number, PooledBuffer[]>();
  #cachedBytes = 0;
  #nextId = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Returns a buffer of at least this size. Its values are undefined. */
  acquire(bytes: number): PooledBuffer {
    const size = roundUp(bytes);
    const cached = this.#free.get(size)?.pop();
    if (cached) {
      this.#cachedBytes -= size;
      return cached;
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.#device.createBuffer({ size, usage });
    return { buffer, bytes: size, id: this.#nextId++, submission: -1, bindGroups: new Set() };
  }

  /** Takes a buffer back. Returns false if the caller must destroy it. */
  release(block: PooledBuffer): boolean {
    const { bytes } = block;
    if (bytes > maxCachedBuffer || this.#cachedBytes + bytes > maxCachedTotal) return false;
    this.#cachedBytes += bytes;
    const sameSize = this.#free.get(bytes);
    if (sameSize) sameSize.push(block);
    else this.#free.set(bytes, [block]);
    return true;
  }
}

/** Whether a buffer has the size that {@linkcode BufferPool.acquire} would give one. */
export function hasSize(block: PooledBuffer, bytes: number): boolean {
  return block.bytes === roundUp(bytes);
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / sizeStep) * sizeStep;
}
