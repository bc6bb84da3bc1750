/**
 * The results of a run, in the form that `--json` prints. The table and the chart use nothing else.
 *
 * @module
 */

import type { Summary } from "./stats.ts";

/** The program that the others are compared with. */
export const ourName = "pembroke";

/** A whole run. */
export interface Run {
  readonly processor: string;
  readonly cores: number;
  readonly runtime: string;
  /** The numbers of threads that programs ran with. */
  readonly threads: readonly number[];
  readonly measured: readonly Measurement[];
  /** The programs that were skipped, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}

/** Reads a run that `--save` wrote. Throws an error with a one-line message if it cannot. */
export async function readRun(path: string): Promise<Run> {
  const text = await Deno.readTextFile(path);
  let run: Partial<Run> | null;
  try {
    run = JSON.parse(text);
  } catch {
    run = null;
  }
  const { threads, measured, leftOut } = run ?? {};
  if ([threads, measured, leftOut].every(Array.isArray)) return run as Run;
  throw new Error(`${path} is not a saved run; --save writes one`);
}

/** A task that programs are timed on. */
export interface Task {
  /** The section in the table, such as "AlexNet, forward". */
  readonly section: string;
  /** The row in the section, such as "batch 1". */
  readonly name: string;
  /**
   * Operations: two for each multiply-accumulate of the direct computation, whatever the algorithm.
   * Undefined if the task is not about arithmetic.
   */
  readonly flops?: number;
  /** What the chart shows: the task of a network in the suites of networks. */
  readonly network?: NetworkTask;
  /** Whether the task is a whole process, for which threads are not counted. */
  readonly process?: boolean;
}

/** A task of a network. */
export interface NetworkTask {
  readonly name: string;
  readonly pass: "forward" | "training step";
  readonly batch: number;
}

/** A task's times, and the machine's peak in the same rounds. */
export interface Measurement {
  readonly task: Task;
  readonly rounds: number;
  readonly results: readonly Result[];
  readonly machine: readonly GaugeResult[];
}

/** The times of one program. */
export interface Result {
  readonly program: string;
  /** The variant, if the program has several. */
  readonly variant?: string;
  readonly version: string;
  /** The number of threads that it really used. */
  readonly threads: number;
  /** Whether this output is the reference for the others. */
  readonly reference: boolean;
  /** The relativeError() of its output. Null if it is not finite. */
  readonly error: number | null;
  /** The largest error that counts as correct. */
  readonly tolerance: number;
  /** Whether it was timed only once, because it is slow. */
  readonly once?: boolean;
  /** Milliseconds. Null if the output was wrong. */
  readonly ms: Summary | null;
}

/** A measurement of the machine's peak; see machine/machine.ts. */
export interface GaugeResult {
  readonly what: "arithmetic" | "streaming";
  readonly threads: number;
  /** Operations or bytes per run. */
  readonly amount: number;
  readonly ms: Summary;
}

/** The measured rate in 10⁹ operations or bytes per second. */
export function rate({ amount, ms }: GaugeResult): number {
  return amount / ms.median / 1e6;
}

/** The machine's rate with this many threads: the median over all tasks of a run. */
export function machineRate(
  run: Run,
  what: GaugeResult["what"],
  threads: number,
): number | undefined {
  const rates = run.measured.flatMap(({ machine }) => machine)
    .filter((gauge) => gauge.what === what && gauge.threads === threads)
    .map(rate).sort((a, b) => a - b);
  return rates[rates.length >> 1];
}

/** A program's fastest result with at most this many threads. Wrong results come last. */
export function best(
  results: readonly Result[],
  program: string,
  threads: number,
): Result | undefined {
  const time = ({ ms }: Result) => ms?.median ?? Infinity;
  return results.filter((result) => result.program === program && result.threads <= threads)
    .sort((a, b) => time(a) - time(b))[0];
}
