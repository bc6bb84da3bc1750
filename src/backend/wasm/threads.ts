/**
 * Threads that share the kernels' work: module workers over one shared memory, the caller's thread
 * working too.
 */

import { nodeModule } from "../../node.ts";
import type { Build } from "./binary.ts";
import { type Exports, sharedKernels } from "./generated/kernels.ts";
import { open, type Start, words, work } from "./worker.ts";

/** Bytes that the threads talk through, and bytes for each of them alone. */
const CONTROL = 512, OWN = 2048;

/** Bytes of memory that so many threads need. */
export function threadBytes(threads: number): number {
  return CONTROL + threads * OWN;
}

/** A worker of any runtime, reduced to its end. */
interface Running {
  end(): void;
}

/** The workers of one backend. */
export class Team {
  /** The caller's thread and the workers that started. */
  readonly threads: number;
  readonly #shared: Int32Array;
  readonly #args: Float64Array;
  readonly #workers: readonly Running[];
  readonly #maySleep = maySleep();

  private constructor(workers: readonly Running[], memory: WebAssembly.Memory, address: number) {
    this.#workers = workers;
    this.threads = workers.length + 1;
    this.#shared = new Int32Array(memory.buffer, address, words.arguments);
    this.#args = new Float64Array(memory.buffer, address + words.arguments * 4, 32);
  }

  /**
   * Starts threads − 1 workers; those that do not start are done without.
   *
   * @param address Where threadBytes() bytes of the memory are free; they must be 0.
   * @param caller The caller's instance of the kernels.
   */
  static async start(
    { module }: Build,
    memory: WebAssembly.Memory,
    address: number,
    threads: number,
    caller: Exports,
  ): Promise<Team> {
    const own = (number: number) => address + CONTROL + number * OWN;
    const starts = Array.from({ length: threads - 1 }, async (_, i) => {
      const number = i + 1, control = address;
      return await startWorker({
        ...{ module, memory, number, threads, control, own: own(number) },
        ...{ kernels: sharedKernels, words, open },
      });
    });
    const started = await Promise.allSettled(starts);
    const workers = started.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    caller.setThread(0, threads, address, own(0), Number(maySleep()));
    return new Team(workers, memory, address);
  }

  /** The caller's kernels, where those that share their work call the others in. */
  lead(kernels: Exports): Exports {
    const led: Exports = { ...kernels };
    for (const [number, name] of sharedKernels.entries()) {
      const kernel = kernels[name] as (...args: number[]) => void;
      led[name] = (...args: number[]) => {
        this.#begin(number, args);
        try {
          kernels.beginKernel();
          kernel(...args);
        } catch (error) {
          Atomics.store(this.#shared, words.failed, 1);
          throw error;
        } finally {
          this.#finish();
        }
      };
    }
    return led;
  }

  /** Wakes the workers that sleep, for a kernel that comes soon. */
  wake(): void {
    if (Atomics.load(this.#shared, words.sleepers) === 0) return;
    Atomics.add(this.#shared, words.calls, 1);
    Atomics.notify(this.#shared, words.calls);
  }

  #begin(kernel: number, args: readonly number[]): void {
    const shared = this.#shared;
    shared[words.kernel] = kernel;
    shared[words.argumentCount] = args.length;
    for (let i = 0; i < args.length; i++) this.#args[i] = args[i];
    Atomics.store(shared, words.tickets, 0);
    Atomics.store(shared, words.done, 0);
    Atomics.store(shared, words.failed, 0);
    Atomics.store(shared, words.gate, open);
    Atomics.add(shared, words.calls, 1);
    if (Atomics.load(shared, words.sleepers) > 0) Atomics.notify(shared, words.calls);
  }

  /** Closes the gate and waits for those behind it: nothing is left to do there but to leave. */
  #finish(): void {
    Atomics.sub(this.#shared, words.gate, open);
    for (let turn = 1;; turn++) {
      const inside = Atomics.load(this.#shared, words.gate);
      if (inside === 0) return;
      // with more threads than processors, one of them may have to give way
      if (turn > 1000 && this.#maySleep) Atomics.wait(this.#shared, words.gate, inside, 1);
    }
  }

  /** Ends the workers. */
  dispose(): void {
    Atomics.store(this.#shared, words.stop, 1);
    Atomics.add(this.#shared, words.calls, 1);
    Atomics.notify(this.#shared, words.calls);
    for (const worker of this.#workers) worker.end();
  }
}

/** Whether the engine lets the caller's thread sleep; a page's does not. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** How many processors the machine has: Node 20 has no navigator. */
export async function processors(): Promise<number> {
  const count = globalThis.navigator?.hardwareConcurrency;
  if (count) return count;
  const os = await nodeModule("node:os") as { availableParallelism?(): number } | undefined;
  return os?.availableParallelism?.() ?? 1;
}

/** The part of `node:worker_threads` that is used. */
interface NodeThreads {
  readonly Worker: new (url: URL, options: { workerData: Start; env: object }) => {
    once(event: string, listener: (value: unknown) => void): void;
    unref(): void;
  };
}

/** Bundlers that keep the names of functions wrap them in this, which a script of its own lacks. */
const head = "const __name = (f) => f;\n";

async function startWorker(start: Start): Promise<Running> {
  // in Node, Deno and Bun: these workers, unlike a page's, let a program end
  const threads = await nodeModule("node:worker_threads") as NodeThreads | undefined;
  if (threads) {
    const script = `${head}import { parentPort, workerData } from "node:worker_threads";
(${work})(workerData, () => parentPort.postMessage("ready"));`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    // a worker that is to see the environment asks Deno for the permission
    const worker = new threads.Worker(url, { workerData: start, env: {} });
    await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", reject);
    });
    worker.unref();
    return { end() {} }; // it ends when its program does
  }
  const script = `${head}onmessage = ({ data }) => {
  (${work})(data, () => postMessage("ready"));
  close();
};`;
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  let worker: Worker | undefined;
  try {
    worker = new Worker(url, { type: "module" });
    worker.postMessage(start);
    await new Promise((resolve, reject) => {
      worker!.onmessage = resolve;
      worker!.onerror = reject;
    });
    return { end: () => worker!.terminate() };
  } catch (error) {
    worker?.terminate();
    throw error;
  } finally {
    URL.revokeObjectURL(url);
  }
}
