/**
 * What a handler of photos takes: a classifier, and options.
 *
 * @module
 */

import type { CodecModules, DecodeOptions, RgbImage } from "../image/mod.ts";
import type { Prediction } from "../models/mod.ts";

/**
 * What classifies the photos of a {@linkcode photoHandler}: a model, a {@linkcode Batcher} in front of
 * one, or an object of your own.
 */
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

/** A decoded photo, the result of the option `decode` of {@linkcode photoHandler}. */
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
export const handlerOptionNames = [
  "maxBytes",
  "maxPixels",
  "maxRequests",
  "maxDecodes",
  "maxUploads",
  "maxUploadBytes",
  "maxMs",
  "minBytesPerSecond",
  "rateMs",
  "cors",
  "codecs",
  "decode",
  "onError",
] as const;
