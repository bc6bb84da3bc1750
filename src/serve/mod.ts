/**
 * Classifying photos over HTTP: one handler for servers and edge runtimes.
 *
 * @module
 */

export { Batcher, type BatcherOptions } from "./batcher.ts";
export { type PhotoClassifier, photoHandler, type PhotoHandlerOptions } from "./handler.ts";
