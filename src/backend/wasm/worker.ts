/**
 * The program of a worker thread. It waits until the caller's thread begins a kernel, and runs the
 * same kernel in its own instance over the same memory. The kernels divide the work among all
 * threads that run them (assembly/threads.ts).
 */

import { wordCodes } from "./generated/geometry.ts";
import { maxArguments } from "./generated/kernels.ts";

/**
 * Indices of the words that threads share, which begin at `WorkerStart.control`.
 *
 * A processor may show plain writes to other threads late, and in another order; ARM's do. So words
 * that another thread may be writing are accessed atomically. `kernel` and `arguments` are plain:
 * the caller writes them before it opens the gate, and workers read them after they entered it.
 */
export const words = {
  ...wordCodes,
  /** The number of all words. */
  length: wordCodes.arguments + 2 * maxArguments,
} as const;

/** Added to the gate while workers may enter. */
export const gateOpen = 1 << 30;

/** What a worker gets to start. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The thread's number; 0 is the caller's thread. */
  readonly number: number;
  /** The number of threads, the caller's included. */
  readonly threads: number;
  /** The address of the words. */
  readonly control: number;
  /** The address of memory for this thread alone. */
  readonly ownMemory: number;
  /** The kernels' names by number. */
  readonly kernels: readonly string[];
  readonly words: typeof words;
  readonly gateOpen: number;
}

/**
 * Runs a worker until it is stopped. The source of this function becomes a script of its own, even
 * in a bundle. So it uses nothing from outside.
 *
 * @param ready Called once the worker waits for kernels.
 */
export function runWorker(start: WorkerStart, ready: () => void): void {
  const { module, memory, number, threads, control, ownMemory, kernels, words, gateOpen } = start;
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const exports = instance.exports as Record<string, (...args: number[]) => void>;
  exports.setThread(number, threads, control, ownMemory, 1);
  const shared = new Int32Array(memory.buffer, control, words.arguments);
  const argumentsAt = control + words.arguments * 4;
  const args = new Float64Array(memory.buffer, argumentsAt, (words.length - words.arguments) / 2);
  const functions = kernels.map((name) => exports[name]);
  /** Milliseconds to look for the next kernel before sleeping. */
  const spinMs = 0.2;
  /** The same, if the caller has announced a kernel. */
  const announcedMs = 2;

  const enterGate = () => {
    for (let seen = Atomics.load(shared, words.gate); seen & gateOpen;) {
      const current = Atomics.compareExchange(shared, words.gate, seen, seen + 1);
      if (current === seen) return true;
      seen = current;
    }
    return false;
  };

  ready();
  for (let calls = 0; !Atomics.load(shared, words.stop);) {
    const since = performance.now();
    for (let turn = 1; Atomics.load(shared, words.calls) === calls; turn++) {
      if (turn % 256) continue;
      const patience = Atomics.load(shared, words.announced) ? announcedMs : spinMs;
      if (performance.now() - since < patience) continue;
      Atomics.add(shared, words.sleepers, 1);
      Atomics.wait(shared, words.calls, calls);
      Atomics.sub(shared, words.sleepers, 1);
    }
    calls = Atomics.load(shared, words.calls);
    if (!enterGate()) continue;
    try {
      exports.beginKernel();
      // a kernel ignores the arguments that it does not take, and a spread would create an array
      const run = functions[shared[words.kernel]];
      run(args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7]);
    } catch {
      Atomics.store(shared, words.failed, 1);
    }
    Atomics.sub(shared, words.gate, 1);
    Atomics.notify(shared, words.gate);
  }
}
