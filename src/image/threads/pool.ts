/**
 * A pool of workers that decode images while the calling thread does other work. Deno only.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import { readHeader } from "../header.ts";
import { MemoryBudget } from "../memory_budget.ts";
import { checkSize } from "../pixels.ts";
import type { PreparedImage, PrepareOptions } from "../prepare.ts";
import type { Preprocessing } from "../preprocess.ts";
import { release } from "../release.ts";
import type { DecodeJob } from "./protocol.ts";
import { DecodeThread, ThreadCrashError, ThreadStoppedError } from "./thread.ts";

/** Options of {@linkcode DecodePool}. */
export interface DecodePoolOptions {
  /**
   * Memory in bytes for all images that are being decoded or wait for a worker. Others wait for their
   * share, and an image that needs more than all of it is rejected. Default: no limit.
   */
  readonly memoryBytes?: number;
  /**
   * Milliseconds for each image, without the time it waits. Then its worker is replaced. Infinity for
   * no deadline. Default: 10,000.
   */
  readonly deadlineMs?: number;
}

/** Options of {@linkcode DecodePool.decode}. */
export interface PoolDecodeOptions extends PrepareOptions {
  /**
   * Drops the image, for example because a client has left. The promise rejects with the signal's
   * reason at once. A worker that has begun the image finishes it, or misses the deadline.
   */
  readonly signal?: AbortSignal;
}

/** Workers that decode images and preprocess them for a network. */
export class DecodePool implements Disposable {
  readonly #preprocessing: Preprocessing;
  readonly #threads: DecodeThread[];
  readonly #memory: MemoryBudget | undefined;
  readonly #deadlineMs: number;
  #started = false;
  /** The worker that retries one image by itself. */
  #retryThread: DecodeThread | undefined;
  #lastRetry: Promise<unknown> = Promise.resolve();

  /**
   * Starts the workers.
   *
   * @param count Number of workers.
   * @param preprocessing Applied to every image.
   * @throws {ArgumentError} When `count` or an option is not positive.
   */
  constructor(count: number, preprocessing: Preprocessing, options: DecodePoolOptions = {}) {
    const { memoryBytes, deadlineMs = 10_000 } = options;
    checkSize("DecodePool", "count", count);
    if (!(deadlineMs > 0)) {
      throw new ArgumentError("DecodePool", "deadlineMs", deadlineMs, "a positive number");
    }
    this.#preprocessing = preprocessing;
    this.#memory = memoryBytes === undefined ? undefined : new MemoryBudget(memoryBytes);
    this.#deadlineMs = deadlineMs;
    this.#threads = Array.from({ length: count }, () => new DecodeThread(deadlineMs));
  }

  /**
   * Decodes an image and preprocesses it.
   *
   * If an image crashes its worker or misses its deadline, only that image is rejected: a new worker
   * takes over, and the other images of the worker are decoded again.
   *
   * @param bytes The whole file. Do not change it while it is being decoded; it is empty afterwards.
   * @throws {TooLargeError} When the image has too many pixels, or needs more than all of the memory.
   * @throws {FileError} When the image cannot be decoded; see `decodeImage()`.
   * @throws {DecodeTimeoutError} When the image misses its deadline.
   * @throws {ThreadCrashError} When the image crashes a worker that holds no other image.
   * @throws {ThreadStartError} When workers cannot start.
   */
  async decode(
    bytes: Uint8Array<ArrayBuffer>,
    { signal, ...options }: PoolDecodeOptions = {},
  ): Promise<PreparedImage> {
    let running: Promise<PreparedImage> | undefined;
    try {
      signal?.throwIfAborted();
      const { name } = options;
      // The worker has a copy of the file.
      const needed = this.#memory ? readHeader(bytes, options).memory + bytes.length : 0;
      const share = await this.#memory?.acquire(needed, { name, signal });
      const job = { bytes, preprocessing: this.#preprocessing, options };
      running = this.#run(job, signal).finally(() => {
        share?.release();
        release(bytes);
      });
      return await withSignal(running, signal);
    } finally {
      if (!running) release(bytes);
    }
  }

  async #run(job: DecodeJob, signal: AbortSignal | undefined): Promise<PreparedImage> {
    while (true) {
      try {
        return await this.#leastBusy().decode(job, signal);
      } catch (error) {
        const crashed = error instanceof ThreadCrashError;
        if (!crashed && !(error instanceof ThreadStoppedError)) throw error;
        signal?.throwIfAborted(); // nobody wants it any more
        if (crashed) return await this.#retryAlone(job, signal);
      }
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
      threads[crashed] = new DecodeThread(this.#deadlineMs);
    }
    return threads.reduce((a, b) => b.load < a.load ? b : a);
  }

  /** Decodes in a new worker, one image at a time: if that crashes, this image is the cause. */
  #retryAlone(job: DecodeJob, signal: AbortSignal | undefined): Promise<PreparedImage> {
    const image = this.#lastRetry.then(async () => {
      signal?.throwIfAborted();
      using thread = this.#retryThread = new DecodeThread(this.#deadlineMs);
      return await thread.decode(job, signal);
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

/** The result of a promise, or the signal's reason if that comes first. */
function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    promise.finally(() => signal.removeEventListener("abort", onAbort)).then(resolve, reject);
  });
}
