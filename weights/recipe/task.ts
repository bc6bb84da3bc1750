/** What the recipe's tasks share: running one, and writing what it made. */

import { asFileError, isSystemError, lineOf, UsageError } from "../../src/cli/errors.ts";
import { complain, print } from "../../src/cli/terminal.ts";
import { writeFile } from "../../src/io/write_file.ts";

/** A task of the recipe. */
export interface Task<Options> {
  /** What --help prints. */
  readonly usage: string;
  /** Reads its arguments; undefined when help was asked for. */
  readArgs(args: readonly string[]): Options | undefined;
  run(options: Options): Promise<void>;
}

/** Runs a task and returns its exit code: 0, 1 if something failed, 2 for wrong usage. */
export async function runTask<Options>(
  { usage, readArgs, run }: Task<Options>,
  args: readonly string[],
): Promise<number> {
  try {
    const options = readArgs(args[0] === "--" ? args.slice(1) : args); // as `deno task x -- …` passes
    if (options) await run(options);
    else print(usage);
    return 0;
  } catch (error) {
    complain(lineOf(error));
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Writes a file so that it is never there by half. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    // deno-lint-ignore require-await -- what writes may wait, and this does not
    await writeFile(path, async (sink) => sink.write(0, bytes));
  } catch (error) {
    throw isSystemError(error) ? asFileError(path, error) : error;
  }
}
