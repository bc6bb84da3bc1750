/**
 * A pool of workers that decode images while the calling thread does other work. Deno only.
 *
 * @module
 */

import type { PreparedImage, PrepareOptions } from "../prepare.ts";
import type { Preprocessing } from "../preprocess.ts";
import { release } from "../release.ts";
import type { DecodeJob } from "./protocol.ts";
import { DecodeThread, ThreadCrashError } from "./thread.ts";

/** Workers that decode images and preprocess them for a network. */
export class DecodePool implements Disposable {
  readonly #preprocessing: Preprocessing;
  readonly #threads: DecodeThread[];
  #started = false;
  /** The worker that retries one image by itself. */
  #retryThread: DecodeThread | undefined;
  #lastRetry: Promise<unknown> = Promise.resolve();

  /**
   * Starts the workers.
   *
   * @param count Number of workers.
   * @param preprocessing Applied to every image.
   */
  constructor(count: number, preprocessing: Preprocessing) {
    this.#preprocessing = preprocessing;
    this.#threads = Array.from({ length: count }, () => new DecodeThread());
  }

  /**
   * Decodes an image and preprocesses it.
   *
   * If an image crashes its worker, only that image is rejected: a new worker takes over, and the
   * other images of the crashed worker are decoded again.
   *
   * @param bytes The whole file. Do not change it while it is being decoded; it is empty afterwards.
   * @throws {FileError} If the image cannot be decoded; see `decodeImage()`.
   * @throws {ThreadCrashError} If the image crashes a worker that holds no other image.
   * @throws {ThreadStartError} If workers cannot start.
   */
  async decode(
    bytes: Uint8Array<ArrayBuffer>,
    options: PrepareOptions = {},
  ): Promise<PreparedImage> {
    const job: DecodeJob = { bytes, preprocessing: this.#preprocessing, options };
    try {
      return await this.#leastBusy().decode(job);
    } catch (error) {
      if (!(error instanceof ThreadCrashError)) throw error;
      return await this.#retryAlone(job);
    } finally {
      release(bytes);
    }
  }

  /** Workers queue images, so that none has to wait for this thread between two of them. */
  #leastBusy(): DecodeThread {
    const threads = this.#threads;
    this.#started ||= threads.some(({ started }) => started);
    // If no worker ever started, a new one would not either.
    const crashed = this.#started ? threads.findIndex(({ error }) => error) : -1;
    if (crashed >= 0) {
      threads[crashed][Symbol.dispose]();
      threads[crashed] = new DecodeThread();
    }
    return threads.reduce((a, b) => b.load < a.load ? b : a);
  }

  /** Decodes in a new worker, one image at a time: if that crashes, this image is the cause. */
  #retryAlone(job: DecodeJob): Promise<PreparedImage> {
    const image = this.#lastRetry.then(async () => {
      using thread = this.#retryThread = new DecodeThread();
      return await thread.decode(job);
    });
    this.#lastRetry = image.catch(() => {});
    return image;
  }

  /** Stops the workers. Pending decodes never settle. */
  [Symbol.dispose](): void {
    for (const thread of this.#threads) thread[Symbol.dispose]();
    this.#retryThread?.[Symbol.dispose]();
  }
}
