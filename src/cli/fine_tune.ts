/** `learn --fine-tune`: trains the last blocks of a network, too. */

import { FileError, PembrokeError } from "../errors.ts";
import type { ByteSink } from "../io/byte_sink.ts";
import { replaceFile } from "../io/write_file.ts";
import type { Classifier } from "../models/mod.ts";
import { AdamW } from "../train/adamw.ts";
import { loadCheckpoint, saveCheckpoint } from "../train/checkpoint.ts";
import type { Dataset } from "../train/dataset.ts";
import type { TrainedHead } from "../train/hold_out.ts";
import { writeHead } from "../train/linear_head.ts";
import { ImageFolder } from "../train/image_folder.ts";
import { cosineSchedule } from "../train/schedule.ts";
import { Trainer } from "../train/trainer.ts";
import { colorJitter, randomHorizontalFlip, randomResizedCrop } from "../train/transforms.ts";
import { isSystemError } from "../io/system_error.ts";
import type { LearnArgs } from "./args_learn.ts";
import type { Device } from "./device.ts";
import { UsageError } from "./errors.ts";
import { judge } from "./evaluate.ts";
import { featureFolder, sha256 } from "./feature_cache.ts";
import { withSignalCleanup } from "./interrupts.ts";
import type { PhotosToLearn } from "./learn_folders.ts";
import { Progress } from "./progress.ts";
import type { Judged } from "./report.ts";

/** Small: the weights are good already. */
const lr = 1e-4;
const batchSize = 16;

/** The names of a network's blocks in order, without the last layer: "layer4.1", "features.12". */
export function blocksOf(model: Classifier): string[] {
  const { name: head } = model.head;
  const learned = model.leaves().filter(([name, { parameters }]) =>
    name !== head && Object.keys(parameters).length > 0
  );
  return [...new Set(learned.map(([name]) => name.split(".").slice(0, 2).join(".")))];
}

/**
 * Checks that a network has as many blocks as `--fine-tune` says.
 *
 * @throws {UsageError} When it has fewer.
 */
export function checkBlocks(model: Classifier, fineTune: LearnArgs["fineTune"]): void {
  const { length } = blocksOf(model);
  if (fineTune === "all" || fineTune <= length) return;
  throw new UsageError(`--fine-tune is ${fineTune}, but ${model.type} has ${length} blocks`);
}

/** What {@linkcode Tuner} needs. */
export interface TunerOptions {
  readonly model: Classifier;
  readonly device: Device;
  readonly photos: PhotosToLearn;
  readonly args: LearnArgs;
  /** Identifies the weights. */
  readonly base: string;
}

/** Fine-tunes a network, as often as needed, always from the same weights. */
export class Tuner {
  readonly #options: TunerOptions;
  readonly #original = new Map<string, Float32Array>();

  private constructor(options: TunerOptions) {
    this.#options = options;
  }

  /** Replaces the last layer of a model, and freezes all but its last blocks. */
  static async prepare(options: TunerOptions): Promise<Tuner> {
    const { model, photos, args: { fineTune } } = options, blocks = blocksOf(model);
    model.replaceHead(photos.classes);
    if (fineTune !== "all") {
      model.freeze({ except: [...blocks.slice(-fineTune), model.head.name] });
    }
    const tuner = new Tuner(options);
    for (const [name, { tensor }] of model.stateDict()) {
      if (tensor) tuner.#original.set(name, await tensor.read());
    }
    return tuner;
  }

  /** Undoes all training: the network is the original one with a trained head. */
  reset(head: TrainedHead): void {
    const { model } = this.#options;
    for (const [name, parameter] of model.stateDict()) {
      const values = this.#original.get(name);
      if (values) parameter.write(values);
    }
    writeHead(model, head);
    model.eval();
  }

