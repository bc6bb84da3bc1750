/**
 * What the machine can do, measured by the code that everything else rests on: the micro-kernel on
 * data in the first-level cache, and loads and additions over more memory than any cache holds.
 *
 * @module
 */

import { builds, compile } from "../../tools/compile.ts";
import { instantiate } from "./kernels.ts";
import type { Start, Turn } from "./worker.ts";

/** Something that the machine can do, and how it is measured: with some threads at once. */
export interface Gauge {
  readonly what: Turn["what"];
  readonly threads: number;
  /** Floating-point operations or bytes of one turn. */
  readonly amount: number;
  /** Takes a turn. Returns milliseconds. */
  run(): Promise<number>;
}

/** Tiles of one turn: about 10 ms. */
const TILES = 12_000;
/** Bytes that each thread reads in one turn. */
const BYTES = 2 ** 28;
/** Turns that count as one, the fastest of them: what the machine can do, not what came between. */
const TRIES = 3;
/** Until then the engine has compiled its best code for sure. */
const WARM_UP_MS = 500;

/** Threads with kernels of their own; they wait when nothing is measured. */
export class Machine implements Disposable {
  readonly #workers: readonly Worker[];
  readonly #operations: number;
  readonly #threads: readonly number[];

  private constructor(workers: readonly Worker[], operations: number, threads: readonly number[]) {
    this.#workers = workers;
    this.#operations = operations;
    this.#threads = threads;
  }

  /** @param threads The numbers of threads to measure with. */
  static async start(threads: readonly number[]): Promise<Machine> {
    const module = await compileKernels();
    const operations = instantiate(module).kernels.operations();
    const workers = Array.from({ length: Math.max(...threads) }, () => {
      const worker = new Worker(new URL("worker.ts", import.meta.url), { type: "module" });
      worker.postMessage({ module, bytes: BYTES } satisfies Start);
      return worker;
    });
    const machine = new Machine(workers, operations, threads);
    for (let ms = 0; ms < WARM_UP_MS;) ms += await machine.#turn("arithmetic", workers.length);
    return machine;
  }

  /** One gauge for each number of threads. */
  gauges(what: Gauge["what"]): Gauge[] {
    const amount = what === "arithmetic" ? TILES * this.#operations : BYTES;
    return this.#threads.map((threads) => ({
      what,
      threads,
      amount: threads * amount,
      run: async () => {
        let least = Infinity;
        for (let i = 0; i < TRIES; i++) least = Math.min(least, await this.#turn(what, threads));
        return least;
      },
    }));
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
  }

  /** All at once; the slowest counts. */
  async #turn(what: Turn["what"], threads: number): Promise<number> {
    const times = this.#workers.slice(0, threads).map((worker) =>
      new Promise<number>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(`a thread of the bench: ${message}`));
        worker.postMessage({ what, tiles: TILES } satisfies Turn);
      })
    );
    return Math.max(...await Promise.all(times));
  }
}

/** Compiled on the spot, with the best instructions that this engine takes. */
async function compileKernels(): Promise<WebAssembly.Module> {
  for (const features of [builds.relaxed, builds.simd]) {
    const binary = await compile("machine.ts", features);
    if (WebAssembly.validate(binary)) return new WebAssembly.Module(binary);
  }
  throw new Error("this engine has no WebAssembly SIMD");
}
