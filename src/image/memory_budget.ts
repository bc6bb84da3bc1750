/**
 * Memory that several images share.
 *
 * @module
 */

import { ArgumentError, TooLargeError } from "../errors.ts";
import { checkOptions, checkSignal } from "../options.ts";

/** Options of {@linkcode MemoryBudget.acquire}. */
export interface AcquireOptions {
  /** The image's name in errors. Default: "image". */
  readonly name?: string;
  /** Stops waiting; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A part of a {@linkcode MemoryBudget}. Release it, or declare it with `using`. */
export interface MemoryShare extends Disposable {
  /** Returns the share to the budget. Further calls do nothing. */
  release(): void;
}

/** An image that waits for its share. */
interface Waiting {
  readonly bytes: number;
  readonly start: () => void;
}

/**
 * Limits the memory of all images that are decoded at once: pass it to {@linkcode decodeImage} as
 * `memory`. Images wait for their share in the order in which they ask for it.
 *
 * @example
 * ```ts
 * import { MemoryBudget } from "./memory_budget.ts";
 *
 * const budget = new MemoryBudget(100);
 * {
 *   using _share = await budget.acquire(60);
 *   console.log(budget.available); // 40
 * }
 * console.log(budget.available); // 100
 * ```
 */
export class MemoryBudget {
  readonly #queue = new Set<Waiting>();
  #used = 0;

  /**
   * Creates a budget.
   *
   * @param bytes The memory in bytes.
   * @throws {ArgumentError} When `bytes` is not positive.
   */
  constructor(readonly bytes: number) {
    if (!(bytes > 0)) {
      throw new ArgumentError("MemoryBudget", "bytes", bytes, "a positive number");
    }
  }

  /** Bytes that no image holds. */
  get available(): number {
    return this.bytes - this.#used;
  }

  /** Images that wait for their share. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Waits for a share of the budget.
   *
   * @param bytes The memory that the image needs, such as the result of `imageMemory()`.
   * @throws {ArgumentError} When `bytes` is negative or NaN.
   * @throws {TooLargeError} When `bytes` is more than the whole budget.
   */
  async acquire(bytes: number, options: AcquireOptions = {}): Promise<MemoryShare> {
    const { name = "image", signal } = options;
    checkOptions("MemoryBudget", options, ["name", "signal"]);
    checkSignal("MemoryBudget", signal);
    if (!(bytes >= 0)) { // it would enlarge the budget
      throw new ArgumentError("MemoryBudget", "bytes", bytes, "a number that is not negative");
    }
    if (bytes > this.bytes) {
      throw new TooLargeError(
        name,
        `needs ${mebibytes(bytes)} MiB to decode, more than the limit of ` +
          `${mebibytes(this.bytes)} MiB`,
      );
    }
    if (this.#queue.size > 0 || bytes > this.available) await this.#wait(bytes, signal);
    else this.#used += bytes;
    let held = bytes;
    const release = () => {
      this.#used -= held;
      held = 0;
      this.#startNext();
    };
    return { release, [Symbol.dispose]: release };
  }

  #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#queue.delete(waiting);
        this.#startNext(); // those behind it may fit
        reject(signal!.reason);
      };
      const waiting: Waiting = {
        bytes,
        start() {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort);
      this.#queue.add(waiting);
    });
  }

  #startNext(): void {
    for (const waiting of this.#queue) {
      if (waiting.bytes > this.available) return;
      this.#queue.delete(waiting);
      this.#used += waiting.bytes;
      waiting.start();
    }
  }
}

/** Rounded up, and with one digit: a limit may be below 1 MiB. */
function mebibytes(bytes: number): string {
  return (Math.ceil(bytes / 2 ** 20 * 10) / 10).toFixed(1);
}
