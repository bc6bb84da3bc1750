/**
 * Limits how many requests are decoded at once, where no thread pool does.
 *
 * @module
 */

/** How often a waiting request looks again, in milliseconds. */
const pollMs = 5;
/** A running task, which does not look, is gone after this many times as long as a waiting one. */
const lostRuns = 6;

/** A request that waits or runs. */
interface Turn {
  readonly arrival: number;
  /** When it looked last, or began to run. */
  seen: number;
  running: boolean;
}

/**
 * Runs tasks in the order of their arrival, a few at a time. Requests wait by polling: edge runtimes do
 * not let one request wake another, and drop a request without notice when its client disconnects.
 */
export class Turns {
  readonly #max: number;
  readonly #lostMs: number;
  readonly #turns = new Set<Turn>();
  #arrivals = 0;
  /** Milliseconds in which requests could look. Pauses of the process and steps of the clock add little. */
  #time = 0;
  #lastLook = 0;

  /**
   * @param max Number of tasks at a time; Infinity for any number.
   * @param lostMs A waiting request that has not looked for this long is gone. A running task is, after
   * six times as long.
   */
  constructor(max: number, lostMs = 10_000) {
    this.#max = max;
    this.#lostMs = lostMs;
  }

  /**
   * Runs a task when it is its turn.
   *
   * @param check Called while waiting; throws to give up.
   */
  async run<T>(task: () => Promise<T>, check: () => void): Promise<T> {
    const turn: Turn = { arrival: this.#arrivals++, seen: 0, running: false };
    try {
      while (this.#look(turn) >= this.#max) {
        await new Promise((resolve) => setTimeout(resolve, pollMs));
        check();
      }
      turn.running = true;
      return await task();
    } finally {
      this.#turns.delete(turn);
    }
  }

  /** Returns the number of requests before this one, without those that are gone. */
  #look(turn: Turn): number {
    const now = Date.now();
    this.#time += Math.min(Math.max(now - this.#lastLook, 0), this.#lostMs / 10);
    this.#lastLook = now;
    turn.seen = this.#time;
    this.#turns.add(turn); // again, if another took it for lost
    let before = 0;
    for (const other of this.#turns) {
      const limit = other.running ? lostRuns * this.#lostMs : this.#lostMs;
      if (this.#time - other.seen > limit) this.#turns.delete(other);
      else if (other.running || other.arrival < turn.arrival) before++;
    }
    return before;
  }
}
