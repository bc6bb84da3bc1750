/**
 * Loads the model for all requests.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import { RequestError } from "./request_error.ts";

/** Returns a model. `signal` aborts when that takes too long. */
type Load<T> = (options: { readonly signal: AbortSignal }) => T | Promise<T>;

/** A call of `load`. */
interface Loading<T> {
  readonly model: Promise<T>;
  readonly since: number;
  readonly stop: AbortController;
}

/** The model of a handler, which the first request loads. */
export class ModelLoader<T> {
  readonly #load: Load<T>;
  readonly #maxMs: number;
  readonly #onTimeout: (error: PembrokeError) => void;
  #model: T | undefined;
  #loading: Loading<T> | undefined;

  /**
   * @param maxMs Milliseconds after which a load is given up.
   * @param onTimeout Called once for a load that is given up.
   */
  constructor(
    load: Load<T>,
    maxMs: number,
    onTimeout: (error: PembrokeError) => void,
  ) {
    this.#load = load;
    this.#maxMs = maxMs;
    this.#onTimeout = onTimeout;
  }

  /**
   * Returns the model. After a failure, the next call loads it again.
   *
   * @throws {RequestError} When it takes too long.
   */
  async get(): Promise<T> {
    if (this.#model) return this.#model;
    const isFirst = !this.#loading, loading = this.#loading ??= this.#start();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // Each request has its own timer: edge runtimes may end the one that loads, with its timers.
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new RequestError(503, "the model is not loaded yet, retry later", {
          "retry-after": "1",
        });
        reject(error);
        if (isFirst) loading.stop.abort(error);
        if (!this.#forget(loading)) return;
        this.#onTimeout(new PembrokeError(`the model did not load in ${this.#maxMs / 1000} s`));
      }, Math.max(loading.since + this.#maxMs - performance.now(), 0));
    });
    try {
      return await Promise.race([loading.model, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): Loading<T> {
    const stop = new AbortController(), { signal } = stop;
    const load = async () => {
      try {
        await undefined; // so that `loading` is set
        const model = await this.#load({ signal });
        // a load that was given up may still finish before the next one
        return this.#model ??= model;
      } catch (error) {
        this.#forget(loading);
        throw signal.aborted ? signal.reason : error;
      }
    };
    const loading: Loading<T> = { model: load(), since: performance.now(), stop };
    return loading;
  }

  /** Lets the next request load the model. Returns false if `loading` is no longer the current load. */
  #forget(loading: Loading<T>): boolean {
    if (this.#loading !== loading) return false;
    this.#loading = undefined;
    return true;
  }
}
