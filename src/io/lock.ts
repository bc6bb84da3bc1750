/**
 * Lock files that exclude other processes.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { onceFree, wait } from "./wait.ts";

/** The contents of a lock file. A file with any others belongs to somebody else. */
const marker = new TextEncoder().encode("# lock file of pembroke, safe to delete\n");

/** The path of the lock file of a file: hidden, in the same folder. */
export function lockPathOf(path: string): string {
  const [, folder, name] = /^(.*[/\\])?([^/\\]*)$/s.exec(path)!;
  return `${folder ?? ""}.${name}.pembroke-lock`;
}

/**
 * A lock that one process holds until it is disposed. The operating system releases it when the
 * process ends, even when it is killed, so a leftover lock file blocks nobody. Disposing deletes
 * the file. Files that are not lock files are never changed or deleted.
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
   * @throws {FileError} When another file is at this path.
   */
  static async tryAcquire(path: string): Promise<Lock | undefined> {
    for (;;) {
      using opened = new DisposableStack();
      // Windows may refuse to open a file that its last holder is deleting.
      const { file, created } = await onceFree(() => open(path));
      opened.use(file);
      if (!await file.tryLock(true)) return undefined;
      // The previous holder may have deleted this file, and another process created a new one.
      if (!isFileAt(path, file)) continue;
      try {
        const length = markedBytes(file);
        if (length === undefined) throw notOurs(path);
        if (length < marker.length) mark(file); // new, or of a process that was killed before this
      } catch (error) {
        if (created) Deno.removeSync(path);
        throw error;
      }
      opened.move();
      return new Lock(path, file);
    }
  }

  /** Releases the lock. */
  [Symbol.dispose](): void {
    try {
      // Delete before others can lock the file.
      const isOurs = hasExactId(this.#file) && isFileAt(this.#path, this.#file);
      if (isOurs && isUnchanged(this.#file)) Deno.removeSync(this.#path);
    } catch {
      // A leftover file is harmless.
    } finally {
      this.#file[Symbol.dispose]();
    }
  }
}

/** Opens or creates a file, without following a link. */
async function open(path: string): Promise<{ file: Deno.FsFile; created: boolean }> {
  for (;;) {
    try {
      const file = await Deno.open(path, { read: true, write: true, createNew: true });
      return { file, created: true };
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    try {
      if (!Deno.lstatSync(path).isFile) throw notOurs(path);
      return { file: await Deno.open(path, { read: true, write: true }), created: false };
    } catch (error) {
      // Deleted meanwhile: try again.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** The length of a lock file, whose contents may be incomplete; undefined for another file. */
function markedBytes(file: Deno.FsFile): number | undefined {
  const bytes = new Uint8Array(marker.length + 1);
  file.seekSync(0, Deno.SeekMode.Start);
  const count = file.readSync(bytes) ?? 0;
  const isOurs = bytes.subarray(0, count).every((byte, i) => byte === marker[i]);
  return isOurs ? count : undefined;
}

/** Whether a file that was a lock file still is one. */
function isUnchanged(file: Deno.FsFile): boolean {
  try {
    return markedBytes(file) === marker.length;
  } catch {
    return file.statSync().size === marker.length; // not readable any more
  }
}

function mark(file: Deno.FsFile): void {
  file.seekSync(0, Deno.SeekMode.Start);
  for (let rest = marker; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
}

function notOurs(path: string): FileError {
  return new FileError(path, "is not a lock file of pembroke; rename or move it");
}

/** Whether no other file has this file's number. On Windows, Deno may round it or not know it. */
function hasExactId(file: Deno.FsFile): boolean {
  return Number.isSafeInteger(file.statSync().ino);
}

/** Whether the path still leads to this open file. */
function isFileAt(path: string, file: Deno.FsFile): boolean {
  try {
    const there = Deno.lstatSync(path), open = file.statSync();
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
