/**
 * Limits how many requests are decoded at once, where no thread pool does.
 *
 * @module
 */

/** How often a waiting request looks again, in milliseconds. */
const pollMs = 5;
/** A waiting request that has not looked for this long is gone: edge runtimes end requests silently. */
const lostMs = 10_000;

/** A request in the queue. */
interface Turn {
  seen: number;
  running: boolean;
}

/**
 * Runs tasks in the order of their arrival, a few at a time. Requests wait by polling: edge runtimes do
 * not let one request wake another, and drop a request without notice when its client disconnects.
 */
export class Turns {
  readonly #max: number;
  #queue: Turn[] = [];

  /** @param max Number of tasks at a time; Infinity for any number. */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Runs a task when it is its turn.
   *
   * @param check Called while waiting; throws to give up.
   */
  async run<T>(task: () => Promise<T>, check: () => void): Promise<T> {
    const turn: Turn = { seen: Date.now(), running: false };
    this.#queue.push(turn);
    try {
      while (this.#position(turn) >= this.#max) {
        await new Promise((resolve) => setTimeout(resolve, pollMs));
        check();
        turn.seen = Date.now();
      }
      turn.running = true;
      return await task();
    } finally {
      this.#queue = this.#queue.filter((other) => other !== turn);
    }
  }

  /** The number of requests before this one. */
  #position(turn: Turn): number {
    const oldest = Date.now() - lostMs;
    this.#queue = this.#queue.filter((other) => other === turn || other.seen >= oldest);
    return this.#queue.indexOf(turn);
  }
}
