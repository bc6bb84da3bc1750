/** Replaces the decode worker by another script: no known photo crashes the real one. */

/** A worker that throws on files starting with "throw", and rejects on "reject". */
export const crashingWorker = new URL("crashing_worker.ts", import.meta.url);

/** A worker that never finishes a PNG. */
export const hangingWorker = new URL("hanging_worker.ts", import.meta.url);

/** Makes decode threads run this script until disposed, and counts how often it starts. */
export function replaceDecodeWorker(script: URL): Disposable & { readonly starts: number } {
  const Original = Worker;
  let starts = 0;
  globalThis.Worker = class extends Original {
    constructor(url: string | URL, options?: WorkerOptions) {
      const replaced = String(url).endsWith("/threads/worker.ts");
      super(replaced ? script : url, options);
      starts += Number(replaced);
    }
  };
  return {
    get starts() {
      return starts;
    },
    [Symbol.dispose]: () => void (globalThis.Worker = Original),
  };
}
