/** Going on with a file of results that broke off. */

import { FileError } from "../errors.ts";
import { Lock } from "../io/lock.ts";
import { writeFile } from "../io/write_file.ts";
import { asFileError, asWriteError, isSystemError } from "./errors.ts";
import { type Input, pathOf } from "./inputs.ts";
import { linesOf } from "./lines.ts";
import type { Result } from "./output.ts";

/** Lines of two would mix, and each would do the other's work again. */
const inUse = "another command adds to it; wait until that has ended, or name another file";

/** A file of results to which more are added. */
export class Resumed implements Disposable {
  /** How often each input is in the file already, with its classes. */
  readonly #done: Map<string, number>;
  readonly #file: Deno.FsFile;
  readonly #name: string;
  readonly #lock: Lock;
  /** How many results were there. */
  readonly count: number;

  private constructor(name: string, file: Deno.FsFile, lock: Lock, done: Map<string, number>) {
    this.#name = name;
    this.#file = file;
    this.#lock = lock;
    this.#done = done;
    this.count = done.values().reduce((sum, times) => sum + times, 0);
  }

  /**
   * Opens the file, or makes one. Results stay in it; errors, which are tried again, go, and so does
   * a last line that a crash has cut.
   *
   * @throws {FileError} If it cannot be read or written, holds anything but lines of `--jsonl`, or
   * another command adds to it now.
   */
  static async open(name: string): Promise<Resumed> {
    let lock: Lock | undefined;
    try {
      const path = await Deno.realPath(pathOf(name)).catch((error) => {
        if (error instanceof Deno.errors.NotFound) return pathOf(name);
        throw error;
      });
      lock = await Lock.tryAcquire(`${path}.lock`);
      if (!lock) throw new FileError(name, inUse);
      const done = await keepResults(name, path);
      const file = await Deno.open(path, { append: true, create: true });
      return new Resumed(name, file, lock, done);
    } catch (error) {
      lock?.[Symbol.dispose]();
      throw isSystemError(error) ? asWriteError(name, error) : error;
    }
  }

  /** The inputs that are not in the file. */
  async *without(inputs: AsyncIterable<Input>): AsyncGenerator<Input> {
    for await (const input of inputs) {
      const times = this.#done.get(input.name) ?? 0;
      if (times === 0) yield input;
      else if (times === 1) this.#done.delete(input.name);
      else this.#done.set(input.name, times - 1);
    }
  }

  /** Adds a line. */
  write(line: string): void {
    try {
      let rest = new TextEncoder().encode(`${line}\n`);
      while (rest.length > 0) rest = rest.subarray(this.#file.writeSync(rest));
    } catch (error) {
      throw asWriteError(this.#name, error);
    }
  }

  /** Closes the file; others may add to it. */
  [Symbol.dispose](): void {
    this.#file.close();
    this.#lock[Symbol.dispose]();
  }
}

/** Reduces a file to its results, and counts them by the names of their inputs. */
async function keepResults(name: string, path: string): Promise<Map<string, number>> {
  const done = new Map<string, number>();
  let from: Deno.FsFile;
  try {
    from = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return done;
    throw asFileError(name, error);
  }
  const encoder = new TextEncoder();
  await writeFile(path, async (sink) => {
    let at = 0, number = 0;
    for await (const { text, whole } of linesOf(from.readable)) {
      if (!whole) break;
      number++;
      const result = resultOf(text);
      if (!result) throw new FileError(name, `line ${number} is not what --jsonl writes`);
      if ("error" in result) continue;
      done.set(result.input, (done.get(result.input) ?? 0) + 1);
      const bytes = encoder.encode(`${text}\n`);
      sink.write(at, bytes);
      at += bytes.length;
    }
  });
  return done;
}

function resultOf(line: string): Result | undefined {
  try {
    const value = JSON.parse(line);
    const known = typeof value.input === "string" && ("predictions" in value || "error" in value);
    return known ? value : undefined;
  } catch {
    return undefined;
  }
}
