/** The file of `--resume`: skips images that have results, and appends new results. */

import { FileError } from "../errors.ts";
import type { ByteSink } from "../io/byte_sink.ts";
import { Lock, lockPathOf } from "../io/lock.ts";
import { writeFile } from "../io/write_file.ts";
import { asFileError, asWriteError } from "./errors.ts";
import { type Input, pathOf } from "./inputs.ts";
import { withSignalCleanup } from "./interrupts.ts";
import { linesOf } from "./lines.ts";
import type { Result } from "./output.ts";
import { writeAll } from "./terminal.ts";

/** Two commands would mix their lines, and classify the same images. */
const inUse = "in use by another command; wait until it ends, or use another file";

/** A file of results that a command appends to. */
export class ResultFile implements Disposable {
  /** The number of results in the file for each input, less those skipped. */
  readonly #done: Map<string, number>;
  readonly #file: Deno.FsFile;
  readonly #name: string;
  readonly #lock: Lock;
  /** The number of results at opening. */
  readonly count: number;

  private constructor(name: string, file: Deno.FsFile, lock: Lock, done: Map<string, number>) {
    this.#name = name;
    this.#file = file;
    this.#lock = lock;
    this.#done = done;
    this.count = done.values().reduce((sum, times) => sum + times, 0);
  }

  /**
   * Opens or creates the file. Keeps results, and removes errors, so that their images are retried, and
   * an incomplete last line.
   *
   * @throws {FileError} When the file cannot be read or written, has lines that `--jsonl` does not write,
   * or is in use by another command.
   */
  static async open(name: string): Promise<ResultFile> {
    let lock: Lock | undefined;
    try {
      const path = await Deno.realPath(pathOf(name)).catch((error) => {
        if (error instanceof Deno.errors.NotFound) return pathOf(name);
        throw error;
      });
      const info = await Deno.stat(path).catch(() => undefined);
      // to read a pipe would wait for somebody to write
      if (info && !info.isFile && !info.isDirectory) throw new FileError(name, "is not a file");
      lock = await Lock.tryAcquire(lockPathOf(path));
      if (!lock) throw new FileError(name, inUse);
      const done = await removeErrors(name, path);
      const file = await Deno.open(path, { append: true, create: true });
      return new ResultFile(name, file, lock, done);
    } catch (error) {
      lock?.[Symbol.dispose]();
      throw asWriteError(name, error);
    }
  }

  /** The inputs without a result in the file. An input that is listed twice needs two results. */
  async *skipDone(inputs: AsyncIterable<Input>): AsyncGenerator<Input> {
    for await (const input of inputs) {
      const times = this.#done.get(input.name) ?? 0;
      if (times === 0) yield input;
      else if (times === 1) this.#done.delete(input.name);
      else this.#done.set(input.name, times - 1);
    }
  }

  /** Appends a line. */
  write(line: string): void {
    try {
      writeAll(this.#file, `${line}\n`);
    } catch (error) {
      throw asWriteError(this.#name, error);
    }
  }

  /** Closes and unlocks the file. */
  [Symbol.dispose](): void {
    this.#file.close();
    this.#lock[Symbol.dispose]();
  }
}

/** How each line starts. An incomplete last line is dropped only if this command has begun it. */
const start = '{"input":"';

/** Removes errors and an incomplete last line, and counts the results of each input. */
async function removeErrors(name: string, path: string): Promise<Map<string, number>> {
  const done = new Map<string, number>();
  let from: Deno.FsFile;
  try {
    from = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return done;
    throw asFileError(name, error);
  }
  const encoder = new TextEncoder();
  const write = async (sink: ByteSink) => {
    let at = 0, number = 0;
    for await (const { text, terminated } of linesOf(from.readable, name)) {
      number++;
      if (!terminated && start.startsWith(text.slice(0, start.length))) break;
      const result = resultOf(text);
      if (!result) throw new FileError(name, `line ${number} is not --jsonl output`);
      if ("error" in result) continue;
      done.set(result.input, (done.get(result.input) ?? 0) + 1);
      const bytes = encoder.encode(`${text}\n`);
      sink.write(at, bytes);
      at += bytes.length;
    }
  };
  await withSignalCleanup(() => writeFile(path, write));
  return done;
}

function resultOf(line: string): Result | undefined {
  try {
    const value = JSON.parse(line);
    const valid = typeof value.input === "string" && ("predictions" in value || "error" in value);
    return valid ? value : undefined;
  } catch {
    return undefined;
  }
}
