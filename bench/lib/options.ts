import { parseArgs } from "node:util";

/** What every suite is told. */
export interface Options {
  /** Undefined: what the suite deserves. */
  readonly batches: readonly number[] | undefined;
  /** Undefined: as many as the batch size deserves. */
  readonly rounds: number | undefined;
  /** The numbers of threads to run with, the smallest first. */
  readonly threads: readonly number[];
  /** Names of the programs to run; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Whether those that take minutes run everything, too. */
  readonly allPeers: boolean;
}

/** What the command line says. */
export interface Arguments extends Options {
  /** Names of the suites to run, in their order. */
  readonly suites: readonly string[];
  readonly json: boolean;
  /** Where to write the document, too. */
  readonly save: string | undefined;
  /** A document to print the table of, instead of running anything. */
  readonly from: string | undefined;
  readonly help: boolean;
}

export const USAGE = `\
Usage: deno task bench [suite ...] [options]

Times this library and its peers in turn, after checking that all give the same answer, and what
the machine can do in the same rounds.

  alexnet            AlexNet's forward pass
  training           one step of training it, on one batch
  conv               its five convolutions: forward, and both gradients
  start-up           from \`deno run\` to the first result of the command
  webgpu             AlexNet's forward pass on an adapter of WebGPU
                     without a name: all of them

  --threads 1,2      numbers of threads that each may use; not all of them can (1,2)
  --batch 1,8        batch sizes (1 and 8 for alexnet, 8 for the others)
  --rounds N         turns that each of them gets (15 for one image, at least 5 for more)
  --only name,name   run these programs alone
  --all-peers        run jax-js on all five convolutions, which takes minutes, not on one
  --json             print a JSON document instead of the table
  --save FILE        write the JSON document to a file, too
  --from FILE        print the table of such a file and run nothing
  --help             print this`;

/** Reads the arguments; throws an error of one line that says what is wrong with them. */
export function readArguments(
  args: string[],
  known: {
    readonly suites: readonly string[];
    readonly programs: readonly string[];
    readonly cores: number;
  },
): Arguments {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      batch: { type: "string" },
      rounds: { type: "string" },
      threads: { type: "string" },
      only: { type: "string" },
      "all-peers": { type: "boolean", default: false },
      save: { type: "string" },
      from: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only?.split(",");
  for (const name of only ?? []) mustBeOneOf("--only takes", known.programs, name);
  for (const name of positionals) mustBeOneOf("the suites are", known.suites, name);
  return {
    suites: known.suites.filter((name) => positionals.length === 0 || positionals.includes(name)),
    batches: list("--batch", values.batch),
    rounds: values.rounds === undefined ? undefined : positive("--rounds", values.rounds),
    threads: list("--threads", values.threads)?.sort((a, b) => a - b) ??
      [1, 2].filter((count) => count <= known.cores),
    only,
    allPeers: values["all-peers"],
    json: values.json,
    save: values.save,
    from: values.from,
    help: values.help,
  };
}

function mustBeOneOf(what: string, names: readonly string[], name: string): void {
  if (names.includes(name)) return;
  throw new Error(`${what} ${names.join(", ")}; not ${JSON.stringify(name)}`);
}

function list(option: string, text: string | undefined): number[] | undefined {
  return text?.split(",").map((part) => positive(option, part));
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${option} takes positive whole numbers, not ${JSON.stringify(text)}`);
}
