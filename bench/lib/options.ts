/**
 * The command line of the benchmark.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { NetworkName } from "../../mod.ts";
import { isNetworkName, networkNames } from "../../src/models/registry.ts";

/** Options for every suite. */
export interface Options {
  /** Batch sizes. Undefined: the suite's default. */
  readonly batches: readonly number[] | undefined;
  /** Timed rounds. Undefined: depends on the batch size. */
  readonly rounds: number | undefined;
  /** Numbers of threads to run with, in ascending order. */
  readonly threads: readonly number[];
  /** Names of the networks to run. Undefined: the suite's default. */
  readonly networks: readonly NetworkName[] | undefined;
  /** Names of the programs to run. Undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Whether slow programs run everything too. */
  readonly allPeers: boolean;
}

/** The parsed command line. */
export interface Arguments extends Options {
  /** Names of the suites to run, in order. */
  readonly suites: readonly string[];
  readonly json: boolean;
  /** The file to save the results to. */
  readonly save: string | undefined;
}

export const usage = `\
Usage: deno task bench [suite ...] [options]

Times this library and its peers in turns, after checking that their outputs agree. Also measures the
machine's peak performance in the same rounds.

Suites (default: all but algorithms):
  networks           the forward passes of torchvision's networks
  chromium           the forward passes of some networks in Chromium, with threads
  alexnet            AlexNet's forward pass, also in int8 and with PyTorch
  training           one training step of networks
  conv               AlexNet's five convolutions, forward and backward
  algorithms         the layers' choice of algorithm; fails if another is 10 % faster
  start-up           from \`deno run\` to the command's first result
  webgpu             the forward passes of networks on WebGPU

Options:
  --threads 1,2      numbers of threads to run with; some programs have only one (default: 1,2)
  --batch 1,8        batch sizes (default: 1,8 for networks, alexnet and algorithms, 1 for chromium and
                     webgpu, 8 for training and conv)
  --networks a,b     networks for networks and algorithms (default: 10), chromium (5), training (3) and
                     webgpu (3)
  --rounds N         timed rounds (default: 15 for one image, at least 5 for larger batches; 9 for
                     algorithms, 7 for start-up)
  --only NAME,NAME   run only these programs
  --all-peers        run jax-js on all five convolutions, which takes minutes
  --json             print JSON instead of a table
  --save FILE        also save the JSON to a file, after each network
  --from FILE        print the table of a saved file without running anything
  -h, --help         print this help`;

/** Parses options and positionals. Throws an error with a one-line message if an option is unknown. */
export function parseOptions(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      batch: { type: "string" },
      rounds: { type: "string" },
      threads: { type: "string" },
      networks: { type: "string" },
      only: { type: "string" },
      "all-peers": { type: "boolean", default: false },
      save: { type: "string" },
      from: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

/**
 * Returns the file of `--from`, which runs nothing. Throws an error with a one-line message if there
 * are other arguments.
 */
export function savedFile(args: string[]): string | undefined {
  const { values: { from, help: _, ...others }, positionals } = parseOptions(args);
  if (from === undefined) return undefined;
  if (positionals.length === 0 && !Object.values(others).some(Boolean)) return from;
  throw new Error("--from prints a saved run; it takes no suites or other options");
}

/** Reads the arguments of a run. Throws an error with a one-line message if they are invalid. */
export function readArguments(
  args: string[],
  known: {
    readonly suites: readonly string[];
    /** Those that run if none is named. */
    readonly defaultSuites: readonly string[];
    readonly programs: readonly string[];
    readonly cores: number;
  },
): Arguments {
  const { values, positionals } = parseOptions(args);
  const only = values.only?.split(",");
  for (const name of only ?? []) checkKnown("program", known.programs, name);
  for (const name of positionals) checkKnown("suite", known.suites, name);
  return {
    suites: positionals.length === 0
      ? known.defaultSuites
      : known.suites.filter((name) => positionals.includes(name)),
    batches: list("--batch", values.batch),
    rounds: values.rounds === undefined ? undefined : positive("--rounds", values.rounds),
    threads: list("--threads", values.threads)?.sort((a, b) => a - b) ??
      [1, 2].filter((count) => count <= known.cores),
    networks: values.networks?.split(",").map(networkName),
    only,
    allPeers: values["all-peers"],
    json: values.json,
    save: values.save,
  };
}

function checkKnown(kind: string, names: readonly string[], name: string): void {
  if (names.includes(name)) return;
  throw new Error(`unknown ${kind} ${JSON.stringify(name)}; choose from ${names.join(", ")}`);
}

function networkName(name: string): NetworkName {
  if (isNetworkName(name)) return name;
  throw new Error(
    `unknown network ${JSON.stringify(name)}; choose from ${networkNames.join(", ")}`,
  );
}

function list(option: string, text: string | undefined): number[] | undefined {
  return text?.split(",").map((part) => positive(option, part));
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${option} is ${JSON.stringify(text)}, must be a positive integer`);
}
