/** Work that newer work replaces. */

/** Hands out a signal for each piece of work, and aborts the one before. */
export class Turn {
  #controller = new AbortController();

  /** The signal of the work that goes on. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins new work. */
  next(): AbortSignal {
    this.cancel();
    this.#controller = new AbortController();
    return this.signal;
  }

  /** Aborts the work that goes on. */
  cancel(): void {
    this.#controller.abort();
  }
}

/** A signal that is aborted with the first of several. As `AbortSignal.any`, which Safari 16 does not have. */
export function anyOf(...signals: AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) {
    const abort = () => controller.abort(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  }
  return controller.signal;
}

/** Waits for something, but not longer than until the signal is aborted: then rejects with the reason. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.finally(() => signal.removeEventListener("abort", onAbort)).then(resolve, reject);
  });
}

/** Whether something ended only because newer work has replaced it. */
export function isReplaced(error: unknown): boolean {
  return (error as Error | undefined)?.name === "AbortError";
}
