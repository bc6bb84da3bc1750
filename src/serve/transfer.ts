/**
 * One request body on its way into memory.
 *
 * @module
 */

import { release } from "../image/release.ts";
import { type ChunkReader, chunkReader } from "./chunk_reader.ts";
import { busy, RequestError } from "./request_error.ts";

/** Limits on the bodies of all requests together, and on each. */
export interface UploadLimits {
  /** Maximum size of a body in bytes. */
  readonly maxBytes: number;
  /** Maximum time to receive a body, in milliseconds. */
  readonly maxMs: number;
  /** Maximum number of bodies in transit. */
  readonly maxUploads: number;
  /** Maximum bytes of memory for all bodies. */
  readonly maxUploadBytes: number;
  /** Minimum rate of a body in bytes per second. */
  readonly minBytesPerSecond: number;
  /** Time over which the rate is measured, in milliseconds. */
  readonly rateMs: number;
}

/** The rate is measured in this many steps. */
const steps = 5;
/** Chunks allowed in addition to one per 16 bytes. */
const freeChunks = 1024;

/** Clients whose bodies are not read to the end must not reuse the connection. */
export const closing = { connection: "close" } as const;

/** The error for a body above the limit. */
export function tooLarge({ maxBytes }: UploadLimits): RequestError {
  return new RequestError(413, `request body larger than ${maxBytes} bytes`, closing);
}

/** One body in transit. */
export class Transfer {
  /** What has arrived. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Bytes allocated, for what has arrived and for the next chunk. */
  capacity = 0;
  /** Bytes per second in the last full step; Infinity before. */
  rate = Infinity;
  readonly #limits: UploadLimits;
  readonly #claimed: number;
  readonly #reader: ChunkReader;
  /** Bytes that arrived in the current step. */
  #received = 0;
  /** Whether the upload waits for room. */
  #paused = false;
  #error: unknown;

  constructor(
    body: ReadableStream<Uint8Array<ArrayBuffer>>,
    claimed: number,
    limits: UploadLimits,
  ) {
    this.#reader = chunkReader(body);
    this.#claimed = claimed;
    this.#limits = limits;
  }

  /** Waits for room. The rate is not measured meanwhile. */
  async pause(ms: number): Promise<void> {
    this.#paused = true;
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#paused = false;
  }

  /** Frees what has arrived. */
  drop(): void {
    release(this.bytes);
    this.capacity = 0;
  }

  /** Whether it was stopped. */
  get stopped(): boolean {
    return this.#error !== undefined;
  }

  /** Makes `receive()` throw this error. Later calls do nothing. */
  stop(error: unknown): void {
    if (this.stopped) return;
    this.#error = error;
    // Ends the pending read. Not awaited: the client may be gone.
    try {
      this.#reader.cancel(error).catch(() => {});
    } catch {
      // On workerd, another request cannot do this. The next step of the timer does.
    }
  }

  /**
   * Receives the whole body.
   *
   * @param reserve Adds to `capacity` before bytes are allocated, and may wait.
   */
  async receive(reserve: (added: number) => Promise<void>): Promise<void> {
    const { maxBytes } = this.#limits, reader = this.#reader;
    // A timer that ends the read, and no race of promises: that would add a reaction per chunk.
    const stopTimers = this.#startTimers();
    let filled = 0, chunks = 0;
    const resize = async (length: number) => {
      await reserve(length + reader.bufferBytes - this.capacity);
      if (this.stopped) throw this.#error;
      this.bytes = resized(this.bytes, filled, length);
    };
    try {
      for (;;) {
        const { length } = this.bytes;
        if (length + reader.bufferBytes > this.capacity) await resize(length);
        const value = await reader.read();
        if (this.stopped) throw this.#error;
        if (!value) break;
        const end = filled + value.length;
        if (end > maxBytes) throw tooLarge(this.#limits);
        if (++chunks > freeChunks + end / 16) {
          throw new RequestError(400, "request body in too many small chunks", closing);
        }
        if (end > length) {
          // never the claimed length at once: at most twice what has arrived
          const most = this.#claimed >= end ? this.#claimed : maxBytes;
          await resize(Math.min(Math.max(end, 2 * length), most));
        }
        this.bytes.set(value, filled);
        this.#received += end - filled;
        filled = end;
      }
    } catch (error) {
      throw this.#error ?? error; // on workerd, a read rejects when it is cancelled
    } finally {
      stopTimers();
    }
    // Some streams end early without an error.
    if (filled < this.#claimed) throw new RequestError(400, "request body incomplete", closing);
    await resize(filled);
  }

  /** Stops the upload when it takes too long or is too slow. Returns a function that ends this. */
  #startTimers(): () => void {
    const { maxMs } = this.#limits;
    const timeout = setTimeout(() => {
      const reason = `request body timed out after ${maxMs / 1000} s`;
      this.stop(this.#paused ? busy() : new RequestError(408, reason, closing));
    }, maxMs);
    const stopWatching = this.#watchRate();
    return () => {
      clearTimeout(timeout);
      stopWatching();
    };
  }

  /** Measures the rate in steps, and stops an upload that is too slow. Returns a function that ends this. */
  #watchRate(): () => void {
    const { minBytesPerSecond, rateMs } = this.#limits, stepMs = rateMs / steps;
    const recent: number[] = []; // the bytes of the last steps
    let before = performance.now();
    const step = () => {
      // again, because workerd did not let another request's `stop()` cancel the read
      if (this.stopped) return void this.#reader.cancel(this.#error).catch(() => {});
      timer = setTimeout(step, stepMs);
      const now = performance.now(), isLate = now - before > 1.5 * stepMs;
      const received = this.#received;
      before = now;
      this.#received = 0;
      if (this.#paused || isLate) { // not the client's fault: no room here, or no time
        recent.length = 0;
        this.rate = Infinity;
        return;
      }
      this.rate = received * 1000 / stepMs;
      recent.push(received);
      if (recent.length < steps) return;
      const bytes = recent.reduce((a, b) => a + b);
      recent.shift();
      if (bytes * 1000 < minBytesPerSecond * rateMs) {
        const reason = `request body too slow: below ${minBytesPerSecond} bytes per second`;
        this.stop(new RequestError(408, reason, closing));
      }
    };
    let timer = setTimeout(step, stepMs);
    return () => clearTimeout(timer);
  }
}

/** The first `filled` bytes of an array in one of another length; frees the old one. */
function resized(
  bytes: Uint8Array<ArrayBuffer>,
  filled: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  if (bytes.length === length) return bytes;
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, filled));
  release(bytes);
  return result;
}
