/**
 * Decoding on threads of its own, beside whatever the caller's thread does; in Deno.
 *
 * @module
 */

import { DecodeThread, type Job, ThreadEndedError } from "./thread.ts";
import type { Decoded } from "../prepare.ts";
import type { Preprocessing } from "../preprocess.ts";
import { release } from "../release.ts";

/** Workers that decode images and preprocess them for a network. */
export class Decoders implements Disposable {
  readonly #preprocessing: Preprocessing;
  readonly #threads: DecodeThread[];
  #started = false;
  /** The one that has a single image in it. */
  #apart: DecodeThread | undefined;
  #lastApart: Promise<unknown> = Promise.resolve();

  /**
   * Starts the workers.
   *
   * @param count How many.
   * @param preprocessing What happens to each image.
   */
  constructor(count: number, preprocessing: Preprocessing) {
    this.#preprocessing = preprocessing;
    this.#threads = Array.from({ length: count }, () => new DecodeThread());
  }

  /**
   * Decodes an image and preprocesses it. One that ends a worker is rejected, and no other: a new
   * worker takes the place, and images that were in the old one are decoded once more.
   *
   * @param bytes The whole file; it must not change meanwhile, and is empty afterwards.
   * @throws {FileError} As `decodeImage()` does.
   * @throws {ThreadEndedError} When the image has ended a worker that had no other.
   * @throws {ThreadStartError} When workers cannot start.
   */
  async decode(
    bytes: Uint8Array<ArrayBuffer>,
    options: Job["options"] = {},
  ): Promise<Decoded> {
    const job: Job = { bytes, preprocessing: this.#preprocessing, options };
    try {
      return await this.#leastBusy().decode(job);
    } catch (error) {
      if (!(error instanceof ThreadEndedError)) throw error;
      return await this.#decodeApart(job);
    } finally {
      release(bytes);
    }
  }

  /** A worker has its next image before it has done the last: it need not wait for this thread. */
  #leastBusy(): DecodeThread {
    const threads = this.#threads;
    this.#started ||= threads.some(({ started }) => started);
    // where none has ever started, none would now
    const ended = this.#started ? threads.findIndex(({ end }) => end) : -1;
    if (ended >= 0) {
      threads[ended][Symbol.dispose]();
      threads[ended] = new DecodeThread();
    }
    return threads.reduce((a, b) => b.load < a.load ? b : a);
  }

  /** In a worker of its own, one image after the other: whatever ends that one is to blame. */
  #decodeApart(job: Job): Promise<Decoded> {
    const decoded = this.#lastApart.then(async () => {
      using thread = this.#apart = new DecodeThread();
      return await thread.decode(job);
    });
    this.#lastApart = decoded.catch(() => {});
    return decoded;
  }

  /** Ends the workers. */
  [Symbol.dispose](): void {
    for (const thread of this.#threads) thread[Symbol.dispose]();
    this.#apart?.[Symbol.dispose]();
  }
}
