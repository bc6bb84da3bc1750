import { parseArgs } from "node:util";

/** What every suite is told. */
export interface Options {
  /** Undefined: what the suite deserves. */
  readonly batches: readonly number[] | undefined;
  /** Undefined: as many as the batch size deserves. */
  readonly rounds: number | undefined;
  readonly threads: number;
  /** Names of the peers to run; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Whether those that take minutes run everything, too. */
  readonly allPeers: boolean;
}

/** What the command line says. */
export interface Arguments extends Options {
  /** Names of the suites to run, in their order. */
  readonly suites: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
}

export const USAGE = `\
Usage: deno task bench [suite ...] [options]

Times this library and its peers in turn, after checking that all give the same answer.

  alexnet            AlexNet's forward pass
  conv               its five convolutions: forward, and both gradients
  training           one step of training it, on one batch
                     without a name: all three

  --batch 1,8        batch sizes (1 and 8 for alexnet, 8 for the others)
  --rounds N         turns that each of them gets (15 for one image, at least 5 for more)
  --threads N        threads that each may use; not all of them can (1)
  --only name,name   run these peers alone
  --all-peers        run jax-js on all five convolutions, which takes minutes, not on one
  --json             print a JSON document instead of tables
  --help             print this`;

/** Reads the arguments; throws an error of one line that says what is wrong with them. */
export function readArguments(
  args: string[],
  known: { readonly suites: readonly string[]; readonly peers: readonly string[] },
): Arguments {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      batch: { type: "string" },
      rounds: { type: "string" },
      threads: { type: "string", default: "1" },
      only: { type: "string" },
      "all-peers": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only?.split(",");
  for (const name of only ?? []) mustBeOneOf("--only takes", known.peers, name);
  for (const name of positionals) mustBeOneOf("the suites are", known.suites, name);
  return {
    suites: known.suites.filter((name) => positionals.length === 0 || positionals.includes(name)),
    batches: values.batch?.split(",").map((text) => positive("--batch", text)),
    rounds: values.rounds === undefined ? undefined : positive("--rounds", values.rounds),
    threads: positive("--threads", values.threads),
    only,
    allPeers: values["all-peers"],
    json: values.json,
    help: values.help,
  };
}

function mustBeOneOf(what: string, names: readonly string[], name: string): void {
  if (names.includes(name)) return;
  throw new Error(`${what} ${names.join(", ")}; not ${JSON.stringify(name)}`);
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${option} takes positive whole numbers, not ${JSON.stringify(text)}`);
}
