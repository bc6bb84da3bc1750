/**
 * Several requests, one pass of the network: what waits while a batch computes is the next batch.
 *
 * @module
 */

import type { RgbImage } from "../image/pixels.ts";
import type { Classifier } from "../models/classifier.ts";
import type { Prediction } from "../models/classify.ts";
import type { PhotoClassifier } from "./handler.ts";

/** What a {@linkcode Batcher} takes besides its model. */
export interface BatcherOptions {
  /** Photos in a batch at most. Default 16. */
  readonly most?: number;
  /** Called after each batch, with the number of its photos. */
  readonly onBatch?: (size: number) => void;
}

/** A photo that waits, and who waits for its classes. */
interface Waiting {
  readonly values: Float32Array;
  readonly topK: number;
  readonly resolve: (predictions: Prediction[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Classifies photos in batches.
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
  readonly #most: number;
  readonly #onBatch: (size: number) => void;
  readonly #waiting: Waiting[] = [];
  #running = false;

  /**
   * Puts itself in front of a model.
   *
   * @param model What classifies; it must hold weights.
   */
  constructor(model: Classifier, { most = 16, onBatch = () => {} }: BatcherOptions = {}) {
    this.type = model.type;
    this.#model = model;
    this.#most = most;
    this.#onBatch = onBatch;
  }

  /** As {@linkcode Classifier.classify}; the answer comes with that of a whole batch. */
  classify(
    photo: RgbImage | Float32Array,
    { topK = 5 }: { readonly topK?: number } = {},
  ): Promise<Prediction[]> {
    return new Promise((resolve, reject) => {
      const values = photo instanceof Float32Array ? photo : this.#model.preprocess(photo);
      this.#waiting.push({ values, topK, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      await nextTurn();
      const batch = this.#waiting.splice(0, this.#most);
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

/** What has arrived meanwhile is decoded first, and is in the batch. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
