/**
 * The training loop.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { checkInteger } from "../ops/checks.ts";
import { crossEntropy } from "../ops/loss.ts";
import { RandomGenerator } from "../random.ts";
import { clipGradNorm } from "./clip.ts";
import { type Batch, type Dataset, readBatch, shuffledIndices } from "./dataset.ts";
import { ranksOf } from "./evaluate.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** Options of {@linkcode Trainer}. */
export interface TrainerOptions {
  /** The optimiser of the model's parameters. */
  readonly optimizer: Optimizer;
  /** Number of samples in a batch. The last batch of an epoch may be smaller. */
  readonly batchSize: number;
  /** Number of passes over the dataset. */
  readonly epochs: number;
  /** The learning rate by step. Default: the rate of the optimiser. */
  readonly schedule?: Schedule;
  /** The largest norm of all gradients together. Larger gradients are scaled down. */
  readonly clipNorm?: number;
  /** The share of the target probability spread over all classes. Default 0. */
  readonly labelSmoothing?: number;
  /** The seed of shuffling, augmentation and dropout. Default 0. */
  readonly seed?: number;
}

/** The progress of a training run. */
export interface Progress {
  /** The current epoch, from 0. */
  readonly epoch: number;
  /** Number of epochs of the run. */
  readonly epochs: number;
  /** Number of finished batches in this epoch. */
  readonly batch: number;
  /** Number of batches in an epoch. */
  readonly batches: number;
  /** The mean loss in this epoch so far. */
  readonly loss: number;
  /** The share of correctly classified samples in this epoch so far. */
  readonly accuracy: number;
  /** The learning rate of the last step. */
  readonly lr: number;
  /** Samples per second since the start of the epoch, or since the run was resumed. */
  readonly imagesPerSecond: number;
  /** The estimated number of seconds until the end of the run. */
  readonly secondsLeft: number;
}

/**
 * The position of a training run, for checkpoints.
 *
 * @internal
 */
export interface TrainerState {
  /** Number of finished epochs. */
  epoch: number;
  /** Number of finished batches in the current epoch. */
  batch: number;
  /** Number of samples in these batches. */
  seen: number;
  /** The sum of their losses. */
  loss: number;
  /** The number of correctly classified samples. */
  right: number;
}

/**
 * Trains a classifier with the cross-entropy loss. The same seed gives the same results on the same
 * build.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear } from "../layers/mod.ts";
 * import { arrayDataset } from "./dataset.ts";
 * import { SGD } from "./sgd.ts";
 * import { Trainer } from "./trainer.ts";
 *
 * using backend = await createBackend();
 * using model = new Linear(2, 2).init(backend);
 * using optimizer = new SGD(model, { lr: 1 });
 * const data = arrayDataset(new Float32Array([1, 0, 0, 1]), [0, 1], [2]);
 * const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 20 });
 * for await (const { loss } of trainer) console.log(loss); // after each epoch
 * ```
 */
export class Trainer {
  /** The position of the run. */
  state: TrainerState = { epoch: 0, batch: 0, seen: 0, loss: 0, right: 0 };
  /** The random numbers of augmentation and dropout. */
  readonly generator: RandomGenerator;
  readonly #batches: number;
  #order: { readonly epoch: number; readonly indices: Uint32Array } | undefined;
  #started = performance.now();
  #samplesSinceStart = 0;

  /**
   * Creates a training run.
   *
   * @param model A model with values, from [N, …sampleShape] to [N, classes].
   * @param dataset The training samples.
   * @throws {ArgumentError} When an option is invalid, or the dataset is empty.
   */
  constructor(
    readonly model: Layer,
    readonly dataset: Dataset,
    readonly options: TrainerOptions,
  ) {
    checkInteger("Trainer", "batchSize", options.batchSize, 1);
    checkInteger("Trainer", "epochs", options.epochs, 0);
    checkInteger("Trainer", "the length of the dataset", dataset.length, 1);
    this.generator = new RandomGenerator(options.seed ?? 0);
    this.#batches = Math.ceil(dataset.length / options.batchSize);
  }

