/**
 * A photo in, its classes out: an HTTP handler for servers and edge runtimes alike.
 *
 * @module
 */

import { FileError, PembrokeError, TooLargeError } from "../errors.ts";
import { type CodecModules, decodeImage, type DecodeOptions, type RgbImage } from "../image/mod.ts";
import type { Prediction } from "../models/mod.ts";
import { release } from "../image/release.ts";
import { readPhoto } from "./body.ts";
import { Refusal } from "./refusal.ts";

/** What classifies: a model, or what gathers photos for one. */
export interface PhotoClassifier {
  /** What answers call it. */
  readonly type: string;
  /**
   * The most probable classes of a photo: of its pixels, or of what was made of them for a network.
   * Neither is there any more once they are told.
   */
  classify(
    photo: RgbImage | Float32Array,
    options: { readonly topK: number },
  ): Promise<Prediction[]>;
}

/** A photo that was decoded. */
export interface DecodedPhoto {
  /** Its width in pixels. */
  readonly width: number;
  /** Its height. */
  readonly height: number;
  /** What the classifier takes; the handler's from then on, which empties it at the end. */
  readonly input: RgbImage | Float32Array;
  /** Damage that did not prevent decoding, a line each. */
  readonly warnings: readonly string[];
}

/** What {@linkcode photoHandler} takes. */
export interface PhotoHandlerOptions {
  /** Brings the model, when the first photo comes; when it fails, it is asked again by the next. */
  readonly load: () => PhotoClassifier | Promise<PhotoClassifier>;
  /** Larger bodies are refused. Default: 10 MiB. */
  readonly maxBytes?: number;
  /** Images of more pixels are refused. Default: 64,000,000. */
  readonly maxPixels?: number;
  /** Requests that are under way at most; more are told to come again. Default: 128. */
  readonly maxRequests?: number;
  /** Milliseconds in which a body must be here. Default: 60,000. */
  readonly maxMs?: number;
  /** Compiled image codecs, where the runtime cannot load them by itself. */
  readonly codecs?: CodecModules;
  /**
   * Decodes a photo; throws a `FileError` when it is damaged, a `TooLargeError` when it has too many
   * pixels. Default: `decodeImage()`.
   */
  readonly decode?: (
    bytes: Uint8Array<ArrayBuffer>,
    options: Pick<DecodeOptions, "name" | "maxPixels">,
  ) => Promise<DecodedPhoto>;
  /** Called with what nobody foresaw; whoever sent the request is not told. Default: console.error. */
  readonly onError?: (error: unknown) => void;
}

/** Classes in an answer, unless the request asks for another number. */
const defaultTopK = 5;

/**
 * Makes a handler that classifies a posted photo. The photo is the body, with the content type of an
 * image, or a file in a form. `?top=3` asks for three classes. The answer is JSON:
 *
 *     { "model": "AlexNetTiny", "width": 451, "height": 300,
 *       "predictions": [{ "index": 4, "wnid": "n02123045", "label": "tabby", "probability": 0.9 }],
 *       "warnings": [] }
 *
 * What cannot be done is answered with `{ "error": "…" }` and 400 (no photo), 405 (not posted), 408
 * (too slow), 413 (too many bytes or pixels), 415 (no image), 422 (damaged), 503 with Retry-After
 * (too many at once), or 500.
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
  const { load, maxPixels, onError = console.error, decode = decodingWith(options) } = options;
  const { maxRequests = 128, maxBytes = 10 * 2 ** 20, maxMs = 60_000 } = options;
  let underWay = 0;
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
      throw new Refusal(error instanceof TooLargeError ? 413 : 422, error.message);
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
      return new Refusal(405, `${request.method} is not done here, POST a photo`, { allow: "POST" })
        .response();
    }
    if (underWay >= maxRequests) return busy().response();
    underWay++;
    try {
      return await classify(request);
    } catch (error) {
      if (error instanceof Refusal) return error.response();
      onError(error);
      const message = error instanceof PembrokeError ? error.message : "unexpected error";
      return new Refusal(500, message).response();
    } finally {
      underWay--;
    }
  };
}

function decodingWith(
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

function busy(): Refusal {
  return new Refusal(503, "too many requests at once, come again", { "retry-after": "1" });
}

function topKOf({ url }: Request): number {
  const text = new URL(url).searchParams.get("top");
  if (text === null) return defaultTopK;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Refusal(400, `top is ${JSON.stringify(text)}, must be an integer from 1 on`);
}