  /**
   * Trains on the photos that are not held out.
   *
   * @throws {PembrokeError} When the loss or a value of the network is not finite.
   */
  async train(head: TrainedHead, isHeldOut: (index: number) => boolean): Promise<void> {
    const { model, device, args, base, photos: { classes, photos } } = this.#options;
    const { epochs, seed, quiet, fineTune } = args, { weightDecay } = head;
    this.reset(head);
    const samples = photos.filter((_, index) => !isHeldOut(index));
    const dataset = augmented(samples, classes, model);
    const steps = epochs * Math.ceil(dataset.length / batchSize);
    using optimizer = new AdamW(model, { lr });
    const trainer = new Trainer(model, dataset, {
      optimizer,
      batchSize,
      epochs,
      schedule: cosineSchedule({ lr, steps, warmUp: Math.min(10, steps - 1) }),
      labelSmoothing: 0.1,
      seed,
    });
    const network = [base, model.preprocessing, device.backend.name];
    const run = [...network, fineTune, epochs, seed, weightDecay];
    const list = samples.map(({ digest, label }) => [digest, label]);
    const checkpoint = await Checkpoint.open(sha256(JSON.stringify([run, list])));
    await checkpoint.load(trainer);
    using progress = new Progress("fine-tuning", !quiet);
    const each = dataset.length;
    while (trainer.state.epoch < epochs) {
      const before = trainer.state.epoch * each;
      await trainer.trainEpoch(({ batch }) =>
        progress.update(before + Math.min(each, batch * batchSize), epochs * each, "photos")
      );
      await checkpoint.save(trainer);
    }
    await checkpoint.remove();
    await this.#checkFinite();
    model.eval();
  }

  /** Throws if the last step gave values that are not finite: no loss was computed after it. */
  async #checkFinite(): Promise<void> {
    const { model } = this.#options;
    for (const [name, { tensor }] of model.stateDict()) {
      const values = await tensor?.read();
      if (!values || values.every(Number.isFinite)) continue;
      throw new PembrokeError(
        `fine-tuning ${model.type} made ${name} not finite; leave out --fine-tune, or start from other ` +
          "weights with --from",
      );
    }
  }

  /** Trains on the photos that are not held out, and classifies the others. */
  async measure(head: TrainedHead, isHeldOut: (index: number) => boolean): Promise<Judged[]> {
    await this.train(head, isHeldOut);
    const { model, device, args, photos: { photos } } = this.#options;
    const held = photos.filter((_, index) => isHeldOut(index));
    return (await judge(held, model, device, args.quiet)).judged;
  }
}

/** Photos with random changes while they are trained on. */
function augmented(
  photos: PhotosToLearn["photos"],
  classes: readonly string[],
  { preprocessing }: Classifier,
): Dataset {
  const { resize, crop, cropWidth = crop } = preprocessing;
  const files = photos.map(({ name, label, read }) => ({
    name,
    class: classes[label],
    bytes: read,
  }));
  const folder = new ImageFolder(files, {
    preprocessing,
    transforms: [
      randomResizedCrop(Math.max(resize, crop, cropWidth), { scale: [0.35, 1] }),
      randomHorizontalFlip(),
      colorJitter({ brightness: 0.2, contrast: 0.2, saturation: 0.2 }),
    ],
  });
  // a class may be held out as a whole
  const labels = folder.classes.map((name) => classes.indexOf(name));
  return {
    length: folder.length,
    sampleShape: folder.sampleShape,
    read: async (...args) => labels[await folder.read(...args)],
  };
}

/** A training run in the cache, saved after each epoch, so that it can go on after an interruption. */
class Checkpoint {
  private constructor(readonly path: string | undefined) {}

  /** @param run Identifies the run. */
  static async open(run: string): Promise<Checkpoint> {
    const folder = featureFolder();
    if (folder === undefined) return new Checkpoint(undefined);
    try {
      await Deno.mkdir(folder, { recursive: true });
      return new Checkpoint(`${folder}/${run}.safetensors`);
    } catch (error) {
      if (isSystemError(error)) return new Checkpoint(undefined); // not writable
      throw error;
    }
  }

  /** Continues a run if it was interrupted. A damaged file is ignored. */
  async load(trainer: Trainer): Promise<void> {
    if (this.path === undefined) return;
    try {
      await loadCheckpoint(trainer, await Deno.readFile(this.path), this.path);
    } catch (error) {
      if (!(error instanceof FileError) && !isSystemError(error)) throw error;
    }
  }

  /** Saves a run, unless the cache is read-only or full. */
  async save(trainer: Trainer): Promise<void> {
    const { path } = this;
    if (path === undefined) return;
    const bytes = await saveCheckpoint(trainer);
    // deno-lint-ignore require-await -- the sink is synchronous
    const write = async (sink: ByteSink) => sink.write(0, bytes);
    try {
      await withSignalCleanup(() => replaceFile(path, write));
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  async remove(): Promise<void> {
    if (this.path !== undefined) await Deno.remove(this.path).catch(() => {});
  }
}
