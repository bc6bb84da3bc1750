/**
 * Reads request bodies, and bounds their number, memory, time and rate.
 *
 * @module
 */

import { checkLimit, checkMs } from "./limits.ts";
import { busy, RequestError } from "./request_error.ts";
import { closing, tooLarge, Transfer, type UploadLimits } from "./transfer.ts";

/** A body in memory, which counts towards the limits until it is released. */
export interface Upload {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Stops counting the bytes. */
  release(): void;
}

/** When space is short, an upload below this rate makes room, in bytes per second. */
const fastBytesPerSecond = 2 ** 13;
/** How often an upload that waits for room looks again, in milliseconds. */
const pollMs = 5;

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
   * @throws {ArgumentError} When a limit is not positive.
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
   * @throws {RequestError} When it is too large, too slow or incomplete, or there is no space for it.
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
