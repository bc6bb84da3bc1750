/**
 * One at a time, also among processes.
 *
 * @module
 */

/**
 * Runs while no other process has the lock. The system gives it back when a process ends, however that
 * comes. The file stays: to delete it would let two in.
 *
 * @param path The file that stands for the lock; made if need be.
 * @param onWait Called if another process has it.
 */
export async function locked<T>(
  path: string,
  run: () => Promise<T>,
  onWait: () => void = () => {},
): Promise<T> {
  using file = await Deno.open(path, { write: true, create: true });
  if (!await file.tryLock(true)) {
    onWait();
    await file.lock(true);
  }
  return await run();
}
