/**
 * Batches concurrent requests: photos that arrive during one batch form the next.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { RgbImage } from "../image/pixels.ts";
import { kindOf } from "../kinds.ts";
import type { Classifier } from "../models/classifier.ts";
import type { Prediction } from "../models/classify.ts";
import { checkFunction, checkOptions, checkSignal } from "../options.ts";
import type { PhotoClassifier } from "./handler_options.ts";

/** What {@linkcode Batcher} and {@linkcode PhotoService} need of a model. Every `Classifier` has it. */
export type BatchClassifier = Pick<Classifier, "type" | "preprocess" | "classifyBatch">;

/** Options of {@linkcode Batcher}. */
export interface BatcherOptions {
  /** Maximum photos in a batch. Default: 16. */
  readonly maxBatchSize?: number;
  /** Called after each batch with its number of photos. What it throws is ignored. */
  readonly onBatch?: (size: number) => void;
}

/** A queued photo and the promise of its classes. */
interface PendingPhoto {
  readonly values: Float32Array;
  readonly topK: number;
  readonly signal?: AbortSignal;
  readonly resolve: (predictions: Prediction[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Classifies photos in batches: one forward pass serves several requests. Photos that arrive while one
 * batch runs form the next one.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { loadModel } from "../models/mod.ts";
 * import { Batcher } from "./batcher.ts";
 *
 * using backend = await createBackend();
 * using model = await loadModel({ backend });
 * const batcher = new Batcher(model, { onBatch: (size) => console.log(size) }); // 3
 * const photos = [10, 120, 230].map((grey) => ({
 *   width: 80,
 *   height: 60,
 *   data: new Uint8Array(80 * 60 * 3).fill(grey),
 * }));
 * await Promise.all(photos.map((photo) => batcher.classify(photo)));
 * ```
 */
export class Batcher implements PhotoClassifier {
  /** The model's name. */
  readonly type: string;
  readonly #model: BatchClassifier;
  readonly #maxBatchSize: number;
  readonly #onBatch: (size: number) => void;
  readonly #queue: PendingPhoto[] = [];
  #running = false;

  /**
   * Creates a batcher.
   *
   * @param model The classifier, with its weights loaded.
   * @throws {ArgumentError} When `maxBatchSize` is not a positive integer.
   */
  constructor(
    model: BatchClassifier,
    options: BatcherOptions = {},
  ) {
    checkOptions("Batcher", options, ["maxBatchSize", "onBatch"]);
    const { maxBatchSize = 16, onBatch = () => {} } = options;
    checkFunction("Batcher", "onBatch", onBatch);
    if (!Number.isSafeInteger(maxBatchSize) || maxBatchSize < 1) {
      throw new ArgumentError("Batcher", "maxBatchSize", maxBatchSize, "a positive integer");
    }
    this.type = model.type;
    this.#model = model;
    this.#maxBatchSize = maxBatchSize;
    this.#onBatch = onBatch;
  }

  /**
   * Classifies a photo as {@linkcode Classifier.classify} does, together with others in a batch. A
   * photo whose signal aborts before its batch starts is dropped, and rejected with the reason.
   *
   * @throws {ArgumentError} When `topK` is not a positive integer.
   */
  async classify(
    photo: RgbImage | Float32Array,
    options: { readonly topK?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Prediction[]> {
    checkOptions("Batcher.classify", options, ["topK", "signal"]);
    const { topK = 5, signal } = options;
    checkSignal("Batcher.classify", signal);
    if (!Number.isSafeInteger(topK) || topK < 1) {
      throw new ArgumentError("Batcher.classify", "topK", topK, "a positive integer");
    }
    const values = kindOf(photo) === "Float32Array"
      ? photo as Float32Array
      : this.#model.preprocess(photo as RgbImage);
    return await new Promise((resolve, reject) => {
      this.#queue.push({ values, topK, signal, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#queue.length > 0) {
      await nextTask();
      const batch: PendingPhoto[] = [];
      while (batch.length < this.#maxBatchSize && this.#queue.length > 0) {
        const photo = this.#queue.shift()!;
        if (photo.signal?.aborted) photo.reject(photo.signal.reason);
        else batch.push(photo);
      }
      if (batch.length === 0) continue;
      await this.#classifyBatch(batch);
      this.#report(batch.length);
    }
    this.#running = false;
  }

  async #classifyBatch(batch: readonly PendingPhoto[]): Promise<void> {
    try {
      const classes = await this.#model.classifyBatch(batch.map(({ values }) => values), {
        topK: Math.max(...batch.map(({ topK }) => topK)),
      });
      batch.forEach(({ topK, resolve }, i) => resolve(classes[i].slice(0, topK)));
    } catch (error) {
      if (error instanceof ArgumentError && batch.length > 1) {
        // one invalid photo must not fail the others
        for (const photo of batch) await this.#classifyBatch([photo]);
      } else batch.forEach(({ reject }) => reject(error));
    }
  }

  /** Calls back. Neither an error nor a rejected promise may stop the queue. */
  #report(size: number): void {
    const onBatch: (size: number) => unknown = this.#onBatch;
    try {
      Promise.resolve(onBatch(size)).catch(() => {});
    } catch {
      // the caller's own
    }
  }
}

/** Lets requests that have arrived join the batch. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
