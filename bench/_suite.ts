/**
 * What the suites share: starting the peers, comparing their answers, timing those that agree.
 *
 * @module
 */

import { relativeError } from "./_agreement.ts";
import type { Options } from "./_options.ts";
import { progress } from "./_progress.ts";
import { interleave } from "./_rounds.ts";
import { summarise, type Summary } from "./_stats.ts";
import type { Peer, Work } from "./peers/peer.ts";

/** Whose timings the others' are divided by. */
export const OURS = "pembroke";

/** Answers may differ by this part of the largest: Winograd rounds more than direct sums do. */
const TOLERANCE = 1e-3;

const WARM_UP = 2;

/** What every suite starts its random numbers from. */
export const SEED = 2012;

/** A part of the bench. */
export interface Suite {
  /** The peers that take part, in the order of their turns. */
  readonly peers: readonly string[];
  run(options: Options, leftOut: LeftOut): Promise<Outcome>;
}

/** What a suite found out. */
export interface Outcome {
  /** Its tables, with a heading. */
  readonly text: string;
  /** The same for programs. */
  readonly results: readonly BatchResults[];
}

/** Who did not take part in what, and why: each reason once. */
export class LeftOut {
  readonly entries: { readonly name: string; readonly reason: string }[] = [];

  add(name: string, reason: unknown): void {
    const line = firstLine(reason);
    if (this.entries.some((entry) => entry.name === name && entry.reason === line)) return;
    this.entries.push({ name, reason: line });
  }
}

/**
 * Starts every peer that was asked for and can run here, measures them with each batch size, and
 * stops all of them.
 */
export async function measureBatches<F, P extends Peer>(
  factories: Readonly<Record<string, F>>,
  { create, options, batches, leftOut, one }: {
    create(factory: F): Promise<P>;
    readonly options: Options;
    /** The batch sizes unless others were asked for. */
    readonly batches: readonly number[];
    readonly leftOut: LeftOut;
    one(peers: readonly P[], batch: number, rounds: number): Promise<Result[]>;
  },
): Promise<BatchResults[]> {
  const peers: P[] = [];
  try {
    for (const [name, factory] of Object.entries(factories)) {
      if (options.only && !options.only.includes(name)) continue;
      progress(`starting ${name}`);
      try {
        peers.push(await create(factory));
      } catch (error) {
        leftOut.add(name, error);
      }
    }
    const results: BatchResults[] = [];
    for (const batch of options.batches ?? batches) {
      const rounds = options.rounds ?? Math.max(5, Math.ceil(15 / batch));
      results.push({ batch, rounds, results: await one(peers, batch, rounds) });
    }
    return results;
  } finally {
    progress("");
    for (const peer of peers) await peer.dispose();
  }
}

/** Work of one peer; the answers of all entries with the same task are compared. */
export interface Entry {
  readonly peer: Peer;
  readonly task: string;
  readonly work: Work;
}

/** One peer's timings of one task. */
export interface Result {
  readonly name: string;
  readonly version: string;
  readonly threads: number;
  readonly task: string;
  /** Whether the others' answers were compared with this one. */
  readonly reference: boolean;
  /** How far its answer is from the reference's: see relativeError(). Null: not a number. */
  readonly error: number | null;
  /** Milliseconds. Null where the answers disagree: the speed of a wrong answer is no result. */
  readonly ms: Summary | null;
  readonly timings: readonly number[];
}

/** What came out for one batch size. */
export interface BatchResults {
  readonly batch: number;
  readonly rounds: number;
  readonly results: readonly Result[];
}

/** Asks every peer for its work on a task; who has none is left out, under the name given. */
export async function entriesFor<P extends Peer>(
  task: string,
  peers: readonly P[],
  prepare: (peer: P) => Work | Promise<Work>,
  leftOut: LeftOut,
  name = task,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const peer of peers) {
    try {
      entries.push({ peer, task, work: await prepare(peer) });
    } catch (error) {
      leftOut.add(`${peer.name} ${name}`, error);
    }
  }
  return entries;
}

/**
 * Compares the answers, then times the entries that agree. The first of a task that answers is the
 * reference. Those that cannot answer have no result. All work is disposed of in the end.
 */
export async function measure(
  label: string,
  rounds: number,
  entries: readonly Entry[],
  leftOut: LeftOut,
): Promise<Result[]> {
  try {
    return await compareAndTime(label, rounds, entries, leftOut);
  } finally {
    for (const { work } of entries) work.dispose?.();
  }
}

async function compareAndTime(
  label: string,
  rounds: number,
  entries: readonly Entry[],
  leftOut: LeftOut,
): Promise<Result[]> {
  const references = new Map<string, { readonly of: Entry; readonly values: Float32Array }>();
  const errors = new Map<Entry, number>();
  for (const entry of entries) {
    const { peer, task, work } = entry;
    progress(`${label}, comparing answers: ${peer.name} ${task}`);
    try {
      await work.run();
      const values = await work.answer();
      // A copy: a peer may hand out the memory that it will write next time.
      if (!references.has(task)) references.set(task, { of: entry, values: values.slice() });
      errors.set(entry, relativeError(values, references.get(task)!.values));
    } catch (error) {
      leftOut.add(`${peer.name} ${task}`, error);
    }
  }

  const valid = entries.filter((entry) => (errors.get(entry) ?? Infinity) <= TOLERANCE);
  const timings = await interleave(
    valid.map(({ peer, task, work }) => ({
      name: `${peer.name} ${task}`,
      once: peer.slow,
      run: () => work.run(),
    })),
    { warmUp: WARM_UP, rounds, progress: (turn) => progress(`${label}, ${turn}`) },
  );
  const timed = new Map(valid.map((entry, i) => [entry, timings[i]]));
  return entries.filter((entry) => errors.has(entry)).map((entry) => {
    const { peer: { name, version, threads }, task } = entry;
    const own = timed.get(entry), error = errors.get(entry)!;
    return {
      name,
      version,
      threads,
      task,
      reference: references.get(task)!.of === entry,
      error: Number.isFinite(error) ? error : null,
      ms: own ? summarise(own) : null,
      timings: own ?? [],
    };
  });
}

/** The first line of what an error says. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n")[0];
}
