/**
 * Shared by all suites: compares the programs' outputs, and times those that agree.
 *
 * @module
 */

import { relativeError } from "./agreement.ts";
import type { SkippedPrograms } from "./skipped.ts";
import type { Options } from "./options.ts";
import { progress } from "./progress.ts";
import { type GaugeResult, type Measurement, ourName, type Result, type Task } from "./results.ts";
import { interleave } from "./rounds.ts";
import { summarise } from "./stats.ts";
import type { Gauge, Machine } from "../machine/machine.ts";
import type { Peer, Work } from "../peers/peer.ts";

/** Allowed relative error. Winograd has larger rounding errors than direct sums. */
const defaultTolerance = 1e-3;

/** Untimed rounds at the start. */
const warmUpRounds = 2;

/** Milliseconds to wait after programs with threads: ONNX Runtime's spin for about 50 before they sleep. */
const restMs = 100;

/** The seed of all random numbers. */
export const seed = 2012;

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

/** How to measure. */
export interface MeasureOptions {
  /** What is measured, for the line of progress. */
  readonly label: string;
  /** Timed rounds. */
  readonly rounds: number;
  /** Measurements of the machine, timed in the same rounds. Default: none. */
  readonly gauges?: readonly Gauge[];
  /** Gets the programs that fail. */
  readonly skipped: SkippedPrograms;
}

/**
 * Compares the outputs, then times the entries that agree, in turns with the machine's gauges. The
 * reference is the first entry of a task that runs. Entries that fail, whenever that is, have no
 * result. All work is disposed at the end.
 */
export async function measure(
  entries: readonly Entry[],
  options: MeasureOptions,
): Promise<Measurement[]> {
  try {
    const errors = await compare(entries, options);
    const valid = [...errors].filter(([{ peer }, error]) => error <= toleranceOf(peer));
    const { times, failed, machine } = await time(valid.map(([entry]) => entry), options);
    const tasks = new Set(entries.map(({ task }) => task));
    return Array.from(tasks, (task) => {
      const own = [...errors].filter(([entry]) => entry.task === task);
      const results = own.flatMap(([entry, error], i) =>
        failed.has(entry) ? [] : [resultOf(entry.peer, error, times.get(entry), i === 0)]
      );
      return { task, rounds: options.rounds, results, machine };
    });
  } finally {
    for (const { work } of entries) work.dispose?.();
  }
}

/** The errors of all entries that run. The first of each task is the reference. */
async function compare(
  entries: readonly Entry[],
  { label, skipped }: MeasureOptions,
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

/** What {@linkcode time} measured. */
interface Times {
  /** The milliseconds of each round. */
  readonly times: ReadonlyMap<Entry, readonly number[]>;
  /** The entries that failed in one of the rounds. */
  readonly failed: ReadonlySet<Entry>;
  readonly machine: readonly GaugeResult[];
}

/** Times entries in turns with the machine's gauges. */
async function time(
  entries: readonly Entry[],
  { label, rounds, gauges = [], skipped }: MeasureOptions,
): Promise<Times> {
  const failed = new Set<Entry>();
  const turns = [
    ...entries.map((entry) => ({
      name: `${entry.peer.name} ${entry.task.name}`,
      once: entry.peer.slow,
      rest: entry.peer.threads > 1 ? restMs : 0,
      run: () => runOnce(entry, failed, skipped),
    })),
    ...gauges.map((gauge) => ({ name: gauge.what, run: () => gauge.run() })),
  ];
  const timings = await interleave(turns, {
    warmUp: warmUpRounds,
    rounds,
    progress: (turn) => progress(`${label}, ${turn}`),
  });
  return {
    times: new Map(entries.map((entry, i) => [entry, timings[i]])),
    failed,
    machine: gauges.map(({ what, threads, amount }, i) => {
      return { what, threads, amount, ms: summarise(timings[entries.length + i]) };
    }),
  };
}

/** Runs an entry, unless it has failed before. Our own failures end the benchmark. */
async function runOnce(
  entry: Entry,
  failed: Set<Entry>,
  skipped: SkippedPrograms,
): Promise<number> {
  const { peer, task, work } = entry;
  if (failed.has(entry)) return NaN;
  try {
    return await work.run();
  } catch (error) {
    if (peer.name === ourName) throw error;
    failed.add(entry); // the others go on
    skipped.add(`${peer.name} ${task.name}`, error);
    return NaN;
  }
}

/** The error up to which the outputs of a program count as correct. */
function toleranceOf({ tolerance = defaultTolerance }: Peer): number {
  return tolerance;
}

function resultOf(
  peer: Peer,
  error: number,
  timings: readonly number[] | undefined,
  reference: boolean,
): Result {
  const { name, variant, version, threads, slow } = peer;
  return {
    program: name,
    variant,
    version,
    threads,
    reference,
    error: Number.isFinite(error) ? error : null,
    tolerance: toleranceOf(peer),
    once: slow,
    ms: timings ? summarise(timings) : null,
  };
}
