/**
 * An HTTP handler that classifies a posted photo, for servers and edge runtimes.
 *
 * @module
 */

import { ArgumentError, CodecError, FileError, TooLargeError } from "../errors.ts";
import { type CodecModules, decodeImage, type DecodeOptions, type RgbImage } from "../image/mod.ts";
import type { Prediction } from "../models/mod.ts";
import { release } from "../image/release.ts";
import { checkFunction, checkOptions } from "../options.ts";
import { photoReader } from "./body.ts";
import { checkOrigin, withCors } from "./cors.ts";
import { checkLimit, checkMs } from "./limits.ts";
import { ModelLoader } from "./model_loader.ts";
import { busy, RequestError } from "./request_error.ts";
import { Slots } from "./slots.ts";
import { TaskQueue } from "./task_queue.ts";
import { Uploads } from "./uploads.ts";

/** A model, or a {@linkcode Batcher} in front of one. */
export interface PhotoClassifier {
  /** The model's name, as responses give it. */
  readonly type: string;
  /**
   * Returns the most probable classes of a photo, given as pixels or as preprocessed values. The
   * handler frees the photo's memory afterwards.
   */
  classify(
    photo: RgbImage | Float32Array,
    options: { readonly topK: number; readonly signal?: AbortSignal },
  ): Promise<Prediction[]>;
}

/** A decoded photo. */
export interface DecodedPhoto {
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** The classifier's input. The handler owns it, and frees its memory after classifying. */
  readonly input: RgbImage | Float32Array;
  /** Damage that did not prevent decoding, one line each. */
  readonly warnings: readonly string[];
}

/** Options of {@linkcode photoHandler}. */
export interface PhotoHandlerOptions {
  /**
   * Loads the model on the first request. If it fails, the next request calls it again. `signal` aborts
   * when it has taken too long.
   */
  readonly load: (
    options: { readonly signal: AbortSignal },
  ) => PhotoClassifier | Promise<PhotoClassifier>;
  /** Milliseconds to load the model; requests that wait for longer get a 503. Default: 60,000. */
  readonly loadMs?: number;
  /** Maximum body size in bytes; larger bodies get a 413. Default: 10 MiB. */
  readonly maxBytes?: number;
  /** Maximum pixels of an image; larger ones get a 413. Default: 64,000,000. */
  readonly maxPixels?: number;
  /** Maximum photos that are decoded or classified, or wait for that; others get a 503. Default: 128. */
  readonly maxRequests?: number;
  /**
   * Maximum photos that are decoded and classified at once; others wait. A `PhotoService` limits only
   * decoding, so that it can classify in batches. Default: one, or with your own `decode` as many as
   * there are requests.
   */
  readonly maxDecodes?: number;
  /** Maximum bodies in transit. Above it, the slowest gets a 408, or the new one a 503. Default: 1024. */
  readonly maxUploads?: number;
  /** Maximum bytes of all bodies in memory; above it, they wait. Default: 128 MiB. */
  readonly maxUploadBytes?: number;
  /** Maximum time to receive a body, in milliseconds; slower ones get a 408. Default: 60,000. */
  readonly maxMs?: number;
  /** Minimum rate of a body in bytes per second; slower ones get a 408. Default: 1024. */
  readonly minBytesPerSecond?: number;
  /** Time over which the rate is measured, in milliseconds. Default: 5000. */
  readonly rateMs?: number;
  /** Origin whose pages may use the handler, or "*" for all (CORS). Default: none. */
  readonly cors?: string;
  /** Compiled image codecs, for runtimes that cannot load them. */
  readonly codecs?: CodecModules;
  /**
   * Decodes a photo. Throws a `FileError` if it is damaged, or a `TooLargeError` if it has too many
   * pixels. `signal` aborts when the client has disconnected. Default: `decodeImage()`.
   */
  readonly decode?: (
    bytes: Uint8Array<ArrayBuffer>,
    options: Pick<DecodeOptions, "name" | "maxPixels"> & { readonly signal?: AbortSignal },
  ) => Promise<DecodedPhoto>;
  /**
   * Called on unexpected errors, whose details the client does not see. What it throws is ignored.
   * Default: `console.error`.
   */
  readonly onError?: (error: unknown) => void;
}

/** The names of the options, without those of loading. */
export const handlerNames =
  "maxBytes maxPixels maxRequests maxDecodes maxUploads maxUploadBytes maxMs minBytesPerSecond rateMs \
cors codecs decode onError".split(" ");

/** Classes in a response without `?top=`. */
const defaultTopK = 5;

/**
 * Creates a handler that classifies a posted photo. The photo is the body, sent with an image content
 * type, or a file in a form. `?top=3` asks for three classes. The response is JSON:
 *
 *     { "model": "ResNetTiny", "width": 451, "height": 300,
 *       "predictions": [{ "index": 4, "wnid": "n02123045", "label": "tabby", "probability": 0.9 }],
 *       "warnings": [] }
 *
 * Errors are `{ "error": "…" }` with status 400 (no photo), 405 (not a POST), 408 (too slow), 413 (too
 * many bytes or pixels), 415 (not an image), 422 (damaged), 500, or 503 with Retry-After (too many
 * requests at once, or the model takes too long to load). A 500 says no more than "unexpected error":
 * see `onError`.
 *
 * A photo whose client has disconnected is dropped. The runtime has to report that with the request's
 * `signal`.
 *
 * @throws {ArgumentError} If an option is invalid.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { loadModel } from "../models/mod.ts";
 * import { photoHandler } from "./handler.ts";
 *
 * using backend = await createBackend();
 * const handler = photoHandler({ load: () => loadModel({ backend }) });
 * const body = await Deno.readFile("tests/photos/coffee.jpg");
 * const headers = { "content-type": "image/jpeg" };
 * const request = new Request("http://localhost/", { method: "POST", body, headers });
 * const { predictions } = await (await handler(request)).json();
 * console.log(predictions[0].label); // espresso
 * ```
 */
