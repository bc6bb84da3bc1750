/**
 * Reads request bodies, and bounds their number, memory, time and rate.
 *
 * @module
 */

import { release } from "../image/release.ts";
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
  /** Maximum bytes of all bodies in memory. */
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
const fastBytesPerSecond = 2 ** 16;
/** Chunks allowed in addition to one per 16 bytes. */
const freeChunks = 1024;

/** The bodies of all requests. */
export class Uploads {
  readonly #limits: UploadLimits;
  readonly #inTransit = new Set<Transfer>();
  #bytes = 0;

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

  /** Bytes of all bodies in memory. */
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
      if (this.#inTransit.size >= this.#limits.maxUploads) this.#stopSlow(1, () => 1, transfer);
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
    const { capacity } = transfer;
    let held = capacity;
    return {
      bytes: transfer.bytes,
      release: () => {
        this.#bytes -= held;
        held = 0;
      },
    };
  }

  /** Rejects all bodies in transit. */
  rejectAll(error: RequestError): void {
    for (const transfer of this.#inTransit) transfer.stop(error);
  }

  /** Counts bytes before they are allocated. */
  #take(transfer: Transfer, added: number): void {
    const missing = this.#bytes + added - this.#limits.maxUploadBytes;
    if (missing > 0) this.#stopSlow(missing, ({ capacity }) => capacity, transfer);
    this.#bytes += added;
  }

  /**
   * Makes room for an upload: stops the slowest others.
   *
   * @param missing The room to make, in the unit of `roomOf`.
   * @throws {RequestError} If those that are slow do not have this much.
   */
  #stopSlow(missing: number, roomOf: (transfer: Transfer) => number, upload: Transfer): void {
    const slow = [...this.#inTransit].filter((other) =>
      other !== upload && other.rate < fastBytesPerSecond
    ).sort((a, b) => a.rate - b.rate || b.capacity - a.capacity);
    if (slow.reduce((sum, other) => sum + roomOf(other), 0) < missing) throw busy();
    for (const other of slow) {
      if (missing <= 0) break;
      missing -= roomOf(other);
      this.#inTransit.delete(other);
      this.#bytes -= other.capacity;
      other.drop();
      other.stop(new RequestError(408, "request body too slow for a busy server", closing));
    }
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
  /** Bytes allocated. */
  capacity = 0;
  /** Bytes per second in the last full step; Infinity before. */
  rate = Infinity;
  readonly #limits: UploadLimits;
  readonly #claimed: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #error: unknown;

  constructor(
    body: ReadableStream<Uint8Array<ArrayBuffer>>,
    claimed: number,
    limits: UploadLimits,
  ) {
    this.#reader = body.getReader();
    this.#claimed = claimed;
    this.#limits = limits;
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
   * @param onGrow Called with the number of bytes before they are allocated.
   */
  async receive(onGrow: (added: number) => void): Promise<void> {
    const { maxBytes } = this.#limits;
    // A timer that ends the read, and no race of promises: that would add a reaction per chunk.
    const stopTimers = this.#startTimers();
    let filled = 0, chunks = 0;
    const resize = (length: number) => {
      onGrow(length - this.capacity);
      this.capacity = length;
      this.bytes = resized(this.bytes, filled, length);
    };
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (this.stopped) throw this.#error;
        if (done) break;
        const end = filled + value.length;
        if (end > maxBytes) throw tooLarge(this.#limits);
        if (++chunks > freeChunks + end / 16) {
          throw new RequestError(400, "request body in too many small chunks", closing);
        }
        if (end > this.capacity) {
          // never the claimed length at once: at most twice what has arrived
          const most = this.#claimed >= end ? this.#claimed : maxBytes;
          resize(Math.min(Math.max(end, 2 * this.capacity), most));
        }
        this.bytes.set(value, filled);
        release(value);
        this.#received += end - filled;
        filled = end;
      }
    } finally {
      stopTimers();
    }
    // Some streams end early without an error.
    if (filled < this.#claimed) throw new RequestError(400, "request body incomplete", closing);
    resize(filled);
  }

  /** Bytes that arrived in the current step. */
  #received = 0;

  /** Stops the upload when it takes too long or is too slow. Returns a function that ends this. */
  #startTimers(): () => void {
    const { maxMs, minBytesPerSecond, rateMs } = this.#limits;
    const timeout = setTimeout(() => {
      this.stop(new RequestError(408, `request body timed out after ${maxMs / 1000} s`, closing));
    }, maxMs);
    const stepMs = rateMs / steps, recent: number[] = [];
    const step = () => {
      if (this.stopped) return void this.#reader.cancel(this.#error).catch(() => {});
      nextStep = setTimeout(step, stepMs);
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
