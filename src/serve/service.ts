/**
 * A photo server: classification, a health check and metrics.
 *
 * @module
 */

import type { Prediction } from "../models/classify.ts";
import type { RgbImage } from "../image/pixels.ts";
import { release } from "../image/release.ts";
import { checkOptions } from "../options.ts";
import { type BatchClassifier, Batcher } from "./batcher.ts";
import {
  handlerOptionNames,
  type PhotoClassifier,
  type PhotoHandlerOptions,
} from "./handler_options.ts";
import { Health } from "./health.ts";
import { checkMs } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { defaultDecode, PhotoHandler } from "./photo_handler.ts";
import { RequestError } from "./request_error.ts";

/** Options of {@linkcode PhotoService}. */
export interface PhotoServiceOptions extends Omit<PhotoHandlerOptions, "load" | "loadMs"> {
  /** Returns the memory of the process in bytes, for `/metrics`. */
  readonly residentBytes?: () => number;
  /** Milliseconds that `/healthz` waits for an inference. Default: 5000. */
  readonly healthMs?: number;
}

/**
 * The routes of a photo server. `POST /` classifies a photo, in batches with others. `GET /healthz`
 * returns 200 if an inference succeeded in the last ten seconds, and tries one otherwise. It returns
 * 503 if that fails, and once the service is closing. `GET /metrics` returns metrics for Prometheus.
 *
 * @example
 * ```ts
 * import { loadModel } from "../models/mod.ts";
 * import { PhotoService } from "./service.ts";
 *
 * using model = await loadModel();
 * const service = new PhotoService(model);
 * const answer = await service.fetch(new Request("http://localhost/healthz"));
 * console.log(await answer.json()); // { status: "ok", model: "resnet-tiny" }
 * ```
 */
export class PhotoService {
  readonly #model: string;
  readonly #metrics = new Metrics();
  readonly #photos: PhotoHandler;
  readonly #health: Health;
  readonly #residentBytes: (() => number) | undefined;
  #closed: Promise<void> | undefined;
  #drained = () => {};

  /**
   * Creates a service.
   *
   * @param model The classifier, with its weights loaded.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(model: BatchClassifier, options: PhotoServiceOptions = {}) {
    const op = "PhotoService";
    checkOptions(op, options, [...handlerOptionNames, "residentBytes", "healthMs"]);
    const { residentBytes, healthMs = 5000 } = options;
    const batcher = new Batcher(model, { onBatch: (photos) => this.#metrics.countBatch(photos) });
    const decode = preprocessing(model, options.decode ?? defaultDecode(options));
    const health = this.#health = new Health({
      probe: async () => {
        const { input } = await decode(probePicture.slice(), { name: "probe" });
        await batcher.classify(input, { topK: 1 });
      },
      timeoutMs: checkMs(op, "healthMs", healthMs),
    });
    const classifier = new MonitoredClassifier(batcher, health);
    this.#model = model.type;
    const { maxDecodes = options.decode ? Infinity : 1 } = options;
    const load = () => classifier;
    this.#photos = new PhotoHandler(op, { ...options, load, decode, maxDecodes }, {
      batches: true,
    });
    this.#residentBytes = residentBytes;
  }

  /** Handles a request. */
  async fetch(request: Request): Promise<Response> {
    const { url, method } = request;
    const { pathname } = URL.canParse(url) ? new URL(url) : { pathname: "/" };
    if (pathname === "/") return await this.#photo(request);
    if (pathname !== "/healthz" && pathname !== "/metrics") {
      const path = pathname.slice(0, 200);
      return new RequestError(404, `not found: ${path}; send photos to / with POST`).response();
    }
    if (method !== "GET" && method !== "HEAD") {
      const message = "method not allowed: use GET or HEAD";
      return new RequestError(405, message, { allow: "GET, HEAD" }).response();
    }
    if (pathname === "/healthz") return await this.#healthz();
    const headers = { "content-type": "text/plain; version=0.0.4" };
    return new Response(this.#metrics.text(this.#residentBytes?.()), { headers });
  }

  async #healthz(): Promise<Response> {
    if (!this.#closed && await this.#health.check()) {
      return Response.json({ status: "ok", model: this.#model });
    }
    if (this.#closed) return stopping().response();
    return Response.json({
      status: "failing",
      model: this.#model,
      error: "no photo could be classified; see the server's log",
    }, { status: 503 });
  }

  async #photo(request: Request): Promise<Response> {
    try {
      return await this.#metrics.measureRequest(() => this.#photos.handle(request));
    } finally {
      if (this.#metrics.inFlight === 0) this.#drained();
    }
  }

  /**
   * Rejects new photos, and waits until all accepted ones have their response. Later calls wait for the
   * same.
   *
   * @param uploadMs Milliseconds after which bodies that have not arrived are rejected, too. Default:
   * 4000.
   */
  close({ uploadMs = 4000 }: { readonly uploadMs?: number } = {}): Promise<void> {
    return this.#closed ??= this.#drain(uploadMs);
  }

  async #drain(uploadMs: number): Promise<void> {
    this.#photos.rejectRequests(stopping());
    const timer = setTimeout(() => this.#photos.rejectUploads(stopping()), uploadMs);
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      if (this.#metrics.inFlight === 0) resolve();
    });
    clearTimeout(timer);
  }
}

/** Preprocesses each photo when it is decoded: the values of a whole batch need less than its pixels. */
function preprocessing(
  model: BatchClassifier,
  decode: NonNullable<PhotoHandlerOptions["decode"]>,
): NonNullable<PhotoHandlerOptions["decode"]> {
  return async (bytes, options) => {
    const photo = await decode(bytes, options), { input } = photo;
    if (!("data" in input)) return photo;
    const values = model.preprocess(input);
    release(input.data);
    return { ...photo, input: values };
  };
}

/** A classifier that reports to the health check. */
class MonitoredClassifier implements PhotoClassifier {
  readonly type: string;

  constructor(readonly inner: PhotoClassifier, readonly health: Health) {
    this.type = inner.type;
  }

  async classify(
    photo: RgbImage | Float32Array,
    options: { readonly topK: number; readonly signal?: AbortSignal },
  ): Promise<Prediction[]> {
    try {
      const predictions = await this.inner.classify(photo, options);
      this.health.succeeded();
      return predictions;
    } catch (error) {
      if (!options.signal?.aborted) this.health.failed();
      throw error;
    }
  }
}

/** A grey PNG of one pixel. */
const probePicture = Uint8Array.from(
  atob(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
  ),
  (letter) => letter.charCodeAt(0),
);

function stopping(): RequestError {
  return new RequestError(503, "server is shutting down", {
    "retry-after": "1",
    "connection": "close",
  });
}
