/** The options of the commands that run a model. */

import { UsageError } from "./errors.ts";

/** The commands that run a model. */
export const modelCommands = ["classify", "evaluate", "explain", "serve", "summary"] as const;

export const weightsCommands = ["pull", "models", "rm", "convert", "quantize"] as const;

/** All commands. */
export const commands: readonly string[] = [...modelCommands, ...weightsCommands, "learn"];

type ModelCommand = typeof modelCommands[number];

const runs: readonly ModelCommand[] = ["classify", "evaluate", "explain", "serve"];
const classify: readonly ModelCommand[] = ["classify"];
const explain: readonly ModelCommand[] = ["explain"];
const shows: readonly ModelCommand[] = ["classify", "explain"];
const serve: readonly ModelCommand[] = ["serve"];

/** The options for `parseStrictly()`. `of` lists the commands that use one; without it, all do. */
export const options = {
  "model": { type: "string", short: "m" },
  "weights": { type: "string" },
  "base": { type: "string" },
  "classes": { type: "string", of: runs },
  "preprocessing": { type: "string" },
  "random": { type: "boolean", default: false },
  "seed": { type: "string", of: runs },
  "top-k": { type: "string", short: "k", of: shows },
  "backend": { type: "string", of: runs },
  "precision": { type: "string", of: runs },
  "host": { type: "string", of: serve },
  "port": { type: "string", of: serve },
  "max-bytes": { type: "string", of: serve },
  "max-pixels": { type: "string", of: serve },
  "memory": { type: "string", of: serve },
  "cors": { type: "string", of: serve },
  "files-from": { type: "string", of: classify },
  "resume": { type: "string", of: classify },
  "shard": { type: "string", of: classify },
  "features": { type: "boolean", default: false, of: classify },
  "class": { type: "string", of: explain },
  "method": { type: "string", of: shows },
  "show": { type: "boolean", default: false, of: shows },
  "show-as": { type: "string", of: shows },
  "output": { type: "string", short: "o", of: shows },
  "html": { type: "string", of: ["evaluate", "explain"] },
  "json": { type: "boolean", default: false, of: ["classify", "evaluate", "summary"] },
  "jsonl": { type: "boolean", default: false, of: ["classify", "evaluate", "summary"] },
  "offline": { type: "boolean", default: false },
  "quiet": { type: "boolean", short: "q", default: false },
  "verbose": { type: "boolean", short: "v", default: false, of: runs },
  "no-color": { type: "boolean", default: false },
  "help": { type: "boolean", short: "h", default: false },
  "version": { type: "boolean", default: false },
} as const;

/** An option of some commands. */
interface OptionOf {
  readonly type: "string" | "boolean";
  readonly of?: readonly ModelCommand[];
}

/** Throws a {@linkcode UsageError} if an option was given that a command does not use. */
export function checkUsed(
  command: ModelCommand,
  values: { readonly [name in keyof typeof options]?: string | boolean },
): void {
  for (const name of Object.keys(options) as (keyof typeof options)[]) {
    const { of = modelCommands }: OptionOf = options[name];
    if (values[name] === undefined || values[name] === false || of.includes(command)) continue;
    const users = of.join(", ").replace(/, (\w+)$/, " and $1");
    throw new UsageError(`--${name} is for ${users}, not for ${command}; leave it out`);
  }
}
