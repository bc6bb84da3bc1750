/**
 * An HTTP handler that classifies a posted photo, for servers and edge runtimes.
 *
 * @module
 */

import { FileError, PembrokeError, TooLargeError } from "../errors.ts";
import { type CodecModules, decodeImage, type DecodeOptions, type RgbImage } from "../image/mod.ts";
import type { Prediction } from "../models/mod.ts";
import { release } from "../image/release.ts";
import { readPhoto } from "./body.ts";
import { RequestError } from "./request_error.ts";

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
    options: { readonly topK: number },
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
  /** Loads the model on the first request. If it fails, the next request calls it again. */
  readonly load: () => PhotoClassifier | Promise<PhotoClassifier>;
  /** Maximum body size in bytes; larger bodies get a 413. Default: 10 MiB. */
  readonly maxBytes?: number;
  /** Maximum pixels of an image; larger ones get a 413. Default: 64,000,000. */
  readonly maxPixels?: number;
  /** Maximum concurrent requests; others get a 503. Default: 128. */
  readonly maxRequests?: number;
  /** Maximum time to receive a body, in milliseconds; slower ones get a 408. Default: 60,000. */
  readonly maxMs?: number;
  /** Compiled image codecs, for runtimes that cannot load them. */
  readonly codecs?: CodecModules;
  /**
   * Decodes a photo. Throws a `FileError` if it is damaged, or a `TooLargeError` if it has too many
   * pixels. Default: `decodeImage()`.
   */
  readonly decode?: (
    bytes: Uint8Array<ArrayBuffer>,
    options: Pick<DecodeOptions, "name" | "maxPixels">,
  ) => Promise<DecodedPhoto>;
  /** Called on unexpected errors, whose details the client does not see. Default: `console.error`. */
  readonly onError?: (error: unknown) => void;
}

/** Classes in a response without `?top=`. */
const defaultTopK = 5;

/**
 * Creates a handler that classifies a posted photo. The photo is the body, sent with an image content
 * type, or a file in a form. `?top=3` asks for three classes. The response is JSON:
 *
 *     { "model": "AlexNetTiny", "width": 451, "height": 300,
 *       "predictions": [{ "index": 4, "wnid": "n02123045", "label": "tabby", "probability": 0.9 }],
 *       "warnings": [] }
 *
 * Errors are `{ "error": "…" }` with status 400 (no photo), 405 (not a POST), 408 (timeout), 413 (too
 * many bytes or pixels), 415 (not an image), 422 (damaged), 500, or 503 with Retry-After (too many
 * requests at once).
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
  const { load, maxPixels, onError = console.error, decode = defaultDecode(options) } = options;
  const { maxRequests = 128, maxBytes = 10 * 2 ** 20, maxMs = 60_000 } = options;
  let inFlight = 0;
  let loading: Promise<PhotoClassifier> | undefined;
  const model = () =>
    loading ??= Promise.resolve().then(load).catch((error) => {
      loading = undefined;
      throw error;
    });

  async function classify(request: Request): Promise<Response> {
    const topK = topKOf(request);
    const photo = await readPhoto(request, { maxBytes, maxMs });
    const decoded = await decode(photo, { name: "photo", maxPixels }).catch((error) => {
      if (!(error instanceof FileError)) throw error;
      throw new RequestError(error instanceof TooLargeError ? 413 : 422, error.message);
    });
    release(photo);
    const { width, height, input, warnings } = decoded;
    const classifier = await model();
    const predictions = await classifier.classify(input, { topK });
    release("data" in input ? input.data : input);
    return Response.json({ model: classifier.type, width, height, predictions, warnings });
  }

  return async (request) => {
    if (request.method !== "POST") {
      const message = "method not allowed: send the photo with POST";
      return new RequestError(405, message, { allow: "POST" }).response();
    }
    if (inFlight >= maxRequests) return busy().response();
    inFlight++;
    try {
      return await classify(request);
    } catch (error) {
      if (error instanceof RequestError) return error.response();
      onError(error);
      const message = error instanceof PembrokeError ? error.message : "unexpected error";
      return new RequestError(500, message).response();
    } finally {
      inFlight--;
    }
  };
}

function defaultDecode(
  { codecs }: PhotoHandlerOptions,
): NonNullable<PhotoHandlerOptions["decode"]> {
  return async (bytes, options) => {
    const warnings: string[] = [];
    const onWarning = (line: string) => void warnings.push(line);
    const input = await decodeImage(bytes, { ...options, codecs, onWarning });
    const { width, height } = input;
    return { width, height, input, warnings };
  };
}

function busy(): RequestError {
  return new RequestError(503, "server busy, retry later", { "retry-after": "1" });
}

function topKOf({ url }: Request): number {
  const text = new URL(url).searchParams.get("top");
  if (text === null) return defaultTopK;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new RequestError(400, `top is ${JSON.stringify(text)}, must be an integer from 1 to 9999`);
}
