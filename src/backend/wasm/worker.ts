/**
 * What a worker thread does: it waits for the caller's thread to begin a kernel and runs it too, in
 * an instance of its own over the same memory. The kernels hand out their work among all who run
 * them (assembly/threads.ts).
 */

/** Words of the memory that the threads share, from `Start.control` on; assembly/threads.ts knows some. */
export const words = {
  /** Counts the kernels begun; whoever waits, waits for it to change. */
  calls: 0,
  /** How many workers are in the kernel under way, and `open` while more may come. */
  gate: 1,
  /** Items of work handed out, and finished: the kernels count them. */
  tickets: 2,
  done: 3,
  /** Workers that sleep. */
  sleepers: 4,
  /** Set at the end. */
  stop: 5,
  /** Which kernel. */
  kernel: 6,
  /** Its arguments, float64, with how many there are before them. */
  argumentCount: 7,
  /** Set when a thread's kernel threw: the others must not wait for its share. */
  failed: 8,
  arguments: 10,
} as const;

/** Added to the gate while workers may enter. */
export const open = 1 << 30;

/** What a worker is told. */
export interface Start {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Its number; 0 is the caller's thread. */
  readonly number: number;
  /** How many there can be, the caller's included. */
  readonly threads: number;
  /** The address of the words. */
  readonly control: number;
  /** The address of memory for this thread alone. */
  readonly own: number;
  /** The kernels' names by number. */
  readonly kernels: readonly string[];
  readonly words: typeof words;
  readonly open: number;
}

/**
 * The worker's program. Its text becomes a script of its own, in whatever bundle it stands, so it
 * uses nothing from outside.
 *
 * @param ready Called when it waits for the first kernel.
 */
export function work(start: Start, ready: () => void): void {
  const { module, memory, number, threads, control, own, kernels, words, open } = start;
  const abort = () => {
    throw new Error("a kernel aborted");
  };
  const instance = new WebAssembly.Instance(module, { env: { memory, abort } });
  const exports = instance.exports as Record<string, (...args: number[]) => void>;
  exports.setThread(number, threads, control, own, 1);
  const shared = new Int32Array(memory.buffer, control, words.arguments);
  const args = new Float64Array(memory.buffer, control + words.arguments * 4, 32);
  /** How long it looks for the next kernel before it sleeps, in milliseconds. */
  const patience = 0.2;

  const enter = () => {
    for (let seen = Atomics.load(shared, words.gate); seen & open;) {
      const now = Atomics.compareExchange(shared, words.gate, seen, seen + 1);
      if (now === seen) return true;
      seen = now;
    }
    return false;
  };

  ready();
  for (let calls = 0; !Atomics.load(shared, words.stop);) {
    const since = performance.now();
    for (let turn = 1; Atomics.load(shared, words.calls) === calls; turn++) {
      if (turn % 256 || performance.now() - since < patience) continue;
      Atomics.add(shared, words.sleepers, 1);
      Atomics.wait(shared, words.calls, calls);
      Atomics.sub(shared, words.sleepers, 1);
    }
    calls = Atomics.load(shared, words.calls);
    if (!enter()) continue;
    try {
      exports.beginKernel();
      exports[kernels[shared[words.kernel]]](...args.subarray(0, shared[words.argumentCount]));
    } catch {
      Atomics.store(shared, words.failed, 1);
    }
    Atomics.sub(shared, words.gate, 1);
    Atomics.notify(shared, words.gate);
  }
}
