/** Makes the n-th call of a kind fail, for every n. */

/** Thrown by a call that was made to fail, as the operating system would. */
export function ioError(): Error {
  const error = new Error("Input/output error (os error 5)");
  return Object.assign(error, { code: "EIO" });
}

/** What can fail. */
export type Kind = "read" | "write" | "network";

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** The functions of each kind. Those in `results` fail by what they return. */
const functions: Readonly<Record<Kind, readonly (readonly [object, readonly string[]])[]>> = {
  read: [
    [Deno, ["readFile", "readDir", "readTextFile", "openSync"]],
    [Deno.FsFile.prototype, ["read", "readSync"]],
  ],
  write: [
    [Deno, ["open", "mkdir", "rename", "chmod"]],
    [Deno.FsFile.prototype, ["write", "writeSync", "sync", "truncate"]],
  ],
  network: [
    [globalThis, ["fetch"]],
    [ReadableStreamDefaultReader.prototype, ["read"]],
  ],
};

const asynchronous = new Set(["readFile", "readTextFile", "read", "open", "mkdir", "rename"]
  .concat("chmod", "write", "sync", "truncate", "fetch"));

/**
 * Runs a function in which the n-th call of a kind fails, and the others work.
 *
 * @returns The number of calls, and the error that the function threw.
 */
export async function withFault(
  kind: Kind,
  n: number,
  run: () => Promise<unknown>,
): Promise<{ calls: number; error?: unknown }> {
  let calls = 0;
  const restore: (() => void)[] = [];
  for (const [owner, names] of functions[kind]) {
    for (const name of names) {
      const original = Reflect.get(owner, name) as Call;
      Reflect.set(owner, name, function (this: unknown, ...args: unknown[]): unknown {
        if (calls++ !== n) return original.apply(this, args);
        const error = kind === "network" ? new TypeError("connection reset") : ioError();
        if (asynchronous.has(name)) return Promise.reject(error);
        throw error;
      });
      restore.push(() => Reflect.set(owner, name, original));
    }
  }
  try {
    await run();
    return { calls };
  } catch (error) {
    return { calls, error };
  } finally {
    restore.forEach((undo) => undo());
  }
}

/** Runs with a fault in the n-th call for every n, until no more calls are made. */
export async function forEveryFault(
  run: (n: number) => Promise<{ calls: number }>,
): Promise<number> {
  for (let n = 0;; n++) {
    const { calls } = await run(n);
    if (calls <= n) return n;
  }
}
