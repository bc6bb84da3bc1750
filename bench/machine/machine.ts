/**
 * Measures the machine's peak performance: arithmetic with the micro-kernel on data in the first-level
 * cache, and streaming with loads and additions over more memory than fits into any cache.
 *
 * @module
 */

import { builds, compile } from "../../tools/compile.ts";
import { instantiate } from "./kernels.ts";
import type { Start, TimingRequest } from "./worker.ts";

/** A measurement of the machine with some number of threads. */
export interface Gauge {
  readonly what: TimingRequest["what"];
  readonly threads: number;
  /** Floating-point operations or bytes per run. */
  readonly amount: number;
  /** Runs once. Returns milliseconds. */
  run(): Promise<number>;
}

/** Tiles per run, which take about 10 ms. */
const tilesPerRun = 12_000;
/** Bytes that each thread reads per run. */
const bytesPerRun = 2 ** 28;
/** Each run is the fastest of this many, to find the peak in spite of other load. */
const tries = 3;
/** After this time the engine has compiled its fastest code. */
const warmUpMs = 500;

/** Worker threads, each with its own kernels and memory. They sleep between measurements. */
export class Machine implements Disposable {
  readonly #workers: readonly Worker[];
  readonly #operations: number;
  readonly #threads: readonly number[];

  private constructor(workers: readonly Worker[], operations: number, threads: readonly number[]) {
    this.#workers = workers;
    this.#operations = operations;
    this.#threads = threads;
  }

  /** Starts the workers. `threads` lists the numbers of threads to measure with. */
  static async start(threads: readonly number[]): Promise<Machine> {
    const module = await compileKernels();
    const operations = instantiate(module).kernels.operations();
    const workers = Array.from({ length: Math.max(...threads) }, () => {
      const worker = new Worker(new URL("worker.ts", import.meta.url), { type: "module" });
      worker.postMessage({ module, bytes: bytesPerRun } satisfies Start);
      return worker;
    });
    const machine = new Machine(workers, operations, threads);
    for (let ms = 0; ms < warmUpMs;) ms += await machine.#run("arithmetic", workers.length);
    return machine;
  }

  /** Returns a gauge for each number of threads. */
  gauges(what: Gauge["what"]): Gauge[] {
    const amount = what === "arithmetic" ? tilesPerRun * this.#operations : bytesPerRun;
    return this.#threads.map((threads) => ({
      what,
      threads,
      amount: threads * amount,
      run: async () => {
        let fastest = Infinity;
        for (let i = 0; i < tries; i++) fastest = Math.min(fastest, await this.#run(what, threads));
        return fastest;
      },
    }));
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
  }

  /** Runs all threads at once, and returns the time of the slowest. */
  async #run(what: TimingRequest["what"], threads: number): Promise<number> {
    const times = this.#workers.slice(0, threads).map((worker) =>
      new Promise<number>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) =>
          reject(new Error(`a benchmark thread failed: ${message}`));
        worker.postMessage({ what, tiles: tilesPerRun } satisfies TimingRequest);
      })
    );
    return Math.max(...await Promise.all(times));
  }
}

/** Compiles the kernels with the best instructions that this engine supports. */
async function compileKernels(): Promise<WebAssembly.Module> {
  for (const features of [builds.relaxed, builds.simd]) {
    const binary = await compile("../bench/machine/assembly/tiles.ts", features);
    if (WebAssembly.validate(binary)) return new WebAssembly.Module(binary);
  }
  throw new Error("this engine has no WebAssembly SIMD");
}
