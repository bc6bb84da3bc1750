/** The page's side of the protocol: makes calls to the worker. */

/// <reference lib="dom" />

import type { Answer, Calls, Request, Response } from "./protocol.ts";

/** Options of a call. */
export interface CallOptions<C extends Calls[string]> {
  /** Called with each report. */
  readonly onReport?: (report: C["reports"]) => void;
  /** Cancels the call, which then rejects with the reason. */
  readonly signal?: AbortSignal;
  /** Buffers to move to the worker instead of copying them. */
  readonly transfer?: Transferable[];
}

/** A call that has not ended. */
interface Pending {
  resolve(returned: unknown): void;
  reject(reason: unknown): void;
  onReport?(report: unknown): void;
}

/** What went wrong in the worker. */
export class CallError extends Error {
  /** @param kind The name of the error in the worker, such as "FileError". */
  constructor(message: string, readonly kind: string) {
    super(message);
  }
}

/** The next id. Several clients may use one worker: each ignores the answers to the others. */
let nextId = 0;

/** Makes calls to a worker. The type parameter says which it knows. */
export class Client<C extends Calls> {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  /** Why the worker never answers. */
  #failure: CallError | undefined;

  /** @param onCrash Called if the worker cannot start or fails outside a call. */
  constructor(worker: Worker, onCrash: (error: CallError) => void = () => {}) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<Response>) => {
      if ("id" in data) this.#receive(data);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const reason = event.message || "its script cannot be loaded";
      const text = `The page cannot compute: ${reason}. Load it again.`;
      const error = new CallError(text, "CrashError");
      if (!event.message) this.#failure = error;
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      onCrash(error);
    });
  }

  /** Asks the worker to compute something. Calls are computed one after the other. */
  call<K extends keyof C & string>(
    call: K,
    takes: C[K]["takes"],
    { onReport, signal, transfer = [] }: CallOptions<C[K]> = {},
  ): Promise<C[K]["returns"]> {
    const id = nextId++;
    let onAbort = () => {};
    const returned = new Promise<C[K]["returns"]>((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      if (signal?.aborted) return reject(signal.reason);
      this.#pending.set(id, { resolve, reject, onReport });
      this.#send({ id, call, takes }, transfer);
      onAbort = () => {
        if (!this.#pending.delete(id)) return;
        this.#send({ id, cancel: true });
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
    return returned.finally(() => signal?.removeEventListener("abort", onAbort));
  }

  #send(request: Request, transfer: Transferable[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #receive(response: Answer): void {
    const pending = this.#pending.get(response.id);
    if (!pending) return; // cancelled, or another client's
    if ("report" in response) return pending.onReport?.(response.report);
    this.#pending.delete(response.id);
    if ("error" in response) pending.reject(new CallError(response.error, response.kind));
    else pending.resolve(response.returned);
  }
}