  /**
   * Trains to the end of the run, and yields the progress after each epoch. Between epochs, you can
   * evaluate the model and save a checkpoint.
   *
   * @throws {PembrokeError} When the loss is not finite.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress> {
    while (this.state.epoch < this.options.epochs) yield await this.trainEpoch();
  }

  /**
   * Trains to the end of the current epoch.
   *
   * @param onStep Called after each step. It may save a checkpoint.
   * @throws {PembrokeError} When the loss is not finite.
   */
  async trainEpoch(onStep?: (progress: Progress) => void | Promise<void>): Promise<Progress> {
    this.#started = performance.now();
    this.#samplesSinceStart = 0;
    let progress: Progress;
    do progress = await this.step(onStep); while (progress.batch < progress.batches);
    return progress;
  }

  /**
   * Trains one batch.
   *
   * @param onStep Called after the step. It may save a checkpoint.
   * @throws {PembrokeError} When the loss is not finite.
   */
  async step(onStep?: (progress: Progress) => void | Promise<void>): Promise<Progress> {
    const { optimizer, schedule, clipNorm } = this.options;
    const { model, state } = this;
    model.train(this.generator);
    const batch = await readBatch(this.dataset, this.#nextIndices(), this.generator);

    optimizer.zeroGrad();
    const { loss, right } = await this.#computeGradients(batch);
    if (!Number.isFinite(loss)) {
      throw new PembrokeError(
        `Trainer: the loss is ${loss} in step ${optimizer.steps}; lower the learning rate or set ` +
          "clipNorm",
      );
    }
    if (clipNorm !== undefined) await clipGradNorm(optimizer.parameters, clipNorm);
    if (schedule) optimizer.lr = schedule(optimizer.steps);
    optimizer.step();

    state.batch++;
    state.seen += batch.labels.length;
    state.loss += loss * batch.labels.length;
    state.right += right;
    this.#samplesSinceStart += batch.labels.length;
    const progress = this.#progress();
    if (state.batch === this.#batches) {
      this.state = { epoch: state.epoch + 1, batch: 0, seen: 0, loss: 0, right: 0 };
    }
    await onStep?.(progress);
    return progress;
  }

  /** Runs the forward and backward pass of a batch. */
  async #computeGradients(
    { values, shape, labels }: Batch,
  ): Promise<{ loss: number; right: number }> {
    const { labelSmoothing } = this.options;
    using x = this.model.backend.upload(values, shape);
    using logits = this.model.forward(x);
    const result = crossEntropy(logits, labels, { labelSmoothing });
    using loss = result.loss, gradient = result.gradient;
    this.model.backwardParameters(gradient);
    const ranks = ranksOf(await logits.read(), labels);
    return { loss: (await loss.read())[0], right: ranks.filter((rank) => rank === 0).length };
  }

  /** Returns the indices of the next batch. The seed and the epoch determine the order. */
  #nextIndices(): Uint32Array {
    const { epoch, batch } = this.state, { batchSize, seed = 0 } = this.options;
    if (this.#order?.epoch !== epoch) {
      const generator = new RandomGenerator(Math.imul(seed, 0x9e3779b1) + epoch + 1);
      this.#order = { epoch, indices: shuffledIndices(this.dataset.length, generator) };
    }
    return this.#order.indices.subarray(batch * batchSize, (batch + 1) * batchSize);
  }

  #progress(): Progress {
    const { epoch, batch, seen, loss, right } = this.state, { epochs, optimizer } = this.options;
    const seconds = (performance.now() - this.#started) / 1000;
    const imagesPerSecond = this.#samplesSinceStart / seconds;
    const remaining = (epochs - epoch) * this.dataset.length - seen;
    return {
      epoch,
      epochs,
      batch,
      batches: this.#batches,
      loss: loss / seen,
      accuracy: right / seen,
      lr: optimizer.lr,
      imagesPerSecond,
      secondsLeft: remaining / imagesPerSecond,
    };
  }
}
