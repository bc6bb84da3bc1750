/** A process that is killed, as the file system sees it: from some moment on nothing is changed. */

/** What a killed process throws in place of all that it would have changed. */
export class Killed extends Error {
  override name = "Killed";
}

/** How much of a call is done: nothing, or the half of what it was to write. */
export type Progress = "before" | "halfway";

type Call = (...args: unknown[]) => unknown;

const writeNow = Deno.FsFile.prototype.writeSync;

/** The functions through which the library changes files. */
const changing: readonly (readonly [owner: object, names: readonly string[]])[] = [
  [Deno, ["open", "mkdir", "remove", "removeSync", "rename", "truncate", "writeFile"]],
  [Deno.FsFile.prototype, ["write", "writeSync", "truncate", "sync"]],
];

/**
 * Runs something whose changes to files end at a call: this one and all after it throw. What the
 * system does for a killed process still happens: its files are closed, its locks given back.
 *
 * @param last How many calls succeed.
 * @returns The names of the calls that succeeded.
 */
export async function killedAfter(
  last: number,
  progress: Progress,
  run: () => Promise<unknown>,
): Promise<string[]> {
  const calls: string[] = [], restore: (() => void)[] = [];
  let killed = false;
  for (const [owner, names] of changing) {
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
    restore.forEach((back) => back());
  }
  return calls;
}
