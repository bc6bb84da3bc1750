/**
 * One at a time, also among processes.
 *
 * @module
 */

import { wait } from "./wait.ts";

/**
 * A lock that one process has until it is disposed. The system gives it back when the process ends,
 * however that comes: a file that a killed process has left is no obstacle. Disposing deletes it.
 */
export class Lock implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Takes the lock; undefined if somebody else has it.
   *
   * @param path The file that stands for the lock; made if need be.
   */
  static async take(path: string): Promise<Lock | undefined> {
    for (;;) {
      using opened = new DisposableStack();
      const file = opened.use(await Deno.open(path, { write: true, create: true }));
      if (!await file.tryLock(true)) return undefined;
      // whoever had the lock may have deleted this file, and somebody made another
      if (!isAt(path, file)) continue;
      opened.move();
      return new Lock(path, file);
    }
  }

  /** Gives the lock back. */
  [Symbol.dispose](): void {
    try {
      // before others can lock it; Windows cannot tell whether it would be theirs
      if (Deno.build.os !== "windows" && isAt(this.#path, this.#file)) Deno.removeSync(this.#path);
    } catch {
      // a file that stays is no obstacle
    } finally {
      this.#file[Symbol.dispose]();
    }
  }
}

/** Whether an open file is the one that has this path. */
function isAt(path: string, file: Deno.FsFile): boolean {
  try {
    const there = Deno.statSync(path), open = file.statSync();
    return there.ino === open.ino && there.dev === open.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** How long until it is tried again. */
const pauseMs = 100;

/**
 * Runs while no other process has the lock.
 *
 * @param path The file that stands for the lock.
 * @param options What is called if somebody else has it, before waiting, and what ends the waiting.
 */
export async function locked<T>(
  path: string,
  run: () => Promise<T>,
  { onWait = () => {}, signal }: { readonly onWait?: () => void; readonly signal?: AbortSignal } =
    {},
): Promise<T> {
  let lock = await Lock.take(path);
  if (!lock) onWait();
  while (!lock) {
    await wait(pauseMs, signal);
    lock = await Lock.take(path);
  }
  using _ = lock;
  return await run();
}
