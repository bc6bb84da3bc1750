/**
 * Threads that share the work of kernels: workers over one shared memory, and the caller's thread.
 */

import { nodeModule } from "../../node.ts";
import type { Build } from "./binary.ts";
import { type Exports, sharedKernels } from "./generated/kernels.ts";
import { gateOpen, runWorker, words, type WorkerStart } from "./worker.ts";

/** Bytes for `words`, rounded up, and for the memory of each thread alone (assembly/threads.ts). */
const sharedBytes = 128, ownBytes = 2048;

/** Returns the bytes of memory that a number of threads need. */
export function threadBytes(threads: number): number {
  return sharedBytes + threads * ownBytes;
}

/** A worker of any runtime. */
interface WorkerHandle {
  terminate(): void;
}

/** The threads of one backend. */
export class ThreadPool {
  /** The number of threads: the caller's, and the workers that started. */
  readonly threads: number;
  readonly #shared: Int32Array;
  readonly #args: Float64Array;
  readonly #workers: readonly WorkerHandle[];
  readonly #canSleep = canSleep();

  private constructor(
    workers: readonly WorkerHandle[],
    memory: WebAssembly.Memory,
    address: number,
  ) {
    this.#workers = workers;
    this.threads = workers.length + 1;
    this.#shared = new Int32Array(memory.buffer, address, words.arguments);
    const count = (words.length - words.arguments) / 2;
    this.#args = new Float64Array(memory.buffer, address + words.arguments * 4, count);
  }

  /**
   * Starts one worker less than `threads`, because the caller is a thread, too. Workers that fail
   * to start are left out.
   *
   * @param address Where the memory has {@linkcode threadBytes} free bytes that are 0.
   * @param caller The caller's instance of the kernels.
   */
  static async start(
    { module }: Build,
    memory: WebAssembly.Memory,
    address: number,
    threads: number,
    caller: Exports,
  ): Promise<ThreadPool> {
    const memoryOf = (number: number) => address + sharedBytes + number * ownBytes;
    const starts = Array.from({ length: threads - 1 }, async (_, i) => {
      const number = i + 1;
      return await startWorker({
        module,
        memory,
        number,
        threads,
        control: address,
        ownMemory: memoryOf(number),
        kernels: sharedKernels,
        words,
        gateOpen,
      });
    });
    const results = await Promise.allSettled(starts);
    const workers = results.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    caller.setThread(0, threads, address, memoryOf(0), Number(canSleep()));
    return new ThreadPool(workers, memory, address);
  }

  /** Returns the caller's kernels. Those that can share their work run on all threads. */
  wrap(kernels: Exports): Exports {
    const wrapped: Exports = { ...kernels };
    for (const [number, name] of sharedKernels.entries()) {
      const kernel = kernels[name] as (...args: number[]) => void;
      wrapped[name] = (...args: number[]) => {
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
    return wrapped;
  }

  /** Wakes sleeping workers, because a kernel will follow soon. */
  wake(): void {
    Atomics.store(this.#shared, words.announced, 1);
    if (Atomics.load(this.#shared, words.sleepers) === 0) return;
    Atomics.add(this.#shared, words.calls, 1);
    Atomics.notify(this.#shared, words.calls);
  }

  #begin(kernel: number, args: readonly number[]): void {
    const shared = this.#shared;
    shared[words.kernel] = kernel;
    Atomics.store(shared, words.announced, 0);
    for (let i = 0; i < args.length; i++) this.#args[i] = args[i];
    Atomics.store(shared, words.claims, 0);
    Atomics.store(shared, words.claimsAbove, 0);
    Atomics.store(shared, words.done, 0);
    Atomics.store(shared, words.failed, 0);
    Atomics.store(shared, words.gate, gateOpen);
    Atomics.add(shared, words.calls, 1);
    if (Atomics.load(shared, words.sleepers) > 0) Atomics.notify(shared, words.calls);
  }

  /** Closes the gate, and waits until the workers inside have left: all items are finished. */
  #finish(): void {
    Atomics.sub(this.#shared, words.gate, gateOpen);
    for (let turn = 1;; turn++) {
      const inside = Atomics.load(this.#shared, words.gate);
      if (inside === 0) return;
      // with more threads than processors, this one may have to make room for another
      if (turn > 1000 && this.#canSleep) Atomics.wait(this.#shared, words.gate, inside, 1);
    }
  }

  /** Ends the workers. */
  dispose(): void {
    Atomics.store(this.#shared, words.stop, 1);
    Atomics.add(this.#shared, words.calls, 1);
    Atomics.notify(this.#shared, words.calls);
    for (const worker of this.#workers) worker.terminate();
  }
}

/** Whether the engine lets the caller's thread sleep. Pages may not. */
function canSleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** The number of processors. Node 20 has no navigator. */
export async function processors(): Promise<number> {
  const count = globalThis.navigator?.hardwareConcurrency;
  if (count) return count;
  const os = await nodeModule("node:os") as { availableParallelism?(): number } | undefined;
  return os?.availableParallelism?.() ?? 1;
}

/** The part of `node:worker_threads` that is used here. */
interface NodeThreads {
  readonly Worker: new (url: URL, options: { workerData: WorkerStart; env: object }) => {
    once(event: string, listener: (value: unknown) => void): void;
    unref(): void;
  };
}

/**
 * Bundlers that keep function names wrap functions in this helper, which a separate script lacks.
 */
const prologue = "const __name = (f) => f;\n";

/** Starts a worker, and waits until it is ready. */
async function startWorker(start: WorkerStart): Promise<WorkerHandle> {
  const threads = await nodeModule("node:worker_threads") as NodeThreads | undefined;
  return threads ? await startNodeWorker(threads, start) : await startWebWorker(start);
}

/** Node, Deno and Bun have these workers, which, unlike web workers, let a program end. */
async function startNodeWorker(threads: NodeThreads, start: WorkerStart): Promise<WorkerHandle> {
  const script = `${prologue}import { parentPort, workerData } from "node:worker_threads";
(${runWorker})(workerData, () => parentPort.postMessage("ready"));`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
  // without `env`, Deno would ask for the permission to read the environment
  const worker = new threads.Worker(url, { workerData: start, env: {} });
  await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", reject);
  });
  worker.unref();
  return { terminate() {} }; // it ends with the `stop` word, or with the program
}

async function startWebWorker(start: WorkerStart): Promise<WorkerHandle> {
  const script = `${prologue}onmessage = ({ data }) => {
  (${runWorker})(data, () => postMessage("ready"));
  close();
};`;
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    const worker = new Worker(url, { type: "module" });
    const terminate = () => worker.terminate();
    try {
      worker.postMessage(start);
      await new Promise((resolve, reject) => {
        worker.onmessage = resolve;
        worker.onerror = reject;
      });
    } catch (error) {
      terminate();
      throw error;
    }
    return { terminate };
  } finally {
    URL.revokeObjectURL(url);
  }
}
