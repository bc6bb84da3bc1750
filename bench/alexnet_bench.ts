/**
 * AlexNet's forward pass, this library beside its peers, in one interleaved run: `deno task bench`.
 * All of them get the same weights and images, and before a clock starts all must give the same
 * answer; one that does not is named and its timings are not shown.
 *
 * @module
 */

import { cpus } from "node:os";
import { relativeError } from "./_agreement.ts";
import { type Options, readOptions, USAGE } from "./_options.ts";
import { interleave } from "./_rounds.ts";
import { summarise, type Summary } from "./_stats.ts";
import { type Column, table } from "./_table.ts";
import type { AlexNetWeights, Peer, PeerFactory } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/**
 * Everything that can run, in the order of its turns. The first that does is the reference for the
 * answers, so this library stands last.
 */
const PEERS: Record<string, () => Promise<{ createPeer: PeerFactory }>> = {
  "onnxruntime-web": () => import("./peers/onnxruntime_web.ts"),
  "onnxruntime-node": () => import("./peers/onnxruntime_node.ts"),
  "tfjs-wasm": () => import("./peers/tfjs_wasm.ts"),
  "pytorch": () => import("./peers/pytorch.ts"),
  "pembroke": () => import("./peers/pembroke.ts"),
};

/** Whose timings the others' are divided by. */
const OURS = "pembroke";

/** Logits may differ by this part of the largest: Winograd rounds more than direct sums do. */
const TOLERANCE = 1e-3;

const WARM_UP = 2;
const SEED = 2012;

/** One line of a table. */
interface Result {
  readonly name: string;
  readonly version: string;
  readonly threads: number;
  /** How far its logits are from the reference's: see relativeError(). Null: not a number. */
  readonly error: number | null;
  /** Milliseconds. Null where the logits disagree: the speed of a wrong answer is no result. */
  readonly ms: Summary | null;
  readonly timings: readonly number[];
}

interface Batch {
  readonly batch: number;
  readonly rounds: number;
  readonly results: readonly Result[];
}

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  let options: Options;
  try {
    options = readOptions(args, Object.keys(PEERS));
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 2;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }

  const leftOut: { name: string; reason: string }[] = [];
  const leave = (name: string, error: unknown) => {
    progress("");
    leftOut.push({ name, reason: firstLine(error) });
    console.error(`left out: ${name} (${firstLine(error)})`);
  };

  const peers = await load(options, randomWeights(SEED), leave);
  const batches: Batch[] = [];
  try {
    for (const batch of options.batches) {
      if (peers.size === 0) break;
      const rounds = options.rounds ?? Math.max(5, Math.ceil(15 / batch));
      batches.push({ batch, rounds, results: await measure(peers, batch, rounds, leave) });
    }
  } finally {
    progress("");
    for (const peer of peers.values()) await peer.dispose();
  }

  const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
  const runtime = `Deno ${Deno.version.deno}`;
  if (options.json) {
    console.log(
      JSON.stringify({ network: "AlexNet", machine, runtime, batches, leftOut }, null, 2),
    );
  } else {
    console.log(`AlexNet forward, milliseconds a batch. ${machine}, ${runtime}`);
    for (const batch of batches) console.log(`\n${report(batch)}`);
  }
  const allAgree = batches.every(({ results }) => results.every(({ ms }) => ms !== null));
  return allAgree && batches.length > 0 ? 0 : 1;
}

/** Starts every peer that was asked for and can run here. */
async function load(
  { only, threads }: Options,
  weights: AlexNetWeights,
  leave: (name: string, error: unknown) => void,
): Promise<Map<string, Peer>> {
  const peers = new Map<string, Peer>();
  for (const name of only) {
    progress(`loading ${name}`);
    try {
      const { createPeer } = await PEERS[name]();
      peers.set(name, await createPeer(weights, { threads }));
    } catch (error) {
      leave(name, error);
    }
  }
  return peers;
}

/** Compares the peers' answers, then times those that agree. Who cannot answer leaves `peers`. */
async function measure(
  peers: Map<string, Peer>,
  batch: number,
  rounds: number,
  leave: (name: string, error: unknown) => void,
): Promise<Result[]> {
  const images = randomImages(batch, SEED);
  const errors = new Map<string, number>();
  let reference: Float32Array | undefined;
  for (const [name, peer] of peers) {
    progress(`batch ${batch}, comparing answers: ${name}`);
    try {
      const { logits } = await peer.forward(images, batch);
      // A copy: a peer may hand out the memory that it will write next time.
      reference ??= logits.slice();
      errors.set(name, relativeError(logits, reference));
    } catch (error) {
      leave(name, error);
      peers.delete(name);
      await peer.dispose();
    }
  }

  const valid = [...peers].filter(([name]) => errors.get(name)! <= TOLERANCE);
  const timings = await interleave(
    valid.map(([name, peer]) => ({
      name,
      run: async () => (await peer.forward(images, batch)).ms,
    })),
    { warmUp: WARM_UP, rounds, progress: (turn) => progress(`batch ${batch}, ${turn}`) },
  );
  const timed = new Map(valid.map(([name], i) => [name, timings[i]]));
  return [...peers].map(([key, { name, version, threads }]) => {
    const own = timed.get(key);
    const error = errors.get(key)!;
    return {
      name,
      version,
      threads,
      error: Number.isFinite(error) ? error : null,
      ms: own ? summarise(own) : null,
      timings: own ?? [],
    };
  });
}

/** A batch size's table; the ratios, where this library ran, are of times, so above 1 is slower. */
function report({ batch, rounds, results }: Batch): string {
  const ours = results.find(({ name }) => name === OURS)?.ms;
  const columns: Column[] = [
    { title: `batch ${batch}, ${rounds} rounds`, align: "left" },
    { title: "version", align: "left" },
    ...["threads", "min", "p25", "median", "p75", "max"].map(right),
    ...(ours ? [right("median ÷ ours"), right("min ÷ ours")] : []),
    right("logits off by"),
  ];
  const rows = results.map(({ name, version, threads, error, ms }, i) => [
    name,
    version,
    String(threads),
    ...[ms?.min, ms?.p25, ms?.median, ms?.p75, ms?.max].map((value) => value?.toFixed(1) ?? "–"),
    ...(ours ? [ratio(ms?.median, ours.median), ratio(ms?.min, ours.min)] : []),
    agreement(error, ms !== null, i === 0),
  ]);
  return table(columns, rows);
}

function right(title: string): Column {
  return { title, align: "right" };
}

function agreement(error: number | null, valid: boolean, reference: boolean): string {
  if (!valid) return `WRONG: ${error?.toFixed(3) ?? "not numbers"}`;
  return reference ? "reference" : error!.toExponential(0);
}

function ratio(value: number | undefined, ours: number): string {
  return value === undefined ? "–" : `${(value / ours).toFixed(2)}×`;
}

/** One line that overwrites itself; nothing where stderr is a file or a pipe. */
function progress(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n")[0];
}
