/**
 * One worker that decodes images, and the promises that wait for its results. Deno only.
 *
 * @module
 */

import { FileError, fromMessage, PembrokeError } from "../../errors.ts";
import type { PreparedImage } from "../prepare.ts";
import type { DecodeJob, DecodeRequest, DecodeResult, WorkerMessage } from "./protocol.ts";

/** An image that was sent to the worker. */
interface PendingDecode {
  readonly job: DecodeJob;
  readonly resolve: (image: PreparedImage) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker crashed before it finished its images. */
export class ThreadCrashError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadCrashError";
}

/** A worker was stopped because another of its images missed the deadline. */
export class ThreadStoppedError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadStoppedError";
}

/** Workers cannot start at all. */
export class ThreadStartError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadStartError";
}

/** An image took longer to decode than allowed. */
export class DecodeTimeoutError extends FileError {
  /** The class's name. */
  override name = "DecodeTimeoutError";
}

/** Why a worker decodes no more images. */
type ThreadError = ThreadCrashError | ThreadStoppedError | ThreadStartError;

/** Stands for the reason of the signal that cancelled an image. */
const cancelledError = new PembrokeError("cancelled");

/**
 * When a deadline has passed, results that the worker sent in time may still be unread, because this
 * thread was busy. They have this many milliseconds to arrive.
 */
const graceMs = 100;

/** A worker that decodes images, one at a time. Once it has crashed, it stays unusable. */
export class DecodeThread implements Disposable {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingDecode>();
  #started = false;
  #error: ThreadError | undefined;
  #nextId = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Starts the worker.
   *
   * @param deadlineMs Milliseconds for each image, after which the worker is stopped.
   */
  constructor(readonly deadlineMs: number) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if ("started" in data) this.#started = true;
      else if ("crashed" in data) this.#crash(data.crashed);
      else if ("begins" in data) this.#startTimer(data.begins);
      else this.#settle(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#crash(event.message);
    };
  }

  /** Whether the worker has started, even if it has crashed since. */
  get started(): boolean {
    return this.#started;
  }

  /** Why the worker stopped; undefined while it runs. */
  get error(): ThreadError | undefined {
    return this.#error;
  }

  /** Images that this worker has yet to finish; Infinity once it has stopped. */
  get load(): number {
    return this.#error ? Infinity : this.#pending.size;
  }

  /**
   * Decodes an image and preprocesses it.
   *
   * @param signal Cancels the image if the worker has not begun it. Otherwise, the promise settles
   * when the worker has finished it.
   * @throws {FileError} When the image cannot be decoded; see `decodeImage()`.
   * @throws {DecodeTimeoutError} When the image takes longer than the deadline.
   * @throws {ThreadCrashError} When the worker crashes first, on this image or on another.
   * @throws {ThreadStoppedError} When another image missed its deadline.
   * @throws {ThreadStartError} When the worker cannot start.
   */
  async decode(job: DecodeJob, signal?: AbortSignal): Promise<PreparedImage> {
    if (this.#error) throw this.#error;
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const cancelled = signal && new Uint8Array(new SharedArrayBuffer(1));
    const onAbort = () => void Atomics.store(cancelled!, 0, 1);
    signal?.addEventListener("abort", onAbort);
    try {
      return await new Promise((resolve, reject) => {
        this.#worker.postMessage({ ...job, id, cancelled } satisfies DecodeRequest);
        this.#pending.set(id, { job, resolve, reject });
      });
    } catch (error) {
      throw error === cancelledError ? signal!.reason : error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #settle(result: DecodeResult): void {
    const pending = this.#pending.get(result.id);
    if (!pending) return; // already rejected by a crash
    const { resolve, reject } = pending;
    this.#pending.delete(result.id);
    clearTimeout(this.#timer);
    if ("image" in result) resolve(result.image);
    else if ("cancelled" in result) reject(cancelledError);
    else if ("fileError" in result) reject(fromMessage(result.fileError));
    else reject(result.error);
  }

  #startTimer(id: number): void {
    clearTimeout(this.#timer);
    if (!Number.isFinite(this.deadlineMs)) return;
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => this.#timeOut(id), graceMs);
    }, this.deadlineMs);
  }

  #timeOut(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    const { name = "image" } = pending.job.options;
    const seconds = this.deadlineMs / 1000;
    pending.reject(new DecodeTimeoutError(name, `takes longer than ${seconds} s to decode`));
    this.#stop(new ThreadStoppedError("the decoding thread was stopped"));
    this.#worker.terminate();
  }

  #crash(message: string): void {
    const [reason] = message.split("\n", 1);
    this.#stop(
      this.#started
        ? new ThreadCrashError(`the decoding thread crashed: ${reason}`)
        : new ThreadStartError(`cannot start decoding threads: ${reason}`),
    );
  }

  #stop(error: ThreadError): void {
    clearTimeout(this.#timer);
    this.#error ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  /** Stops the worker. Pending decodes never settle. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#worker.terminate();
  }
}
