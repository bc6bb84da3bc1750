/** Runs the model on a backend, and falls back to Wasm when a GPU fails. */

import { type Backend, createBackend } from "../backend/mod.ts";
import { DeviceLostError, type PembrokeError } from "../errors.ts";
import type { ModelOptions } from "./args.ts";
import { note, warn } from "./terminal.ts";

/** The backend of the command. With `--backend auto`, Wasm replaces a GPU that fails. */
export class Device implements Disposable {
  /** The current backend. */
  backend: Backend;
  readonly #prepare: (backend: Backend) => Promise<void>;
  readonly #options: ModelOptions;
  #ready: Promise<void> | undefined;

  private constructor(
    backend: Backend,
    options: ModelOptions,
    prepare: (backend: Backend) => Promise<void>,
  ) {
    this.backend = backend;
    this.#options = options;
    this.#prepare = prepare;
  }

  /**
   * Creates the backend.
   *
   * @param prepare Loads the model's weights, before the first run and after a fallback.
   */
  static async open(
    options: ModelOptions,
    threads: 1 | "auto",
    prepare: (backend: Backend) => Promise<void>,
  ): Promise<Device> {
    const onFallback = (reason: PembrokeError) => {
      if (reason instanceof DeviceLostError) warnOfFallback(reason, options);
      else if (options.verbose) note(`${reason.message}; using wasm`);
    };
    const backend = await createBackend({ device: options.backend, threads, onFallback });
    return new Device(backend, options, prepare);
  }

  /** Loads the weights, unless they are loaded. */
  async prepare(): Promise<void> {
    try {
      await (this.#ready ??= this.#prepare(this.backend));
    } catch (error) {
      await this.#fallBack(error);
    }
  }

  /** Runs the model; if the GPU fails, runs it again on Wasm. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.prepare();
    try {
      return await work();
    } catch (error) {
      await this.#fallBack(error);
      return await work();
    }
  }

  /** Switches to Wasm after a GPU failure; rethrows any other error. */
  async #fallBack(error: unknown): Promise<void> {
    if (!(error instanceof DeviceLostError && this.#options.backend === "auto")) throw error;
    warnOfFallback(error, this.#options);
    this.backend.dispose();
    this.backend = await createBackend({ device: "wasm" });
    this.#ready = this.#prepare(this.backend);
    // after a failure, the next call of prepare() tries again, as a server does with the next photo
    this.#ready.catch(() => this.#ready = undefined);
    await this.#ready;
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    this.backend.dispose();
  }
}

function warnOfFallback({ message }: DeviceLostError, { quiet }: ModelOptions): void {
  if (!quiet) warn(`${message}; falling back to wasm`);
}
