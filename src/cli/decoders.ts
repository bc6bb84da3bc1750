/** Decodes the photos of a server: large ones apart, so that others need not wait for them. */

import { readHeader } from "../image/header.ts";
import { DecodePool } from "../image/threads/pool.ts";
import type { Preprocessing } from "../image/preprocess.ts";
import type { DecodedPhoto, PhotoHandlerOptions } from "../serve/mod.ts";
import { busy } from "../serve/request_error.ts";

/** Photos with more pixels are large. Phones take 12 megapixels, and rarely more. */
const largePixels = 16e6;
/** The part of the memory that is for large photos. */
const largeShare = 3 / 4;
/** Maximum large photos that are decoded or wait for that. */
const maxLarge = 16;

/** Workers for small photos, one for each processor, and one for large photos. */
export class Decoders implements Disposable {
  readonly #small: DecodePool;
  readonly #large: DecodePool;
  readonly #smallMemory: number;
  #largeCount = 0;

  /**
   * Starts the workers.
   *
   * @param memory Bytes for all photos at once.
   */
  constructor(preprocessing: Preprocessing, memory: number) {
    const processors = navigator.hardwareConcurrency;
    const large = Math.ceil(memory * largeShare), small = Math.max(memory - large, 1);
    this.#smallMemory = small;
    this.#small = new DecodePool(processors, preprocessing, { memoryBytes: small });
    this.#large = new DecodePool(1, preprocessing, { memoryBytes: large });
  }

  /**
   * Decodes a photo and preprocesses it.
   *
   * @throws {RequestError} When too many large photos wait.
   */
  async decode(
    bytes: Uint8Array<ArrayBuffer>,
    options: Parameters<NonNullable<PhotoHandlerOptions["decode"]>>[1],
  ): Promise<DecodedPhoto> {
    const { size: { width, height }, memory } = readHeader(bytes, options);
    const isLarge = width * height > largePixels || memory + bytes.length > this.#smallMemory;
    if (isLarge && this.#largeCount >= maxLarge) throw busy();
    this.#largeCount += Number(isLarge);
    try {
      const pool = isLarge ? this.#large : this.#small;
      const { values: input, ...rest } = await pool.decode(bytes, options);
      return { ...rest, input };
    } finally {
      this.#largeCount -= Number(isLarge);
    }
  }

  /** Stops the workers. */
  [Symbol.dispose](): void {
    this.#small[Symbol.dispose]();
    this.#large[Symbol.dispose]();
  }
}
