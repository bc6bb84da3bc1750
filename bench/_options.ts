import { parseArgs } from "node:util";

export interface Options {
  readonly batches: readonly number[];
  /** Undefined: as many as the batch size deserves. */
  readonly rounds: number | undefined;
  readonly threads: number;
  /** Names of the peers to run, in the order of the bench. */
  readonly only: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
}

export const USAGE = `\
Usage: deno task bench [options]

Times AlexNet's forward pass, this library and its peers in turn.

  --batch 1,8        batch sizes
  --rounds N         turns that each of them gets (15 for one image, at least 5 for more)
  --threads N        threads that each may use; not all of them can (1)
  --only name,name   run these alone
  --json             print a JSON document instead of tables
  --help             print this`;

/** Reads the arguments; throws an error of one line that says what is wrong with them. */
export function readOptions(args: string[], names: readonly string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      batch: { type: "string", default: "1,8" },
      rounds: { type: "string" },
      threads: { type: "string", default: "1" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const wanted = values.only?.split(",");
  const unknown = wanted?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new Error(`--only takes some of ${names.join(", ")}, not ${JSON.stringify(unknown)}`);
  }
  return {
    batches: values.batch.split(",").map((text) => positive("--batch", text)),
    rounds: values.rounds === undefined ? undefined : positive("--rounds", values.rounds),
    threads: positive("--threads", values.threads),
    only: wanted ? names.filter((name) => wanted.includes(name)) : names,
    json: values.json,
    help: values.help,
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${option} takes positive whole numbers, not ${JSON.stringify(text)}`);
}
