/** What the recipe's tasks share: the command line, files, and lines on the terminal. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { FileError, PembrokeError } from "../../mod.ts";

/** The task was called with wrong arguments. */
export class UsageError extends PembrokeError {
  override name = "UsageError";
}

/** A task of the recipe. */
export interface Task<Options> {
  /** What --help prints. */
  readonly usage: string;
  /** Reads the arguments; undefined when --help was given. */
  readArgs(args: readonly string[]): Options | undefined;
  run(options: Options): Promise<void>;
}

/** Runs a task and returns its exit code: 0, 1 for a failure, 2 for wrong arguments. */
export async function runTask<Options>(
  { usage, readArgs, run }: Task<Options>,
  args: readonly string[],
): Promise<number> {
  try {
    const options = readArgs(args[0] === "--" ? args.slice(1) : args); // as `deno task x -- …` passes
    if (options) await run(options);
    else console.log(usage);
    return 0;
  } catch (error) {
    console.error(`error: ${error instanceof PembrokeError ? error.message : String(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Parses arguments as `node:util` does; throws a {@linkcode UsageError} of one line. */
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

/** An error of the file system as a {@linkcode FileError}; other errors stay what they are. */
export function asFileError(name: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new FileError(name, "no such file", { cause: error });
  }
  const isSystemError = error instanceof Error && "code" in error;
  return isSystemError ? new FileError(name, error.message, { cause: error }) : error;
}

/** Reads a text file; throws a {@linkcode FileError}. */
export async function readText(path: string | URL, name = String(path)): Promise<string> {
  return await Deno.readTextFile(path).catch((error) => {
    throw asFileError(name, error);
  });
}

/** Writes a file under another name and renames it, so that it is never half-written. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const temporary = `${path}.${crypto.randomUUID()}.part`;
  try {
    await Deno.writeFile(temporary, bytes);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw asFileError(path, error);
  }
}

/** A line on standard error that overwrites itself. Off a terminal it shows once a minute. */
export class StatusLine {
  readonly #terminal = Deno.stderr.isTerminal();
  #shown = performance.now();
  #length = 0;

  /** Shows a text in place of the last one. */
  show(text: string): void {
    const now = performance.now();
    if (this.#terminal) {
      Deno.stderr.writeSync(new TextEncoder().encode(`\r${text.padEnd(this.#length)}`));
      this.#length = text.length;
    } else if (now - this.#shown >= 60_000) {
      console.error(text);
      this.#shown = now;
    }
  }

  /** Clears the line. */
  clear(): void {
    if (!this.#terminal) return;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r${" ".repeat(this.#length)}\r`));
    this.#length = 0;
  }
}
