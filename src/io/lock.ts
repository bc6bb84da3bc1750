/**
 * Lock files that exclude other processes.
 *
 * @module
 */

import { wait } from "./wait.ts";

/**
 * A lock that one process holds until it is disposed. The operating system releases it when the
 * process ends, even when it is killed, so a leftover lock file blocks nobody. Disposing deletes
 * the file.
 */
export class Lock implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Acquires the lock, or returns undefined if it is held elsewhere.
   *
   * @param path The lock file, created if necessary.
   */
  static async tryAcquire(path: string): Promise<Lock | undefined> {
    for (;;) {
      using opened = new DisposableStack();
      const file = opened.use(await Deno.open(path, { write: true, create: true }));
      if (!await file.tryLock(true)) return undefined;
      // The previous holder may have deleted this file, and another process created a new one.
      if (!isFileAt(path, file)) continue;
      opened.move();
      return new Lock(path, file);
    }
  }

  /** Releases the lock. */
  [Symbol.dispose](): void {
    try {
      // Delete before others can lock the file. Windows reports no inode to compare.
      if (Deno.build.os !== "windows" && isFileAt(this.#path, this.#file)) {
        Deno.removeSync(this.#path);
      }
    } catch {
      // A leftover file is harmless.
    } finally {
      this.#file[Symbol.dispose]();
    }
  }
}

/** Whether the path still leads to this open file. */
function isFileAt(path: string, file: Deno.FsFile): boolean {
  try {
    const there = Deno.statSync(path), open = file.statSync();
    return there.ino === open.ino && there.dev === open.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** How often a waiting process tries again. */
const retryMs = 100;

/**
 * Runs a function while holding a lock, after waiting for it if necessary.
 *
 * @param path The lock file.
 * @param run Runs with the lock held.
 * @param options `onWait` is called before waiting for another holder; `signal` stops the wait.
 */
export async function withLock<T>(
  path: string,
  run: () => Promise<T>,
  { onWait = () => {}, signal }: { readonly onWait?: () => void; readonly signal?: AbortSignal } =
    {},
): Promise<T> {
  let lock = await Lock.tryAcquire(path);
  if (!lock) onWait();
  while (!lock) {
    await wait(retryMs, signal);
    lock = await Lock.tryAcquire(path);
  }
  using _ = lock;
  return await run();
}
