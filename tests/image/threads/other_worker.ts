/** Another worker in place of the one that decodes images: none that is known can be ended by a photo. */

/** The script of one that throws when a file begins with "throw", and rejects when with "reject". */
export const mortal = new URL("mortal_worker.ts", import.meta.url);

/** From now on `Decoders` start this script; tells how often, and ends with that when it is disposed. */
export function decodeWith(script: URL): Disposable & { readonly starts: number } {
  const Original = Worker;
  let starts = 0;
  globalThis.Worker = class extends Original {
    constructor(url: string | URL, options?: WorkerOptions) {
      const other = String(url).endsWith("/threads/worker.ts");
      super(other ? script : url, options);
      starts += Number(other);
    }
  };
  return {
    get starts() {
      return starts;
    },
    [Symbol.dispose]: () => void (globalThis.Worker = Original),
  };
}
