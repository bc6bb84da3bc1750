/**
 * Limits how many requests are decoded at once, where no thread pool does.
 *
 * @module
 */

/** How often a waiting request polls, in milliseconds. */
const pollMs = 5;
/** A running task does not poll. It counts as lost after this many times as long as a waiting one. */
const lostRuns = 6;

/** A task that waits or runs. */
interface Entry {
  readonly arrival: number;
  /** When it polled last, or began to run. */
  seen: number;
  running: boolean;
}

/**
 * Runs tasks in the order of their arrival, a few at a time. They wait by polling, because on edge
 * runtimes one request cannot wake another. These runtimes also drop a request without notice when its
 * client disconnects, so tasks that no longer poll are lost.
 */
export class TaskQueue {
  readonly #max: number;
  readonly #lostMs: number;
  readonly #entries = new Set<Entry>();
  #arrivals = 0;
  /** Milliseconds in which tasks could poll. Pauses of the process and steps of the clock add little. */
  #time = 0;
  #lastPoll = 0;

  /**
   * @param max Number of tasks at a time; Infinity for any number.
   * @param lostMs A waiting task that has not polled for this long is lost. A running task is lost after
   * six times as long.
   */
  constructor(max: number, lostMs = 10_000) {
    this.#max = max;
    this.#lostMs = lostMs;
  }

  /**
   * Runs a task as soon as fewer than `max` others run, or wait before it.
   *
   * @param check Called while waiting. It throws to give up.
   */
  async run<T>(task: () => Promise<T>, check: () => void): Promise<T> {
    const entry: Entry = { arrival: this.#arrivals++, seen: 0, running: false };
    try {
      while (this.#countBefore(entry) >= this.#max) {
        await new Promise((resolve) => setTimeout(resolve, pollMs));
        check();
      }
      entry.running = true;
      return await task();
    } finally {
      this.#entries.delete(entry);
    }
  }

  /** Polls for a task: returns the number of tasks before it, and forgets those that are lost. */
  #countBefore(entry: Entry): number {
    const now = Date.now();
    this.#time += Math.min(Math.max(now - this.#lastPoll, 0), this.#lostMs / 10);
    this.#lastPoll = now;
    entry.seen = this.#time;
    this.#entries.add(entry); // again, if another task forgot it
    let before = 0;
    for (const other of this.#entries) {
      const limit = other.running ? lostRuns * this.#lostMs : this.#lostMs;
      if (this.#time - other.seen > limit) this.#entries.delete(other);
      else if (other.running || other.arrival < entry.arrival) before++;
    }
    return before;
  }
}
