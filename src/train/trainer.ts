/**
 * The training loop.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { checkInteger, checkNumber, checkOptions } from "../ops/checks.ts";
import { crossEntropy } from "../ops/loss.ts";
import { RandomGenerator } from "../random.ts";
import { clipGradNorm } from "./clip.ts";
import { type Batch, checkDataset, type Dataset, readBatch, shuffled } from "./dataset.ts";
import { checkModel, ranksOf } from "./evaluate.ts";
import { Optimizer } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** How a model is trained. */
export interface TrainerOptions {
  /** What moves the parameters. */
  readonly optimizer: Optimizer;
  /** Samples of a step. The last step of an epoch takes what is left. */
  readonly batchSize: number;
  /** Passes over the dataset. */
  readonly epochs: number;
  /** Learning rates by step; without one the optimiser's own. */
  readonly schedule?: Schedule;
  /** The largest norm of all gradients together; larger ones are scaled down. */
  readonly clipNorm?: number;
  /** The share of probability that the loss spreads over all classes. Default 0. */
  readonly labelSmoothing?: number;
  /** Seed of the order of samples, of augmentation and dropout. Default 0. */
  readonly seed?: number;
}

/**
 * Where a training run stands.
 */
export interface Progress {
  /** The epoch under way, from 0. */
  readonly epoch: number;
  /** Epochs in all. */
  readonly epochs: number;
  /** Batches done in this epoch. */
  readonly batch: number;
  /** Batches of an epoch. */
  readonly batches: number;
  /** Mean loss of this epoch so far. */
  readonly loss: number;
  /** Share of samples classified right in this epoch so far. */
  readonly accuracy: number;
  /** The learning rate of the last step. */
  readonly lr: number;
  /** Samples a second since the run was started or resumed. */
  readonly imagesPerSecond: number;
  /** Seconds that the remaining epochs take at this speed. */
  readonly secondsLeft: number;
}

/**
 * What a run must remember to go on as if it had never stopped; whole numbers and sums.
 *
 * @internal
 */
export interface TrainerState {
  /** Epochs done. */
  epoch: number;
  /** Batches done of the next epoch. */
  batch: number;
  /** Samples seen in that epoch. */
  seen: number;
  /** Sum of their losses. */
  loss: number;
  /** How many of them were right. */
  right: number;
}

/** Checks the options of a trainer. */
function checkTrainerOptions(options: TrainerOptions): void {
  const op = "Trainer";
  checkOptions(op, options);
  const { optimizer, schedule, clipNorm, labelSmoothing = 0, seed = 0 } = options;
  if (!(optimizer instanceof Optimizer)) {
    throw new ArgumentError(op, "optimizer", optimizer, "an Optimizer");
  }
  checkInteger(op, "batchSize", options.batchSize, 1);
  checkInteger(op, "epochs", options.epochs, 0);
  if (schedule !== undefined && typeof schedule !== "function") {
    throw new ArgumentError(op, "schedule", schedule, "a function of the step");
  }
  if (clipNorm !== undefined && !(typeof clipNorm === "number" && clipNorm > 0)) {
    throw new ArgumentError(op, "clipNorm", clipNorm, "above 0");
  }
  if (!(checkNumber(op, "labelSmoothing", labelSmoothing) >= 0 && labelSmoothing <= 1)) {
    throw new ArgumentError(op, "labelSmoothing", labelSmoothing, "between 0 and 1");
  }
  if (!Number.isSafeInteger(seed)) throw new ArgumentError(op, "seed", seed, "an integer");
}

