/**
 * The training loop.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { forgetTrainedRanges } from "../models/input_ranges.ts";
import { checkNumber } from "../ops/checks.ts";
import { crossEntropy } from "../ops/loss.ts";
import { RandomGenerator } from "../random.ts";
import { clipGradNorm } from "./clip.ts";
import { type Batch, checkDataset, type Dataset, readBatch, shuffledIndices } from "./dataset.ts";
import { checkModel, checkSeveralScores, computeLoss, ranksOf, uploadTarget } from "./evaluate.ts";
import { MovingAverage } from "./moving_average.ts";
import { pauses } from "./pauses.ts";
import { restoringStatistics, withAdvice } from "./running_statistics.ts";
import {
  checkParameters,
  checkTrainerOptions,
  samplesPerEpoch,
  type TrainerOptions,
} from "./trainer_options.ts";

export type { TrainerOptions };

/** The progress of a training run. */
export interface Progress {
  /** The current epoch: a pass over the dataset, counted from 0. */
  readonly epoch: number;
  /** Number of epochs of the run. */
  readonly epochs: number;
  /** Number of finished batches in this epoch. */
  readonly batch: number;
  /** Number of batches in an epoch. */
  readonly batches: number;
  /** The mean loss in this epoch so far. */
  readonly loss: number;
  /**
   * The share of correctly classified samples in this epoch so far, from 0 to 1. Measured before the step
   * that learns from a sample, with augmentation and dropout. NaN with a loss of one's own.
   */
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
  correct: number;
}

/** What a step measured on its batch. */
interface BatchResult {
  /** The mean loss of the samples. */
  readonly loss: number;
  /** The number of correctly classified samples. */
  readonly correct: number;
}

