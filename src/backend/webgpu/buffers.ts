/**
 * Buffers of a device: small ones are kept when they come back and handed out again, so that a
 * forward pass finds the buffers, and the bind groups that name them, of the pass before it.
 */

/** A buffer, and who knows it. */
export interface Block {
  readonly buffer: GPUBuffer;
  /** Size in bytes, at least what was asked for. */
  readonly bytes: number;
  /** Different for each buffer that a device ever had. */
  readonly id: number;
  /** The submission that names it last; commands of the one being recorded are not submitted yet. */
  submission: number;
  /** The keys of the bind groups that name it. */
  readonly bindGroups: Set<string>;
}

/** Sizes are multiples of this: few different ones, so that more of them come again. */
const GRAIN = 256;
/** Larger buffers are not kept. */
const LARGEST_KEPT = 8 * 2 ** 20;
/** All that are kept at a time. */
const MOST_KEPT = 64 * 2 ** 20;

/** The buffers that tensors live in. */
export class Buffers {
  readonly #device: GPUDevice;
  readonly #free = new Map<number, Block[]>();
  #kept = 0;
  #made = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** A buffer of at least so many bytes, whose values are not defined. */
  take(bytes: number): Block {
    const size = Math.ceil(bytes / GRAIN) * GRAIN;
    const kept = this.#free.get(size)?.pop();
    if (kept) {
      this.#kept -= size;
      return kept;
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.#device.createBuffer({ size, usage });
    return { buffer, bytes: size, id: this.#made++, submission: -1, bindGroups: new Set() };
  }

  /** Takes a buffer back; returns false if it is not kept, and so to be destroyed. */
  keep(block: Block): boolean {
    const { bytes } = block;
    if (bytes > LARGEST_KEPT || this.#kept + bytes > MOST_KEPT) return false;
    this.#kept += bytes;
    const same = this.#free.get(bytes);
    if (same) same.push(block);
    else this.#free.set(bytes, [block]);
    return true;
  }
}
