/**
 * What a run of the bench finds out, as `--json` prints it. The table and the picture are made of
 * this alone.
 *
 * @module
 */

import type { Summary } from "./stats.ts";

/** Whose times the others' are divided by. */
export const OURS = "pembroke";

/** A whole run. */
export interface Run {
  readonly processor: string;
  readonly cores: number;
  readonly runtime: string;
  /** The numbers of threads that programs were given. */
  readonly threads: readonly number[];
  readonly measured: readonly Measured[];
  /** Who did not take part in what, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}

/** Something that programs are timed at. */
export interface Task {
  /** What it belongs to: "AlexNet forward". */
  readonly section: string;
  /** Which of it: "batch 1". */
  readonly name: string;
  /**
   * Operations: two for each multiply-accumulate of the direct computation, however it is computed.
   * Undefined where arithmetic is not what it is about.
   */
  readonly flops?: number;
  /** Whether it makes no sense to count threads: a whole process. */
  readonly process?: boolean;
}

/** A task's times, and what the machine could do in the same rounds. */
export interface Measured {
  readonly task: Task;
  readonly rounds: number;
  readonly results: readonly Result[];
  readonly machine: readonly Gauged[];
}

/** One program's times. */
export interface Result {
  readonly program: string;
  /** One of several ways in which the program can do it. */
  readonly variant?: string;
  readonly version: string;
  /** How many threads it really used. */
  readonly threads: number;
  /** Whether the others' answers were compared with this one's. */
  readonly reference: boolean;
  /** How far its answer is from the reference's: see relativeError(). Null: not a number. */
  readonly error: number | null;
  /** How far it may be. */
  readonly tolerance: number;
  /** So slow that it had one turn. */
  readonly once?: boolean;
  /** Milliseconds. Null where the answer was wrong: its speed is no result. */
  readonly ms: Summary | null;
}

/** What the machine did in between: see machine/machine.ts. */
export interface Gauged {
  readonly what: "arithmetic" | "streaming";
  readonly threads: number;
  /** Operations or bytes of a turn. */
  readonly amount: number;
  readonly ms: Summary;
}

/** What a gauge shows, in 10⁹ operations or bytes a second. */
export function rate({ amount, ms }: Gauged): number {
  return amount / ms.median / 1e6;
}

/** What the machine did with so many threads, over a whole run: the median of its medians. */
export function machineRate(
  run: Run,
  what: Gauged["what"],
  threads: number,
): number | undefined {
  const rates = run.measured.flatMap(({ machine }) => machine)
    .filter((gauged) => gauged.what === what && gauged.threads === threads)
    .map(rate).sort((a, b) => a - b);
  return rates[rates.length >> 1];
}

/** A program's best with at most so many threads; wrong answers count last. */
export function best(
  results: readonly Result[],
  program: string,
  threads: number,
): Result | undefined {
  const time = ({ ms }: Result) => ms?.median ?? Infinity;
  return results.filter((result) => result.program === program && result.threads <= threads)
    .sort((a, b) => time(a) - time(b))[0];
}
