/**
 * Waiting.
 *
 * @module
 */

/** Waits so many milliseconds; rejects with the signal's reason as soon as it is aborted. */
export async function wait(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const aborted = () => reject(signal?.reason);
  signal?.addEventListener("abort", aborted);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", aborted);
  }
}
