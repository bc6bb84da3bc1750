/**
 * Waits for a time that an `AbortSignal` can end, or for a file that another program has open.
 *
 * @module
 */

/** Waits `ms` milliseconds. Rejects with the signal's reason as soon as it aborts. */
export async function wait(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = () => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The most attempts. After the nth one, the wait takes n × 20 ms: 0.9 s for all of them. */
const attempts = 10, stepMs = 20;

/**
 * Opens, renames or deletes a file. Windows refuses that while another program has the file open,
 * often for a moment only, because a virus scanner reads each new file. So on Windows, this tries
 * again for a second.
 *
 * @param run Fails without any effect if the file is in use.
 * @param os The operating system.
 */
export async function onceFree<T>(
  run: () => Promise<T>,
  os: typeof Deno.build.os = Deno.build.os,
): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (os !== "windows" || attempt === attempts || !mayBeInUse(error)) throw error;
    }
    await wait(attempt * stepMs);
  }
}

/** Whether a file may be in use. Windows often says only that access is denied. */
function mayBeInUse(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied ||
    (error as { readonly code?: string }).code === "EBUSY";
}
