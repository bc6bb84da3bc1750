/**
 * One at a time, also among processes.
 *
 * @module
 */

import { wait } from "./wait.ts";

/** How long until it is tried again. */
const pauseMs = 100;

/**
 * Runs while no other process has the lock. The system gives it back when a process ends, however that
 * comes. The file stays: to delete it would let two in.
 *
 * @param path The file that stands for the lock; made if need be.
 * @param options What is called if somebody else has it, before waiting, and what ends the waiting.
 */
export async function locked<T>(
  path: string,
  run: () => Promise<T>,
  { onWait = () => {}, signal }: { readonly onWait?: () => void; readonly signal?: AbortSignal } =
    {},
): Promise<T> {
  using file = await Deno.open(path, { write: true, create: true });
  for (let waiting = false; !await file.tryLock(true); waiting = true) {
    if (!waiting) onWait();
    await wait(pauseMs, signal);
  }
  return await run();
}
