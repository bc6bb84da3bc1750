/**
 * What the suites share: comparing the programs' answers, and timing those that agree.
 *
 * @module
 */

import { relativeError } from "./agreement.ts";
import type { LeftOut } from "./left_out.ts";
import type { Options } from "./options.ts";
import { progress } from "./progress.ts";
import type { Measured, Result, Task } from "./results.ts";
import { interleave } from "./rounds.ts";
import { summarise } from "./stats.ts";
import type { Gauge, Machine } from "../machine/machine.ts";
import type { Peer, Work } from "../peers/peer.ts";

/** Answers may differ by this part of the largest: Winograd rounds more than direct sums do. */
const TOLERANCE = 1e-3;

const WARM_UP = 2;

/** Onnxruntime's threads look for work for some 50 ms before they sleep. */
const REST_MS = 100;

/** What every suite starts its random numbers from. */
export const SEED = 2012;

/** A part of the bench. */
export interface Suite {
  /** The programs that take part, in the order of their turns. */
  readonly programs: readonly string[];
  run(context: Context): Promise<Measured[]>;
}

/** What a suite runs in. */
export interface Context {
  readonly options: Options;
  readonly machine: Machine;
  readonly leftOut: LeftOut;
}

/** Rounds that a batch of so many images gets. */
export function roundsFor(batch: number, { rounds }: Options): number {
  return rounds ?? Math.max(5, Math.ceil(15 / batch));
}

/** Work of one program; the answers of all entries with the same task are compared. */
export interface Entry {
  readonly peer: Peer;
  readonly task: Task;
  readonly work: Work;
}

/** Asks every program for its work on a task; who has none is left out, under the name given. */
export async function entriesFor<P extends Peer>(
  task: Task,
  peers: readonly P[],
  prepare: (peer: P) => Work | undefined | Promise<Work | undefined>,
  leftOut: LeftOut,
  name = task.name,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const peer of peers) {
    try {
      const work = await prepare(peer);
      if (work) entries.push({ peer, task, work });
    } catch (error) {
      leftOut.add(`${peer.name} ${name}`, error);
    }
  }
  return entries;
}

/**
 * Compares the answers, then times the entries that agree, and the machine between them. The first
 * of a task that answers is the reference. Those that cannot answer have no result. All work is
 * disposed of in the end.
 */
export async function measure(
  label: string,
  rounds: number,
  entries: readonly Entry[],
  gauges: readonly Gauge[],
  leftOut: LeftOut,
): Promise<Measured[]> {
  try {
    const errors = await compare(label, entries, leftOut);
    return await time(label, rounds, entries, errors, gauges);
  } finally {
    for (const { work } of entries) work.dispose?.();
  }
}

/** How far the answers of those that answer are from the reference's, which stands first. */
async function compare(
  label: string,
  entries: readonly Entry[],
  leftOut: LeftOut,
): Promise<Map<Entry, number>> {
  const references = new Map<Task, Float32Array>();
  const errors = new Map<Entry, number>();
  for (const entry of entries) {
    const { peer, task, work } = entry;
    progress(`${label}, comparing answers: ${peer.name} ${task.name}`);
    try {
      await work.run();
      const values = await work.answer();
      // A copy: a program may hand out the memory that it will write next time.
      if (!references.has(task)) references.set(task, values.slice());
      errors.set(entry, relativeError(values, references.get(task)!));
    } catch (error) {
      leftOut.add(`${peer.name} ${task.name}`, error);
    }
  }
  return errors;
}

async function time(
  label: string,
  rounds: number,
  entries: readonly Entry[],
  errors: ReadonlyMap<Entry, number>,
  gauges: readonly Gauge[],
): Promise<Measured[]> {
  const valid = [...errors].filter(([{ peer: { tolerance = TOLERANCE } }, error]) =>
    error <= tolerance
  ).map(([entry]) => entry);
  const turns = [
    ...valid.map(({ peer, task, work }) => ({
      name: `${peer.name} ${task.name}`,
      once: peer.slow,
      rest: peer.threads > 1 ? REST_MS : 0,
      run: () => work.run(),
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
    const results = own.map((entry, i) =>
      resultOf(entry.peer, errors.get(entry)!, timed.get(entry), i === 0)
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
