/**
 * Decoding on threads of its own, beside whatever the caller's thread does; in Deno.
 *
 * @module
 */

import { FileError, PembrokeError } from "../errors.ts";
import type { Answer } from "./decode_worker.ts";
import type { DecodeOptions } from "./decode.ts";
import type { Decoded } from "./decoded.ts";
import type { Preprocessing } from "./preprocess.ts";

/** What a worker is told. */
export interface Job {
  readonly number: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly preprocessing: Preprocessing;
  readonly options: Pick<DecodeOptions, "name" | "maxPixels" | "reuse">;
}

/** Who waits for an image. */
interface Waiting {
  readonly resolve: (decoded: Decoded) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker and what it was given. */
interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Waiting>;
}

/** Workers that decode images and preprocess them for a network. */
export class Decoders implements Disposable {
  readonly #preprocessing: Preprocessing;
  readonly #threads: Thread[];
  #number = 0;

  /**
   * Starts the workers.
   *
   * @param count How many.
   * @param preprocessing What happens to each image.
   */
  constructor(count: number, preprocessing: Preprocessing) {
    this.#preprocessing = preprocessing;
    this.#threads = Array.from({ length: count }, start);
  }

  /**
   * Decodes an image and preprocesses it.
   *
   * @param bytes The whole file; it goes to the worker and is empty here afterwards.
   * @throws {FileError} As `decodeImage()` does.
   */
  decode(bytes: Uint8Array<ArrayBuffer>, options: Job["options"] = {}): Promise<Decoded> {
    const number = this.#number++, preprocessing = this.#preprocessing;
    // a worker has its next image before it has done the last: it need not wait for this thread
    const thread = this.#threads.reduce((a, b) => b.jobs.size < a.jobs.size ? b : a);
    return new Promise((resolve, reject) => {
      thread.jobs.set(number, { resolve, reject });
      const job: Job = { number, bytes, preprocessing, options };
      thread.worker.postMessage(job, [bytes.buffer]);
    });
  }

  /** Ends the workers. */
  [Symbol.dispose](): void {
    for (const { worker } of this.#threads) worker.terminate();
  }
}

function start(): Thread {
  const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
  const jobs: Thread["jobs"] = new Map();
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    const { resolve, reject } = jobs.get(data.number)!;
    jobs.delete(data.number);
    if ("decoded" in data) resolve(data.decoded);
    else if ("file" in data) reject(new FileError(data.file, data.reason));
    else reject(data.unexpected);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const error = new PembrokeError(`a thread that decodes images ended: ${event.message}`);
    for (const { reject } of jobs.values()) reject(error);
    jobs.clear();
  };
  return { worker, jobs };
}
