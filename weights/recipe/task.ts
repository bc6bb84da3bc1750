/** Shared code of the tasks: the command line, files and progress. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { FileError, PembrokeError } from "../../mod.ts";

/** An error in the arguments of a task. */
export class UsageError extends PembrokeError {
  override name = "UsageError";
}

/** A task of the recipe. */
export interface Task<Options> {
  /** The text of --help. */
  readonly usage: string;
  /** Reads the arguments. Returns undefined for --help. */
  readArgs(args: readonly string[]): Options | undefined;
  run(options: Options): Promise<void>;
}

/** Runs a task and returns its exit code: 0, 1 for a failure, 2 for invalid arguments. */
export async function runTask<Options>(
  { usage, readArgs, run }: Task<Options>,
  args: readonly string[],
): Promise<number> {
  try {
    // `deno task x -- …` passes the "--" on.
    const options = readArgs(args[0] === "--" ? args.slice(1) : args);
    if (options) await run(options);
    else console.log(usage);
    return 0;
  } catch (error) {
    console.error(`error: ${error instanceof PembrokeError ? error.message : String(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Parses arguments with `parseArgs()` of `node:util`. Throws a {@linkcode UsageError}. */
export function parseOptions<const C extends ParseArgsConfig>(
  config: C,
): ReturnType<typeof parseArgs<C>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const [sentence] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(`${sentence.replace(/\.$/, "")}; --help lists the options`);
  }
}

/**
 * Converts an error of the file system to a {@linkcode FileError}. Returns other errors unchanged.
 */
export function toFileError(name: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new FileError(name, "no such file", { cause: error });
  }
  const isSystemError = error instanceof Error && "code" in error;
  return isSystemError ? new FileError(name, error.message, { cause: error }) : error;
}

/** Reads a text file. Throws a {@linkcode FileError}. */
export async function readText(path: string | URL, name = String(path)): Promise<string> {
  return await Deno.readTextFile(path).catch((error) => {
    throw toFileError(name, error);
  });
}

/** Writes a temporary file and renames it, so that the file is never incomplete. */
export async function writeAtomically(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const temporary = `${path}.${crypto.randomUUID()}.part`;
  try {
    await Deno.writeFile(temporary, bytes);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw toFileError(path, error);
  }
}

/** A status line on standard error. Without a terminal, it prints a line once a minute. */
export class StatusLine {
  readonly #terminal = Deno.stderr.isTerminal();
  #lastPrint = performance.now();
  #length = 0;

  /** Shows a text in place of the last one. */
  show(text: string): void {
    const now = performance.now();
    if (this.#terminal) {
      Deno.stderr.writeSync(new TextEncoder().encode(`\r${text.padEnd(this.#length)}`));
      this.#length = text.length;
    } else if (now - this.#lastPrint >= 60_000) {
      console.error(text);
      this.#lastPrint = now;
    }
  }

  /** Clears the line. */
  clear(): void {
    if (!this.#terminal) return;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r${" ".repeat(this.#length)}\r`));
    this.#length = 0;
  }
}
