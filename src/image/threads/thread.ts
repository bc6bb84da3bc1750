/**
 * One worker that decodes images, and the promises that wait for its results. Deno only.
 *
 * @module
 */

import { FileError, PembrokeError, TooLargeError } from "../../errors.ts";
import type { PreparedImage } from "../prepare.ts";
import type { DecodeJob, DecodeRequest, DecodeResult, WorkerMessage } from "./protocol.ts";

/** The two ends of a promise that `decode()` has returned. */
interface PendingDecode {
  readonly resolve: (image: PreparedImage) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker crashed before it finished its images. */
export class ThreadCrashError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadCrashError";
}

/** Workers cannot start at all. */
export class ThreadStartError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadStartError";
}

/** A worker that decodes images. Once it has crashed, it stays unusable. */
export class DecodeThread implements Disposable {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingDecode>();
  #started = false;
  #error: ThreadCrashError | ThreadStartError | undefined;
  #nextId = 0;

  /** Starts the worker. */
  constructor() {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if ("started" in data) this.#started = true;
      else if ("crashed" in data) this.#fail(data.crashed);
      else this.#settle(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
  }

  /** Whether the worker has started, even if it has crashed since. */
  get started(): boolean {
    return this.#started;
  }

  /** Why the worker stopped; undefined while it runs. */
  get error(): ThreadCrashError | ThreadStartError | undefined {
    return this.#error;
  }

  /** Images that this worker has yet to finish; Infinity once it has stopped. */
  get load(): number {
    return this.#error ? Infinity : this.#pending.size;
  }

  /**
   * Decodes an image and preprocesses it.
   *
   * @throws {FileError} If the image cannot be decoded; see `decodeImage()`.
   * @throws {ThreadCrashError} If the worker crashes first, on this image or on another.
   * @throws {ThreadStartError} If the worker cannot start.
   */
  decode(job: DecodeJob): Promise<PreparedImage> {
    return new Promise((resolve, reject) => {
      if (this.#error) throw this.#error;
      const id = this.#nextId++;
      this.#worker.postMessage({ ...job, id } satisfies DecodeRequest);
      this.#pending.set(id, { resolve, reject });
    });
  }

  #settle(result: DecodeResult): void {
    const pending = this.#pending.get(result.id);
    if (!pending) return; // already rejected by a crash
    const { resolve, reject } = pending;
    this.#pending.delete(result.id);
    if ("image" in result) resolve(result.image);
    else if ("file" in result) {
      const { file, reason, tooLarge } = result;
      reject(tooLarge ? new TooLargeError(file, reason) : new FileError(file, reason));
    } else reject(result.error);
  }

  #fail(message: string): void {
    const [reason] = message.split("\n", 1);
    const error = this.#started
      ? new ThreadCrashError(`the decoding thread crashed: ${reason}`)
      : new ThreadStartError(`cannot start decoding threads: ${reason}`);
    this.#error ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  /** Stops the worker. Pending decodes never settle. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
