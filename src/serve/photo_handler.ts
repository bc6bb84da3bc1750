/**
 * Answers requests with the classes of their photos.
 *
 * @module
 */

import { ArgumentError, CodecError, FileError, TooLargeError } from "../errors.ts";
import { decodeImage } from "../image/mod.ts";
import { release } from "../image/release.ts";
import { checkFunction } from "../options.ts";
import { photoReader } from "./body.ts";
import { checkOrigin, withCors } from "./cors.ts";
import type { DecodedPhoto, PhotoClassifier, PhotoHandlerOptions } from "./handler_options.ts";
import { checkLimit, checkMs } from "./limits.ts";
import { ModelLoader } from "./model_loader.ts";
import { busy, RequestError } from "./request_error.ts";
import { Slots } from "./slots.ts";
import { TaskQueue } from "./task_queue.ts";
import type { UploadLimits } from "./transfer.ts";
import { Uploads } from "./uploads.ts";

/** Classes in a response without `?top=`. */
const defaultTopK = 5;

/** Does the work of `photoHandler`, with the limits on all requests together. */
export class PhotoHandler {
  /** Answers a request. */
  readonly handle: (request: Request) => Promise<Response>;
  readonly #batches: boolean;
  readonly #maxPixels: number | undefined;
  readonly #decode: NonNullable<PhotoHandlerOptions["decode"]>;
  readonly #onError: (error: unknown) => void;
  readonly #uploads: Uploads;
  readonly #slots: Slots;
  readonly #queue: TaskQueue;
  readonly #model: ModelLoader<PhotoClassifier>;
  #rejection: RequestError | undefined;

  /**
   * Creates a handler.
   *
   * @param op The name of the function or class in error messages.
   * @param batches Whether photos are classified together. Then `maxDecodes` limits only decoding, and
   * `decode` must return preprocessed values, because those of a whole batch need less memory than pixels.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(op: string, options: PhotoHandlerOptions, { batches = false } = {}) {
    const { maxPixels, decode = defaultDecode(options), onError = console.error, cors } = options;
    const { maxRequests = 128, maxDecodes = options.decode ? Infinity : 1 } = options;
    for (const name of ["decode", "onError"] as const) checkFunction(op, name, options[name]);
    checkLimit(op, "maxRequests", maxRequests);
    checkLimit(op, "maxDecodes", maxDecodes);
    if (maxPixels !== undefined && !(maxPixels > 0)) {
      throw new ArgumentError(op, "maxPixels", maxPixels, "a positive number");
    }
    this.#batches = batches;
    this.#maxPixels = maxPixels;
    this.#decode = decode;
    this.#onError = onError;
    this.#uploads = new Uploads(op, uploadLimits(options));
    this.#slots = new Slots(maxRequests);
    this.#queue = new TaskQueue(maxDecodes);
    const loadMs = checkMs(op, "loadMs", options.loadMs ?? 60_000);
    this.#model = new ModelLoader(options.load, loadMs, (error) => this.#report(error));
    const answer = (request: Request) => this.#answer(request);
    this.handle = cors === undefined ? answer : withCors(answer, checkOrigin(op, "cors", cors));
  }

  /** Answers all further requests with an error. */
  rejectRequests(error: RequestError): void {
    this.#rejection = error;
  }

  /** Answers all requests whose bodies are in transit with an error. */
  rejectUploads(error: RequestError): void {
    this.#uploads.rejectAll(error);
  }

  async #answer(request: Request): Promise<Response> {
    if (this.#rejection) return this.#rejection.response();
    // the runtime may have made it from a malformed Host header
    if (!URL.canParse(request.url)) {
      return new RequestError(400, "malformed URL or Host header").response();
    }
    if (request.method !== "POST") {
      const message = "method not allowed: send the photo with POST";
      return new RequestError(405, message, { allow: "POST" }).response();
    }
    try {
      return await this.#classify(request);
    } catch (error) {
      if (error instanceof RequestError) return error.response();
      if (request.signal?.aborted) return gone().response();
      this.#report(error);
      return new RequestError(500, "unexpected error").response();
    }
  }

  async #classify(request: Request): Promise<Response> {
    const topK = topKOf(new URL(request.url)), photoIn = photoReader(request);
    // The slot is taken only after the upload: a client that sends no body must not block others.
    if (this.#slots.full) throw busy();
    const upload = await this.#uploads.read(request);
    try {
      using slot = this.#slots.take();
      const keepSlot = () => {
        throwIfGone(request);
        slot.renew();
      };
      keepSlot();
      const classifier = await this.#model.get();
      const decode = async () => {
        const photo = await this.#decodePhoto(photoIn(upload), request);
        upload.release();
        keepSlot();
        return photo;
      };
      const respond = async ({ width, height, input, warnings }: DecodedPhoto) => {
        const predictions = await classifier.classify(input, { topK, signal: request.signal });
        release("data" in input ? input.data : input);
        return Response.json({ model: classifier.type, width, height, predictions, warnings });
      };
      if (this.#batches) return await respond(await this.#queue.run(decode, keepSlot));
      return await this.#queue.run(async () => await respond(await decode()), keepSlot);
    } finally {
      release(upload.bytes);
      upload.release();
    }
  }

  /** Decodes a photo, and frees its bytes. */
  async #decodePhoto(
    bytes: Uint8Array<ArrayBuffer>,
    { signal }: Request,
  ): Promise<DecodedPhoto> {
    try {
      return await this.#decode(bytes, { name: "photo", maxPixels: this.#maxPixels, signal });
    } catch (error) {
      // a missing codec is no fault of the client
      if (!(error instanceof FileError) || error instanceof CodecError) throw error;
      throw new RequestError(error instanceof TooLargeError ? 413 : 422, error.message);
    } finally {
      release(bytes);
    }
  }

  /** Calls `onError`. Neither what it throws nor a promise that it rejects may stop the server. */
  #report(error: unknown): void {
    const onError: (error: unknown) => unknown = this.#onError;
    (async () => await onError(error))().catch(() => {});
  }
}

/** The limits on bodies, with their defaults. */
function uploadLimits(options: PhotoHandlerOptions): UploadLimits {
  const { maxBytes = 10 * 2 ** 20 } = options;
  return {
    maxBytes,
    maxUploads: options.maxUploads ?? 1024,
    maxUploadBytes: options.maxUploadBytes ?? Math.max(128 * 2 ** 20, maxBytes),
    maxMs: options.maxMs ?? 60_000,
    minBytesPerSecond: options.minBytesPerSecond ?? 1024,
    rateMs: options.rateMs ?? 5000,
  };
}

function throwIfGone({ signal }: Request): void {
  if (signal?.aborted) throw gone(); // some runtimes have no signal
}

/** The error for a client that has disconnected; nobody sees it but the metrics. */
function gone(): RequestError {
  return new RequestError(499, "client disconnected");
}

/** Decodes on the calling thread. */
export function defaultDecode(
  { codecs }: Pick<PhotoHandlerOptions, "codecs">,
): NonNullable<PhotoHandlerOptions["decode"]> {
  return async (bytes, options) => {
    const warnings: string[] = [];
    const onWarning = (line: string) => void warnings.push(line);
    const input = await decodeImage(bytes, { ...options, codecs, onWarning });
    const { width, height } = input;
    return { width, height, input, warnings };
  };
}

function topKOf({ searchParams }: URL): number {
  const text = searchParams.get("top");
  if (text === null) return defaultTopK;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new RequestError(
    400,
    `top is ${JSON.stringify(text.slice(0, 200))}, must be an integer from 1 to 9999`,
  );
}
