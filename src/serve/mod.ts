/**
 * Classifies photos over HTTP, on servers and edge runtimes.
 *
 * @module
 */

export { type BatchClassifier, Batcher, type BatcherOptions } from "./batcher.ts";
export { photoHandler } from "./handler.ts";
export type { DecodedPhoto, PhotoClassifier, PhotoHandlerOptions } from "./handler_options.ts";
export { PhotoService, type PhotoServiceOptions } from "./service.ts";