/**
 * Trains a classifier with the cross-entropy loss, or any model with the option `loss`. The same seed
 * gives the same results on the same build. Between steps, other code can run.
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
export class Trainer implements Disposable {
  /** The position of the run. */
  state: TrainerState = { epoch: 0, batch: 0, seen: 0, loss: 0, correct: 0 };
  /** The random numbers of augmentation and dropout. */
  readonly generator: RandomGenerator;
  /**
   * The moving average of the model's values, if there is an `emaDecay`.
   *
   * @internal
   */
  readonly average: MovingAverage | undefined;
  readonly #samples: number;
  readonly #batches: number;
  readonly #pause = pauses();
  #order: { readonly epoch: number; readonly indices: Uint32Array } | undefined;
  #started = performance.now();
  #samplesSinceStart = 0;
  #isBusy = false;

  /**
   * Creates a training run.
   *
   * @param model A model with values, from [N, …sampleShape] to scores of the shape [N, classes], before a
   * softmax. With the option `loss`, to any shape.
   * @param dataset The training samples.
   * @param options The optimiser, `batchSize` and `epochs`; the others have defaults.
   * @throws {ArgumentError} When an option is invalid, the dataset is empty, or all parameters are frozen.
   */
  constructor(
    readonly model: Layer,
    readonly dataset: Dataset,
    readonly options: TrainerOptions,
  ) {
    checkModel("Trainer", model);
    checkTrainerOptions(model, options);
    checkDataset("Trainer", dataset, options.loss !== undefined);
    this.generator = new RandomGenerator(options.seed ?? 0);
    this.average = options.emaDecay === undefined
      ? undefined
      : new MovingAverage(model, options.emaDecay);
    this.#samples = samplesPerEpoch(dataset, options);
    this.#batches = Math.ceil(this.#samples / options.batchSize);
  }

  /**
   * Runs a function while the model has the moving average of its values, to evaluate or save it.
   *
   * @throws {PembrokeError} When the trainer has no `emaDecay`, or while a step runs.
   *
   * @example
   * ```ts
   * import { createBackend } from "../backend/mod.ts";
   * import { Linear } from "../layers/mod.ts";
   * import { arrayDataset } from "./dataset.ts";
   * import { evaluate } from "./evaluate.ts";
   * import { SGD } from "./sgd.ts";
   * import { Trainer } from "./trainer.ts";
   *
   * using backend = await createBackend();
   * using model = new Linear(2, 2).init(backend);
   * using optimizer = new SGD(model, { lr: 1 });
   * const data = arrayDataset(new Float32Array([1, 0, 0, 1]), [0, 1], [2]);
   * using trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 9, emaDecay: 0.9 });
   * await trainer.trainEpoch();
   * const { accuracy } = await trainer.withAverage(() => evaluate(model, data));
   * console.log(accuracy);
   * ```
   */
  async withAverage<T>(run: () => T | Promise<T>): Promise<T> {
    this.checkIdle("withAverage");
    if (this.average) return await this.average.during(run);
    throw new PembrokeError("Trainer: withAverage() needs the option emaDecay");
  }

  /** Frees the memory of the moving average. The model and the optimiser stay. */
  dispose(): void {
    this.average?.dispose();
  }

  /** Calls {@linkcode Trainer.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
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
   * @param onStep Called after each step with the progress. It may save a checkpoint.
   * @returns The progress at the end of the epoch.
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
   * Trains one batch. After an error the step can be repeated, with the same random numbers.
   *
   * @param onStep Called after the step. It may save a checkpoint.
   * @throws {PembrokeError} When the model has a single score for a sample, when the loss, or with
   * `clipNorm` the norm of the gradients, is not finite, or when another step runs.
   */
  async step(onStep?: (progress: Progress) => void | Promise<void>): Promise<Progress> {
    this.checkIdle("Trainer");
    this.#isBusy = true;
    const progress = await this.#step().finally(() => this.#isBusy = false);
    await onStep?.(progress);
    return progress;
  }

  /**
   * Checks that no step is running, which would interfere with what follows.
   *
   * @internal
   */
  checkIdle(op: string): void {
    if (this.#isBusy) throw new PembrokeError(`${op}: wait until the step has ended`);
  }

  async #step(): Promise<Progress> {
    await this.#pause();
    const { model, state } = this, random = this.generator.getState();
    let n: number, result: BatchResult;
    try {
      const batch = await readBatch(this.dataset, this.#nextIndices(), this.generator);
      [n] = batch.shape;
      result = await restoringStatistics(model, () => this.#update(batch));
    } catch (error) {
      this.generator.setState(random);
      throw withAdvice(error, this.options.batchSize);
    }

    state.batch++;
    state.seen += n;
    state.loss += result.loss * n;
    state.correct += result.correct;
    this.#samplesSinceStart += n;
    const progress = this.#progress();
    if (state.batch === this.#batches) {
      this.state = { epoch: state.epoch + 1, batch: 0, seen: 0, loss: 0, correct: 0 };
    }
    return progress;
  }

  /** Computes the gradients of a batch, and moves the parameters. */
  async #update(batch: Batch): Promise<BatchResult> {
    const { optimizer, schedule, clipNorm } = this.options;
    this.average?.checkUnused("Trainer");
    checkParameters(this.model, optimizer);
    optimizer.zeroGrad();
    const result = await this.#computeGradients(batch), { loss } = result;
    if (!Number.isFinite(loss)) {
      const advice = [batch.values, batch.targets ?? []].every((list) =>
          list.every(Number.isFinite)
        )
        ? "lower the learning rate or set clipNorm"
        : "its samples have values that are NaN or infinite";
      throw new PembrokeError(`Trainer: the loss is ${loss} in step ${optimizer.steps}; ${advice}`);
    }
    if (clipNorm !== undefined) {
      const norm = await clipGradNorm(optimizer.parameters, clipNorm);
      if (!Number.isFinite(norm)) { // scaled by it, gradients would be 0 or NaN
        throw new PembrokeError(
          `Trainer: the norm of the gradients is ${norm} in step ${optimizer.steps}; lower the ` +
            "learning rate, or scale the samples",
        );
      }
    }
    this.average?.stateDict(); // allocates the average now: if memory runs out, no weight has changed
    if (schedule) {
      optimizer.lr = checkNumber("Trainer", "the rate of the schedule", schedule(optimizer.steps));
    }
    optimizer.step();
    forgetTrainedRanges(this.model);
    this.average?.update(optimizer.steps - 1);
    return result;
  }

  /** Runs the forward and backward pass of a batch. */
  async #computeGradients(batch: Batch): Promise<BatchResult> {
    const { model, options: { labelSmoothing, loss } } = this, { labels } = batch;
    using x = model.backend.upload(batch.values, batch.shape);
    using target = loss && uploadTarget(x, batch);
    using output = model.train(this.generator).forward(x); // evaluate() may have run meanwhile
    if (!loss) checkSeveralScores("Trainer", output, labels);
    const computed = loss
      ? computeLoss("Trainer", loss, output, { x, target: target!, labels })
      : crossEntropy(output, labels, { labelSmoothing });
    using result = computed instanceof Promise ? await computed : computed;
    model.backwardParameters(result.gradient);
    const ranks = loss ? [] : ranksOf(await output.read(), labels);
    const correct = ranks.filter((rank) => rank === 0).length;
    return { loss: (await result.loss.read())[0], correct };
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
    const { epoch, batch, seen, correct } = this.state, { epochs, optimizer, loss } = this.options;
    const seconds = (performance.now() - this.#started) / 1000;
    const imagesPerSecond = this.#samplesSinceStart / seconds;
    const remaining = (epochs - epoch) * this.#samples - seen;
    return {
      epoch,
      epochs,
      batch,
      batches: this.#batches,
      loss: this.state.loss / seen,
      accuracy: loss ? NaN : correct / seen,
      lr: optimizer.lr,
      imagesPerSecond,
      secondsLeft: remaining / imagesPerSecond,
    };
  }
}
