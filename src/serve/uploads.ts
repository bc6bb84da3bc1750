/**
 * Reads request bodies, and bounds their number, memory, time and rate.
 *
 * @module
 */

import { release } from "../image/release.ts";
import { type ChunkReader, chunkReader } from "./chunk_reader.ts";
import { checkLimit, checkMs } from "./limits.ts";
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

/** A body in memory, which counts towards the limits until it is released. */
export interface Upload {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Stops counting the bytes. */
  release(): void;
}

/** The rate is measured in this many steps. */
const steps = 5;
/** When space is short, an upload below this rate makes room, in bytes per second. */
const fastBytesPerSecond = 2 ** 13;
/** How often an upload that waits for room looks again, in milliseconds. */
const pollMs = 5;
/** Chunks allowed in addition to one per 16 bytes. */
const freeChunks = 1024;

/** The bodies of all requests. */
export class Uploads {
  readonly #limits: UploadLimits;
  readonly #inTransit = new Set<Transfer>();
  #bytes = 0;
  /** Bytes of complete bodies, which will be released soon. */
  #arrived = 0;

  /**
   * Creates a reader of bodies.
   *
   * @param op The function whose options the limits are, for errors.
   * @throws {ArgumentError} If a limit is not positive.
   */
  constructor(op: string, limits: UploadLimits) {
    for (const name of ["maxBytes", "maxUploads", "maxUploadBytes"] as const) {
      checkLimit(op, name, limits[name]);
    }
    checkLimit(op, "minBytesPerSecond", limits.minBytesPerSecond);
    for (const name of ["maxMs", "rateMs"] as const) checkMs(op, name, limits[name]);
    this.#limits = limits;
  }

  /** Number of bodies in transit. */
  get inTransit(): number {
    return this.#inTransit.size;
  }

  /** Bytes of memory for all bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Reads a body.
   *
   * @throws {RequestError} If it is too large, too slow or incomplete, or there is no space for it.
   */
  async read({ headers, body }: Request): Promise<Upload> {
    if (!body) return { bytes: new Uint8Array(0), release() {} };
    const claimed = Number(headers.get("content-length")) || 0;
    const transfer = new Transfer(body, claimed, this.#limits);
    try {
      if (claimed > this.#limits.maxBytes) throw tooLarge(this.#limits);
      const isFull = this.#inTransit.size >= this.#limits.maxUploads;
      if (isFull && !this.#stopSlow(1, () => 1, transfer)) throw busy();
      this.#inTransit.add(transfer);
      await transfer.receive((added) => this.#take(transfer, added));
    } catch (error) {
      transfer.stop(error);
      this.#bytes -= transfer.capacity;
      throw error instanceof RequestError
        ? error
        : new RequestError(400, "request body incomplete");
    } finally {
      this.#inTransit.delete(transfer);
    }
    let held = transfer.capacity;
    this.#arrived += held;
    return {
      bytes: transfer.bytes,
      release: () => {
        this.#bytes -= held;
        this.#arrived -= held;
        held = 0;
      },
    };
  }

  /** Rejects all bodies in transit. */
  rejectAll(error: RequestError): void {
    for (const transfer of this.#inTransit) transfer.stop(error);
  }

  /**
   * Counts bytes before they are allocated, and waits until there is room for them. To prevent a deadlock,
   * the oldest upload may exceed the limit when only uploads that wait hold memory. An upload can always
   * give back bytes.
   *
   * @param added The bytes to count. Negative to give some back.
   */
  async #take(transfer: Transfer, added: number): Promise<void> {
    for (;;) {
      const missing = this.#bytes + added - this.#limits.maxUploadBytes;
      const isFirst = () => this.#inTransit.values().next().value === transfer;
      if (missing <= 0 || added <= 0 || this.#arrived === 0 && isFirst()) break;
      if (this.#stopSlow(missing, ({ capacity }) => capacity, transfer)) break;
      // by polling: on edge runtimes, one request cannot wake another
      await transfer.pause(pollMs);
      if (transfer.stopped) return;
    }
    this.#bytes += added;
    transfer.capacity += added;
  }

  /**
   * Makes room for an upload by stopping the slowest others. Stops none if all slow ones together do not
   * make enough room.
   *
   * @param missing The room to make, in the unit of `roomOf`.
   * @returns Whether there is room now.
   */
  #stopSlow(missing: number, roomOf: (transfer: Transfer) => number, upload: Transfer): boolean {
    const slow = [...this.#inTransit].filter((other) =>
      other !== upload && other.rate < fastBytesPerSecond
    ).sort((a, b) => a.rate - b.rate || b.capacity - a.capacity);
    if (slow.reduce((sum, other) => sum + roomOf(other), 0) < missing) return false;
    for (const other of slow) {
      if (missing <= 0) break;
      missing -= roomOf(other);
      this.#inTransit.delete(other);
      this.#bytes -= other.capacity;
      other.drop();
      other.stop(new RequestError(408, "request body too slow for a busy server", closing));
    }
    return true;
  }
}

/** Clients whose bodies are not read to the end must not reuse the connection. */
const closing = { connection: "close" } as const;

function tooLarge({ maxBytes }: UploadLimits): RequestError {
  return new RequestError(413, `request body larger than ${maxBytes} bytes`, closing);
}

/** One body in transit. */
class Transfer {
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
    const { maxMs, minBytesPerSecond, rateMs } = this.#limits;
    const timeout = setTimeout(() => {
      const reason = `request body timed out after ${maxMs / 1000} s`;
      this.stop(this.#paused ? busy() : new RequestError(408, reason, closing));
    }, maxMs);
    const stepMs = rateMs / steps, recent: number[] = [];
    let before = performance.now();
    const step = () => {
      if (this.stopped) return void this.#reader.cancel(this.#error).catch(() => {});
      nextStep = setTimeout(step, stepMs);
      const now = performance.now(), late = now - before > 1.5 * stepMs;
      before = now;
      // not the client's fault: no room here, or no time
      if (this.#paused || late) {
        recent.length = this.#received = 0;
        this.rate = Infinity;
        return;
      }
      this.rate = this.#received * 1000 / stepMs;
      recent.push(this.#received);
      this.#received = 0;
      if (recent.length < steps) return;
      const bytes = recent.reduce((a, b) => a + b);
      recent.shift();
      if (bytes * 1000 < minBytesPerSecond * rateMs) {
        const reason = `request body too slow: below ${minBytesPerSecond} bytes per second`;
        this.stop(new RequestError(408, reason, closing));
      }
    };
    let nextStep = setTimeout(step, stepMs);
    return () => {
      clearTimeout(timeout);
      clearTimeout(nextStep);
    };
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
