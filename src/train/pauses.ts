/**
 * Letting other code run during long computations, such as a page that responds to its user.
 *
 * @module
 */

/** The time between two pictures of a screen at 60 Hz, in milliseconds. */
const frameMs = 16;

/**
 * Returns a function that lets other code run if 16 ms have passed since it last did.
 *
 * @param signal Cancels: the function then rejects with the signal's reason.
 */
export function pauses(signal?: AbortSignal): () => Promise<void> {
  let last = performance.now();
  return async () => {
    signal?.throwIfAborted();
    if (performance.now() - last < frameMs) return;
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    last = performance.now();
  };
}
