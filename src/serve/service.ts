/**
 * What a server answers: photos, whether it is well, and numbers about it.
 *
 * @module
 */

import type { Classifier } from "../models/classifier.ts";
import { Batcher } from "./batcher.ts";
import { photoHandler, type PhotoHandlerOptions } from "./handler.ts";
import { Metrics } from "./metrics.ts";
import { Refusal } from "./refusal.ts";

/** What a {@linkcode PhotoService} takes besides its model. */
export interface PhotoServiceOptions extends Omit<PhotoHandlerOptions, "load"> {
  /** The memory of the process in bytes, for `/metrics`. */
  readonly residentBytes?: () => number;
}

/**
 * What a server of its own needs: photos are posted to `/` and classified in batches, `/healthz` says
 * whether more are taken, `/metrics` has numbers for Prometheus.
 *
 * @example
 * ```ts
 * import { loadModel } from "../models/mod.ts";
 * import { PhotoService } from "./service.ts";
 *
 * using model = await loadModel();
 * const service = new PhotoService(model);
 * const answer = await service.fetch(new Request("http://localhost/healthz"));
 * console.log(await answer.json()); // { status: "ok", model: "AlexNetTiny" }
 * ```
 */
export class PhotoService {
  readonly #model: string;
  readonly #metrics = new Metrics();
  readonly #classify: (request: Request) => Promise<Response>;
  readonly #residentBytes: (() => number) | undefined;
  #drained: (() => void) | undefined;

  /**
   * Makes a service.
   *
   * @param model What classifies; it must hold weights.
   */
  constructor(model: Classifier, { residentBytes, ...options }: PhotoServiceOptions = {}) {
    const batcher = new Batcher(model, { onBatch: (photos) => this.#metrics.batch(photos) });
    this.#model = model.type;
    this.#classify = photoHandler({ ...options, load: () => batcher });
    this.#residentBytes = residentBytes;
  }

  /** Answers a request. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url), { method } = request;
    if (pathname === "/") {
      return this.#drained ? stopping().response() : await this.#photo(request);
    }
    if (pathname !== "/healthz" && pathname !== "/metrics") {
      return new Refusal(404, `nothing is at ${pathname}; photos are posted to /`).response();
    }
    if (method !== "GET" && method !== "HEAD") {
      return new Refusal(405, `${method} is not done here`, { allow: "GET, HEAD" }).response();
    }
    if (pathname === "/healthz") {
      if (this.#drained) return stopping().response();
      return Response.json({ status: "ok", model: this.#model });
    }
    const headers = { "content-type": "text/plain; version=0.0.4" };
    return new Response(this.#metrics.text(this.#residentBytes?.()), { headers });
  }

  async #photo(request: Request): Promise<Response> {
    try {
      return await this.#metrics.request(() => this.#classify(request));
    } finally {
      if (this.#metrics.underWay === 0) this.#drained?.();
    }
  }

  /** Takes no more photos, and waits until those that were taken are answered. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      if (this.#metrics.underWay === 0) resolve();
    });
  }
}

function stopping(): Refusal {
  return new Refusal(503, "this server is about to stop", {
    "retry-after": "1",
    "connection": "close",
  });
}
