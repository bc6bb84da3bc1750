/**
 * The messages between a `DecodeThread` and its worker.
 *
 * @module
 */

import type { FileErrorMessage } from "../../errors.ts";
import type { PreparedImage, PrepareOptions } from "../prepare.ts";
import type { Preprocessing } from "../preprocess.ts";

/** An image to decode. */
export interface DecodeJob {
  /** The whole file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly preprocessing: Preprocessing;
  readonly options: PrepareOptions;
}

/** A job as the worker receives it. */
export interface DecodeRequest extends DecodeJob {
  /** Pairs the request with its result. */
  readonly id: number;
  /** Shared memory whose first byte becomes 1 if nobody wants the image any more. */
  readonly cancelled: Uint8Array | undefined;
}

/**
 * The result of one request: the image, a bad file, an unexpected error, or nothing if the request was
 * cancelled before its turn.
 */
export type DecodeResult =
  & { readonly id: number }
  & (
    | { readonly image: PreparedImage }
    | { readonly cancelled: true }
    | { readonly fileError: FileErrorMessage }
    | { readonly error: unknown }
  );

/**
 * Everything a worker sends: that it has started, that it crashed and why, the id of the request that
 * it begins, or a result.
 */
export type WorkerMessage =
  | { readonly started: true }
  | { readonly begins: number }
  | { readonly crashed: string }
  | DecodeResult;