export function photoHandler(
  options: PhotoHandlerOptions,
): (request: Request) => Promise<Response> {
  checkOptions("photoHandler", options, ["load", "loadMs", ...handlerNames]);
  if (typeof options.load !== "function") {
    throw new ArgumentError("photoHandler", "load", options.load, "a function");
  }
  return createPhotoHandler("photoHandler", options).handle;
}

/** A handler of photos and the state of its requests. */
export interface PhotoHandler {
  /** Answers a request. */
  readonly handle: (request: Request) => Promise<Response>;
  /** Answers all further requests with an error. */
  rejectRequests(error: RequestError): void;
  /** Answers all requests whose bodies are in transit with an error. */
  rejectUploads(error: RequestError): void;
}

/**
 * Does the work of {@linkcode photoHandler}.
 *
 * @param op The name of the function in error messages.
 * @param batches Whether photos are classified together. Then `maxDecodes` limits only decoding, and
 * `decode` must return preprocessed values, because those of a whole batch need less memory than pixels.
 */
export function createPhotoHandler(
  op: string,
  options: PhotoHandlerOptions,
  batches = false,
): PhotoHandler {
  const { load, maxPixels, onError = console.error, decode = defaultDecode(options) } = options;
  const { maxRequests = 128, maxBytes = 10 * 2 ** 20, cors } = options;
  const { maxDecodes = options.decode ? Infinity : 1 } = options;
  for (const name of ["decode", "onError"] as const) checkFunction(op, name, options[name]);
  checkLimit(op, "maxRequests", maxRequests);
  checkLimit(op, "maxDecodes", maxDecodes);
  if (maxPixels !== undefined && !(maxPixels > 0)) {
    throw new ArgumentError(op, "maxPixels", maxPixels, "a positive number");
  }
  const uploads = new Uploads(op, {
    maxBytes,
    maxUploads: options.maxUploads ?? 1024,
    maxUploadBytes: options.maxUploadBytes ?? Math.max(128 * 2 ** 20, maxBytes),
    maxMs: options.maxMs ?? 60_000,
    minBytesPerSecond: options.minBytesPerSecond ?? 1024,
    rateMs: options.rateMs ?? 5000,
  });
  const slots = new Slots(maxRequests), queue = new TaskQueue(maxDecodes);
  const loadMs = checkMs(op, "loadMs", options.loadMs ?? 60_000);
  const model = new ModelLoader(load, loadMs, (error) => report(onError, error));

  async function classify(request: Request, url: URL): Promise<Response> {
    const topK = topKOf(url), readPhoto = photoReader(request);
    // The slot is taken only after the upload: a client that sends no body must not block others.
    if (slots.full) throw busy();
    const upload = await uploads.read(request);
    try {
      using slot = slots.take();
      const check = () => {
        throwIfGone(request);
        slot.renew();
      };
      check();
      const classifier = await model.get();
      const decodeUpload = async () => {
        const photo = await decodePhoto(readPhoto(upload), request);
        upload.release();
        check();
        return photo;
      };
      const respond = async ({ width, height, input, warnings }: DecodedPhoto) => {
        const { signal } = request;
        const predictions = await classifier.classify(input, { topK, signal });
        release("data" in input ? input.data : input);
        return Response.json({ model: classifier.type, width, height, predictions, warnings });
      };
      if (batches) return await respond(await queue.run(decodeUpload, check));
      return await queue.run(async () => await respond(await decodeUpload()), check);
    } finally {
      release(upload.bytes);
      upload.release();
    }
  }

  async function decodePhoto(
    photo: Uint8Array<ArrayBuffer>,
    { signal }: Request,
  ): Promise<DecodedPhoto> {
    try {
      return await decode(photo, { name: "photo", maxPixels, signal });
    } catch (error) {
      // a missing codec is no fault of the client
      if (!(error instanceof FileError) || error instanceof CodecError) throw error;
      throw new RequestError(error instanceof TooLargeError ? 413 : 422, error.message);
    } finally {
      release(photo);
    }
  }

  let rejection: RequestError | undefined;

  async function handle(request: Request): Promise<Response> {
    if (rejection) return rejection.response();
    // the runtime may have made it from a malformed Host header
    if (!URL.canParse(request.url)) {
      return new RequestError(400, "malformed URL or Host header").response();
    }
    if (request.method !== "POST") {
      const message = "method not allowed: send the photo with POST";
      return new RequestError(405, message, { allow: "POST" }).response();
    }
    try {
      return await classify(request, new URL(request.url));
    } catch (error) {
      if (error instanceof RequestError) return error.response();
      if (request.signal?.aborted) return gone().response();
      report(onError, error);
      return new RequestError(500, "unexpected error").response();
    }
  }
  return {
    handle: cors === undefined ? handle : withCors(handle, checkOrigin(op, "cors", cors)),
    rejectRequests: (error) => void (rejection = error),
    rejectUploads: (error) => uploads.rejectAll(error),
  };
}

/** Calls a callback. Neither what it throws nor a promise that it rejects may stop the server. */
function report(onError: (error: unknown) => unknown, error: unknown): void {
  (async () => await onError(error))().catch(() => {});
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
