/**
 * Classifies photos over HTTP, on servers and edge runtimes.
 *
 * @module
 */

export { type BatchClassifier, Batcher, type BatcherOptions } from "./batcher.ts";
export {
  type DecodedPhoto,
  type PhotoClassifier,
  photoHandler,
  type PhotoHandlerOptions,
} from "./handler.ts";
export { PhotoService, type PhotoServiceOptions } from "./service.ts";
