/**
 * A photo server: classification, a health check and metrics.
 *
 * @module
 */

import type { Classifier } from "../models/classifier.ts";
import { Batcher } from "./batcher.ts";
import { photoHandler, type PhotoHandlerOptions } from "./handler.ts";
import { Metrics } from "./metrics.ts";
import { RequestError } from "./request_error.ts";

/** Options of {@linkcode PhotoService}. */
export interface PhotoServiceOptions extends Omit<PhotoHandlerOptions, "load"> {
  /** Returns the memory of the process in bytes, for `/metrics`. */
  readonly residentBytes?: () => number;
}

/**
 * The routes of a photo server. `POST /` classifies a photo, in batches with others. `GET /healthz`
 * returns 200 while the service accepts photos, and 503 once it is closing. `GET /metrics` returns
 * metrics for Prometheus.
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
   * Creates a service.
   *
   * @param model The classifier, with its weights loaded.
   */
  constructor(model: Classifier, { residentBytes, ...options }: PhotoServiceOptions = {}) {
    const batcher = new Batcher(model, { onBatch: (photos) => this.#metrics.batch(photos) });
    this.#model = model.type;
    this.#classify = photoHandler({ ...options, load: () => batcher });
    this.#residentBytes = residentBytes;
  }

  /** Handles a request. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url), { method } = request;
    if (pathname === "/") {
      return this.#drained ? stopping().response() : await this.#photo(request);
    }
    if (pathname !== "/healthz" && pathname !== "/metrics") {
      return new RequestError(404, `not found: ${pathname}; send photos to / with POST`).response();
    }
    if (method !== "GET" && method !== "HEAD") {
      const message = "method not allowed: use GET or HEAD";
      return new RequestError(405, message, { allow: "GET, HEAD" }).response();
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
      if (this.#metrics.inFlight === 0) this.#drained?.();
    }
  }

  /** Rejects new photos, and waits until all accepted ones have their response. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      if (this.#metrics.inFlight === 0) resolve();
    });
  }
}

function stopping(): RequestError {
  return new RequestError(503, "server is shutting down", {
    "retry-after": "1",
    "connection": "close",
  });
}
