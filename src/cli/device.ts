/** What computes, and what takes its place when a GPU fails. */

import { type Backend, createBackend } from "../backend/mod.ts";
import { DeviceLostError, type PembrokeError } from "../errors.ts";
import type { Options } from "./args.ts";
import { note, warn } from "./terminal.ts";

/** The backend that the command computes on; with `--backend auto`, Wasm from a GPU's failure on. */
export class Device implements Disposable {
  /** What computes. */
  backend: Backend;
  readonly #prepare: (backend: Backend) => Promise<void>;
  readonly #options: Options;
  #ready: Promise<void> | undefined;

  private constructor(
    backend: Backend,
    options: Options,
    prepare: (backend: Backend) => Promise<void>,
  ) {
    this.backend = backend;
    this.#options = options;
    this.#prepare = prepare;
  }

  /**
   * Makes the backend.
   *
   * @param prepare Gives a model its weights there, before the first run and after a failure.
   */
  static async open(
    options: Options,
    threads: 1 | "auto",
    prepare: (backend: Backend) => Promise<void>,
  ): Promise<Device> {
    const onFallback = (reason: PembrokeError) => {
      if (reason instanceof DeviceLostError) sayWhy(reason, options);
      else if (options.verbose) note(`${reason.message}: wasm computes`);
    };
    const backend = await createBackend({ device: options.backend, threads, onFallback });
    return new Device(backend, options, prepare);
  }

  /** Sees to it that the model has its weights. */
  async prepare(): Promise<void> {
    try {
      await (this.#ready ??= this.#prepare(this.backend));
    } catch (error) {
      await this.#replace(error);
    }
  }

  /** Runs what needs the model; once more, on Wasm, if the GPU fails. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.prepare();
    try {
      return await work();
    } catch (error) {
      await this.#replace(error);
      return await work();
    }
  }

  /** Has Wasm go on after the GPU's failure; throws what is no such failure. */
  async #replace(error: unknown): Promise<void> {
    if (!(error instanceof DeviceLostError && this.#options.backend === "auto")) throw error;
    sayWhy(error, this.#options);
    this.backend.dispose();
    this.backend = await createBackend({ device: "wasm" });
    await (this.#ready = this.#prepare(this.backend));
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    this.backend.dispose();
  }
}

function sayWhy({ message }: DeviceLostError, { quiet }: Options): void {
  if (!quiet) warn(`${message}: wasm computes instead`);
}