/**
 * Trains a classifier with cross-entropy. Everything random follows from the seed, so that the same
 * run gives the same numbers on the same build.
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
  /** Where the run stands. */
  state: TrainerState = { epoch: 0, batch: 0, seen: 0, loss: 0, right: 0 };
  /** What augmentation and dropout draw from. */
  readonly generator: RandomGenerator;
  readonly #batches: number;
  #order: { readonly epoch: number; readonly indices: Uint32Array } | undefined;
  #started = performance.now();
  #samplesSinceStart = 0;

  /**
   * Prepares a run; nothing is trained yet.
   *
   * @param model From [N, …sample] to [N, classes]; must hold values.
   * @param dataset What it learns from.
   */
  constructor(
    readonly model: Layer,
    readonly dataset: Dataset,
    readonly options: TrainerOptions,
  ) {
    checkModel("Trainer", model);
    checkDataset("Trainer", dataset);
    checkTrainerOptions(options);
    this.generator = new RandomGenerator(options.seed ?? 0);
    this.#batches = Math.ceil(dataset.length / options.batchSize);
  }

  /**
   * Trains, and hands out where it stands after each epoch. Between two, the model may be evaluated
   * and a checkpoint written.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress> {
    while (this.state.epoch < this.options.epochs) yield await this.trainEpoch();
  }

  /**
   * Trains to the end of the epoch under way.
   *
   * @param onStep Called after each step; a checkpoint may be written in it.
   */
  async trainEpoch(onStep?: (progress: Progress) => void | Promise<void>): Promise<Progress> {
    this.#started = performance.now();
    this.#samplesSinceStart = 0;
    let progress: Progress;
    do progress = await this.step(onStep); while (progress.batch < progress.batches);
    return progress;
  }

  /** Trains one batch. After an error the step can be repeated: it draws the same numbers again. */
  async step(onStep?: (progress: Progress) => void | Promise<void>): Promise<Progress> {
    const { model, state } = this, random = this.generator.getState();
    model.train(this.generator);
    let labels: Batch["labels"], result: { readonly loss: number; readonly right: number };
    try {
      const batch = await readBatch(this.dataset, this.#indices(), this.generator);
      labels = batch.labels;
      result = await this.#update(batch);
    } catch (error) {
      this.generator.setState(random);
      throw error;
    }

    state.batch++;
    state.seen += labels.length;
    state.loss += result.loss * labels.length;
    state.right += result.right;
    this.#samplesSinceStart += labels.length;
    const progress = this.#progress();
    if (state.batch === this.#batches) {
      this.state = { epoch: state.epoch + 1, batch: 0, seen: 0, loss: 0, right: 0 };
    }
    await onStep?.(progress);
    return progress;
  }

  /** Computes the gradients of a batch, and moves the parameters. */
  async #update(batch: Batch): Promise<{ loss: number; right: number }> {
    const { optimizer, schedule, clipNorm } = this.options;
    optimizer.zeroGrad();
    const { loss, right } = await this.#pass(batch);
    if (!Number.isFinite(loss)) {
      throw new PembrokeError(
        `the loss is ${loss} in step ${optimizer.steps}: lower the learning rate or clip gradients`,
      );
    }
    if (clipNorm !== undefined) await clipGradNorm(optimizer.parameters, clipNorm);
    if (schedule) optimizer.lr = schedule(optimizer.steps);
    optimizer.step();
    return { loss, right };
  }

  /** Forward and backward; gradients are added up in the parameters. */
  async #pass({ values, shape, labels }: Batch): Promise<{ loss: number; right: number }> {
    const { labelSmoothing } = this.options;
    using x = this.model.backend.upload(values, shape);
    using logits = this.model.forward(x);
    const result = crossEntropy(logits, labels, { labelSmoothing });
    using loss = result.loss, gradient = result.gradient;
    this.model.backwardParameters(gradient);
    const ranks = ranksOf(await logits.read(), labels);
    return { loss: (await loss.read())[0], right: ranks.filter((rank) => rank === 0).length };
  }

  /** The samples of the next batch. Every epoch's order follows from the seed and its number. */
  #indices(): Uint32Array {
    const { epoch, batch } = this.state, { batchSize, seed = 0 } = this.options;
    if (this.#order?.epoch !== epoch) {
      const generator = new RandomGenerator(Math.imul(seed, 0x9e3779b1) + epoch + 1);
      this.#order = { epoch, indices: shuffled(this.dataset.length, generator) };
    }
    return this.#order.indices.subarray(batch * batchSize, (batch + 1) * batchSize);
  }

  #progress(): Progress {
    const { epoch, batch, seen, loss, right } = this.state, { epochs, optimizer } = this.options;
    const seconds = (performance.now() - this.#started) / 1000;
    const imagesPerSecond = this.#samplesSinceStart / seconds;
    const left = (epochs - epoch) * this.dataset.length - seen;
    return {
      epoch,
      epochs,
      batch,
      batches: this.#batches,
      loss: loss / seen,
      accuracy: right / seen,
      lr: optimizer.lr,
      imagesPerSecond,
      secondsLeft: left / imagesPerSecond,
    };
  }
}
