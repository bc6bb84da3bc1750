/** Simulates a killed process: from some call on, no change reaches the file system. */

/** Thrown instead of every change after the process was killed. */
class Killed extends Error {
  override name = "Killed";
}

/** How much the last call does: nothing, or half of a write. */
export type Progress = "before" | "halfway";

type Call = (...args: unknown[]) => unknown;

const writeNow = Deno.FsFile.prototype.writeSync;

/** The functions with which the library changes files. */
const changeFunctions: readonly (readonly [owner: object, names: readonly string[]])[] = [
  [Deno, ["open", "mkdir", "remove", "removeSync", "rename", "truncate", "writeFile"]],
  [Deno.FsFile.prototype, ["write", "writeSync", "truncate", "sync"]],
];

/**
 * Runs a function in which the calls that change files throw after the first few. Files are closed
 * and locks released, as the operating system does for a killed process.
 *
 * @param last The number of calls that succeed.
 * @returns The names of the calls that succeeded.
 */
export async function killedAfter(
  last: number,
  progress: Progress,
  run: () => Promise<unknown>,
): Promise<string[]> {
  const calls: string[] = [], restore: (() => void)[] = [];
  let killed = false;
  for (const [owner, names] of changeFunctions) {
    for (const name of names) {
      const original = Reflect.get(owner, name) as Call;
      const call = function (this: unknown, ...args: unknown[]): unknown {
        const [first] = args;
        if (!killed && calls.length < last) {
          calls.push(name);
          return original.apply(this, args);
        }
        if (!killed && progress === "halfway" && first instanceof Uint8Array) {
          writeNow.call(this as Deno.FsFile, first.subarray(0, first.length >> 1));
        }
        killed = true;
        throw new Killed(`${name} after ${last} calls`);
      };
      Reflect.set(owner, name, call);
      restore.push(() => Reflect.set(owner, name, original));
    }
  }
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  } finally {
    restore.forEach((undo) => undo());
  }
  return calls;
}
