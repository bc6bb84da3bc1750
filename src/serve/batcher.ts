/**
 * Batches concurrent requests: photos that arrive during one batch form the next.
 *
 * @module
 */

import type { RgbImage } from "../image/pixels.ts";
import type { Classifier } from "../models/classifier.ts";
import type { Prediction } from "../models/classify.ts";
import type { PhotoClassifier } from "./handler.ts";

/** Options of {@linkcode Batcher}. */
export interface BatcherOptions {
  /** Maximum photos in a batch. Default: 16. */
  readonly maxBatchSize?: number;
  /** Called after each batch with its number of photos. */
  readonly onBatch?: (size: number) => void;
}

/** A queued photo and the promise of its classes. */
interface PendingPhoto {
  readonly values: Float32Array;
  readonly topK: number;
  readonly resolve: (predictions: Prediction[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Classifies photos in batches: one forward pass serves several requests.
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
  readonly #model: Classifier;
  readonly #maxBatchSize: number;
  readonly #onBatch: (size: number) => void;
  readonly #queue: PendingPhoto[] = [];
  #running = false;

  /**
   * Creates a batcher.
   *
   * @param model The classifier, with its weights loaded.
   */
  constructor(model: Classifier, { maxBatchSize = 16, onBatch = () => {} }: BatcherOptions = {}) {
    this.type = model.type;
    this.#model = model;
    this.#maxBatchSize = maxBatchSize;
    this.#onBatch = onBatch;
  }

  /** Classifies a photo as {@linkcode Classifier.classify} does, together with others in a batch. */
  classify(
    photo: RgbImage | Float32Array,
    { topK = 5 }: { readonly topK?: number } = {},
  ): Promise<Prediction[]> {
    return new Promise((resolve, reject) => {
      const values = photo instanceof Float32Array ? photo : this.#model.preprocess(photo);
      this.#queue.push({ values, topK, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#queue.length > 0) {
      await nextTask();
      const batch = this.#queue.splice(0, this.#maxBatchSize);
      try {
        const classes = await this.#model.classifyBatch(batch.map(({ values }) => values), {
          topK: Math.max(...batch.map(({ topK }) => topK)),
        });
        batch.forEach(({ topK, resolve }, i) => resolve(classes[i].slice(0, topK)));
      } catch (error) {
        batch.forEach(({ reject }) => reject(error));
      }
      this.#onBatch(batch.length);
    }
    this.#running = false;
  }
}

/** Lets requests that have arrived join the batch. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
