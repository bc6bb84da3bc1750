/**
 * Shared by all suites: compares the programs' outputs, and times those that agree.
 *
 * @module
 */

import { relativeError } from "./agreement.ts";
import type { SkippedPrograms } from "./skipped.ts";
import type { Options } from "./options.ts";
import { progress } from "./progress.ts";
import { type Measurement, OURS, type Result, type Task } from "./results.ts";
import { interleave } from "./rounds.ts";
import { summarise } from "./stats.ts";
import type { Gauge, Machine } from "../machine/machine.ts";
import type { Peer, Work } from "../peers/peer.ts";

/** Allowed relative error. Winograd has larger rounding errors than direct sums. */
const TOLERANCE = 1e-3;

/** Untimed rounds at the start. */
const WARM_UP = 2;

/** Milliseconds to wait after programs with threads: ONNX Runtime's spin for about 50 before they sleep. */
const REST_MS = 100;

/** The seed of all random numbers. */
export const SEED = 2012;

/** A part of the benchmark. */
export interface Suite {
  /** The programs that it runs, in order. */
  readonly programs: readonly string[];
  /** Whether it runs only if it is named. */
  readonly onRequest?: boolean;
  /** Measures. A suite that takes long yields results in parts, which `--save` writes one by one. */
  run(context: Context): Promise<Measurement[]> | AsyncIterable<Measurement[]>;
  /** What is wrong with its results, in lines. Then the benchmark fails. */
  problems?(measurements: readonly Measurement[]): string[];
}

/** What a suite needs to run. */
export interface Context {
  readonly options: Options;
  readonly machine: Machine;
  readonly skipped: SkippedPrograms;
}

/** The number of timed rounds for a batch size. */
export function roundsFor(batch: number, { rounds }: Options): number {
  return rounds ?? Math.max(5, Math.ceil(15 / batch));
}

/** The work of one program on a task. The outputs of all entries with the same task are compared. */
export interface Entry {
  readonly peer: Peer;
  readonly task: Task;
  readonly work: Work;
}

/** Prepares every program's work on a task. A program that fails is skipped, and listed by `name`. */
export async function entriesFor<P extends Peer>(
  task: Task,
  peers: readonly P[],
  prepare: (peer: P) => Work | undefined | Promise<Work | undefined>,
  skipped: SkippedPrograms,
  name = task.name,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const peer of peers) {
    try {
      const work = await prepare(peer);
      if (work) entries.push({ peer, task, work });
    } catch (error) {
      skipped.add(`${peer.name} ${name}`, error);
    }
  }
  return entries;
}

/**
 * Compares the outputs, then times the entries that agree, in turns with the machine's gauges. The
 * reference is the first entry of a task that runs. Entries that fail, whenever that is, have no
 * result. All work is disposed at the end.
 */
export async function measure(
  label: string,
  rounds: number,
  entries: readonly Entry[],
  gauges: readonly Gauge[],
  skipped: SkippedPrograms,
): Promise<Measurement[]> {
  try {
    const errors = await compare(label, entries, skipped);
    return await time(label, rounds, entries, errors, gauges, skipped);
  } finally {
    for (const { work } of entries) work.dispose?.();
  }
}

/** The errors of all entries that run. The first of each task is the reference. */
async function compare(
  label: string,
  entries: readonly Entry[],
  skipped: SkippedPrograms,
): Promise<Map<Entry, number>> {
  const references = new Map<Task, Float32Array>();
  const errors = new Map<Entry, number>();
  for (const entry of entries) {
    const { peer, task, work } = entry;
    progress(`${label}, comparing outputs: ${peer.name} ${task.name}`);
    try {
      await work.run();
      const values = await work.output();
      // A copy, because a program may reuse the memory of its output.
      if (!references.has(task)) references.set(task, values.slice());
      errors.set(entry, relativeError(values, references.get(task)!));
    } catch (error) {
      skipped.add(`${peer.name} ${task.name}`, error);
    }
  }
  return errors;
}

/** Times the entries whose errors are within their tolerance, and returns the results of all tasks. */
async function time(
  label: string,
  rounds: number,
  entries: readonly Entry[],
  errors: ReadonlyMap<Entry, number>,
  gauges: readonly Gauge[],
  skipped: SkippedPrograms,
): Promise<Measurement[]> {
  const valid = [...errors].filter(([{ peer: { tolerance = TOLERANCE } }, error]) =>
    error <= tolerance
  ).map(([entry]) => entry);
  const failed = new Set<Entry>();
  const run = async (entry: Entry) => {
    if (failed.has(entry)) return NaN;
    try {
      return await entry.work.run();
    } catch (error) {
      if (entry.peer.name === OURS) throw error;
      failed.add(entry); // the others go on
      skipped.add(`${entry.peer.name} ${entry.task.name}`, error);
      return NaN;
    }
  };
  const turns = [
    ...valid.map((entry) => ({
      name: `${entry.peer.name} ${entry.task.name}`,
      once: entry.peer.slow,
      rest: entry.peer.threads > 1 ? REST_MS : 0,
      run: () => run(entry),
    })),
    ...gauges.map((gauge) => ({ name: gauge.what, run: () => gauge.run() })),
  ];
  const timings = await interleave(turns, {
    warmUp: WARM_UP,
    rounds,
    progress: (turn) => progress(`${label}, ${turn}`),
  });
  const timed = new Map(valid.map((entry, i) => [entry, timings[i]]));
  const machine = gauges.map(({ what, threads, amount }, i) => ({
    what,
    threads,
    amount,
    ms: summarise(timings[valid.length + i]),
  }));

  const tasks = [...new Set(entries.map(({ task }) => task))];
  return tasks.map((task) => {
    const own = [...errors.keys()].filter((entry) => entry.task === task);
    const results = own.flatMap((entry, i) =>
      failed.has(entry) ? [] : [resultOf(entry.peer, errors.get(entry)!, timed.get(entry), i === 0)]
    );
    return { task, rounds, results, machine };
  });
}

function resultOf(
  { name, variant, version, threads, slow, tolerance = TOLERANCE }: Peer,
  error: number,
  timings: readonly number[] | undefined,
  reference: boolean,
): Result {
  return {
    program: name,
    variant,
    version,
    threads,
    reference,
    error: Number.isFinite(error) ? error : null,
    tolerance,
    once: slow,
    ms: timings ? summarise(timings) : null,
  };
}
