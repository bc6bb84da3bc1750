/**
 * A worker that decodes images, and who waits for them; in Deno.
 *
 * @module
 */

import { FileError, PembrokeError, TooLargeError } from "../../errors.ts";
import type { Answer, Said } from "./worker.ts";
import type { DecodeOptions } from "../decode.ts";
import type { Decoded } from "../prepare.ts";
import type { Preprocessing } from "../preprocess.ts";

/** What a worker is told. */
export interface Job {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly preprocessing: Preprocessing;
  readonly options: Pick<DecodeOptions, "name" | "maxPixels" | "reuse">;
}

/** Who waits for an image. */
interface Waiting {
  readonly resolve: (decoded: Decoded) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker has ended before it had decoded what was in it. */
export class ThreadEndedError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadEndedError";
}

/** Workers do not even start. */
export class ThreadStartError extends PembrokeError {
  /** The class's name. */
  override name = "ThreadStartError";
}

/** A worker, from its start to its end. */
export class DecodeThread implements Disposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #started = false;
  #end: ThreadEndedError | ThreadStartError | undefined;
  #number = 0;

  /** Starts the worker. */
  constructor() {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<Said>) => {
      if ("started" in data) this.#started = true;
      else if ("ended" in data) this.#fail(data.ended);
      else this.#settle(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
  }

  /** Whether it has ever run. */
  get started(): boolean {
    return this.#started;
  }

  /** What has ended it, unless it lives. */
  get end(): ThreadEndedError | ThreadStartError | undefined {
    return this.#end;
  }

  /** How many images are in it; one that has ended takes none. */
  get load(): number {
    return this.#end ? Infinity : this.#waiting.size;
  }

  /**
   * Decodes an image and preprocesses it.
   *
   * @throws {FileError} As `decodeImage()` does.
   * @throws {ThreadEndedError} When the worker ends before, because of this image or of another.
   * @throws {ThreadStartError} When it cannot start.
   */
  decode(job: Job): Promise<Decoded> {
    return new Promise((resolve, reject) => {
      if (this.#end) throw this.#end;
      const number = this.#number++;
      this.#worker.postMessage({ ...job, number });
      this.#waiting.set(number, { resolve, reject });
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.number);
    if (!waiting) return; // the end has come before it
    const { resolve, reject } = waiting;
    this.#waiting.delete(answer.number);
    if ("decoded" in answer) resolve(answer.decoded);
    else if ("file" in answer) {
      const { file, reason, tooLarge } = answer;
      reject(tooLarge ? new TooLargeError(file, reason) : new FileError(file, reason));
    } else reject(answer.unexpected);
  }

  #fail(message: string): void {
    const [reason] = message.split("\n", 1);
    const end = this.#started
      ? new ThreadEndedError(`a thread that decodes images ended: ${reason}`)
      : new ThreadStartError(`threads that decode images cannot start: ${reason}`);
    this.#end ??= end;
    for (const { reject } of this.#waiting.values()) reject(end);
    this.#waiting.clear();
  }

  /** Ends the worker; who waits for an image waits for ever. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
