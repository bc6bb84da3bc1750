/**
 * Trains a network on Tiny ImageNet:
 *
 *     deno task train --data tiny-imagenet --network resnet-tiny
 *
 * @module
 */

import { type Backend, createBackend, evaluate, PembrokeError, type Progress } from "../../mod.ts";
import { type ImageDataset, imageDataset } from "./dataset.ts";
import { formatLog, type LogRow, parseLog } from "./log.ts";
import { preprocessing } from "./networks.ts";
import { type Options, readArgs, usage } from "./options.ts";
import { defaultNetwork, epochsOf, type Recipe, recipes, sideOf } from "./recipe.ts";
import {
  createRun,
  loadRun,
  readRecipe,
  type Run,
  saveRun,
  trainEpoch,
  withFinalValues,
} from "./run.ts";
import {
  type Images,
  readClasses,
  readSheets,
  type SheetClass,
  type SheetOptions,
} from "./sheets.ts";
import { runTask, StatusLine, toFileError, UsageError, writeAtomically } from "./task.ts";

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run: train }, args);
}

async function train(options: Options): Promise<void> {
  const { data, out } = options;
  const checkpoint = `${out}/checkpoint.safetensors`, log = `${out}/log.tsv`;
  const saved = await readIfExists(checkpoint);
  if (saved && !options.resume) {
    throw new UsageError(`${checkpoint} exists; continue it with --resume, or use another --out`);
  }
  const recipe = saved
    ? await readRecipe(saved, checkpoint, options.overrides)
    : { ...recipes[options.overrides.network ?? defaultNetwork], ...options.overrides };
  await Deno.mkdir(out, { recursive: true }).catch((error) => {
    throw toFileError(out, error);
  });

  const classes = await readClasses(data);
  const size = preprocessing.crop, { holdOut, augmentation } = recipe;
  const perClass = recipe.perClass || undefined;
  const training = await readImages(`${data}/train`, classes, { size, perClass, holdOut });
  const validation = await readImages(`${data}/val`, classes, { size, perClass });
  const dataset = imageDataset(training, { statistics: preprocessing, augmentation });
  const plain = imageDataset(validation, { statistics: preprocessing });

  using backend = await createBackend({ device: "wasm", threads: options.threads });
  using run = createRun(backend, dataset, classes, recipe);
  if (saved) await loadRun(run, saved, checkpoint);
  const rows = saved ? await readLogUntil(log, run.trainer.state.epoch) : [];
  printStart(run, backend, training, saved !== undefined);

  using signals = listenForStop();
  while (run.trainer.state.epoch < Math.min(epochsOf(recipe), options.stop)) {
    const progress = await trainWithCheckpoints(run, dataset, options, checkpoint, signals);
    const validation = await withFinalValues(
      run,
      () => evaluate(run.model, plain, { batchSize: recipe.batch }),
    );
    rows.push(logRow(progress, validation, run, dataset));
    run.seconds = 0;
    await writeAtomically(log, formatLog(rows));
    await writeAtomically(checkpoint, await saveRun(run));
    console.log(formatRow(rows.at(-1)!));
    await signals.throwIfStopped(checkpoint);
  }
}

/** Prints a line that describes the run. */
function printStart(
  { recipe, trainer }: Run,
  backend: Backend,
  images: Images,
  resumed: boolean,
): void {
  const { epoch, batch } = trainer.state;
  const threads = `${backend.threads} thread${backend.threads === 1 ? "" : "s"}`;
  const position = !resumed
    ? "new run"
    : epoch < epochsOf(recipe)
    ? `resuming in epoch ${epoch + 1} after batch ${batch}`
    : "already finished";
  console.error(
    `${images.length} images, ${epochsOf(recipe)} epochs, ${backend.name}, ${threads}, ${position}`,
  );
}

/** Trains to the end of the epoch. Saves checkpoints regularly and on signals. */
async function trainWithCheckpoints(
  run: Run,
  data: ImageDataset,
  options: Options,
  checkpoint: string,
  signals: StopSignals,
): Promise<Progress> {
  const before = run.seconds, start = performance.now(), status = new StatusLine();
  let lastSave = start;
  try {
    return await trainEpoch(run, data, async (progress) => {
      const now = performance.now();
      run.seconds = before + (now - start) / 1000;
      status.show(formatProgress(progress, run.recipe));
      if (progress.batch === progress.batches) return; // train() saves a checkpoint after the epoch
      const stopping = await signals.received();
      if (!stopping && now - lastSave < options.every * 60_000) return;
      await writeAtomically(checkpoint, await saveRun(run));
      lastSave = performance.now();
      await signals.throwIfStopped(checkpoint);
    });
  } finally {
    status.clear();
  }
}

/** The signals that stop a run. */
interface StopSignals extends Disposable {
  received(): Promise<boolean>;
  /** Throws an error after a signal. Call it when the checkpoint is saved. */
  throwIfStopped(checkpoint: string): Promise<void>;
}

function listenForStop(): StopSignals {
  let stopping = false;
  const stop = () => void (stopping = true);
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, stop);
  const received = async () => {
    await new Promise((resolve) => setTimeout(resolve)); // let the event loop deliver signals
    return stopping;
  };
  return {
    received,
    async throwIfStopped(checkpoint) {
      if (await received()) {
        throw new PembrokeError(`stopped; --resume continues from ${checkpoint}`);
      }
    },
    [Symbol.dispose]() {
      for (const name of names) Deno.removeSignalListener(name, stop);
    },
  };
}

function logRow(
  { epoch, loss, accuracy, lr }: Progress,
  validation: Awaited<ReturnType<typeof evaluate>>,
  { seconds }: Run,
  { side, length }: ImageDataset,
): LogRow {
  const { loss: valLoss, accuracy: top1, top5 } = validation;
  const imagesPerSecond = length / seconds, values = { loss, accuracy, valLoss, top1, top5, lr };
  return { epoch: epoch + 1, side, ...values, imagesPerSecond, seconds };
}

/** Formats a row of the log for the terminal. */
function formatRow(
  { epoch, side, loss, accuracy, top1, top5, imagesPerSecond, seconds }: LogRow,
): string {
  const percent = (share: number) => `${(share * 100).toFixed(2)} %`;
  return `epoch ${epoch}, ${side}×${side}: ` +
    `loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}; ` +
    `validation top-1 ${percent(top1)}, top-5 ${percent(top5)}; ` +
    `${imagesPerSecond.toFixed(1)} images/s, ${seconds.toFixed(0)} s`;
}

async function readImages(
  folder: string,
  classes: readonly SheetClass[],
  options: SheetOptions,
): Promise<Images> {
  const status = new StatusLine(), start = performance.now(), count = classes.length;
  const onSheet = (done: number) => status.show(`reading ${folder}: ${done}/${count} classes`);
  const images = await readSheets(folder, classes, { ...options, onSheet });
  status.clear();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(`read ${images.length} images of ${count} classes in ${folder} in ${seconds} s`);
  return images;
}

/** Reads a log up to an epoch. The log of an interrupted run may be ahead of its checkpoint. */
async function readLogUntil(path: string, epoch: number): Promise<LogRow[]> {
  const bytes = await readIfExists(path);
  if (!bytes) return [];
  return parseLog(new TextDecoder().decode(bytes), path).filter((row) => row.epoch <= epoch);
}

async function readIfExists(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw toFileError(path, error);
  }
}

/** Formats progress as one line. */
export function formatProgress(progress: Progress, recipe: Recipe): string {
  const { epoch, epochs, batch, batches, loss, accuracy, imagesPerSecond } = progress;
  const secondsLeft = Math.round(estimateSecondsLeft(progress, recipe));
  const minutes = Math.floor(secondsLeft / 60), seconds = secondsLeft % 60;
  return `epoch ${epoch + 1}/${epochs}, batch ${batch}/${batches}, loss ${loss.toFixed(4)}, ` +
    `accuracy ${(accuracy * 100).toFixed(2)} %, ${imagesPerSecond.toFixed(0)} images/s, ` +
    `${minutes}:${String(seconds).padStart(2, "0")} left`;
}

/** Estimates the rest of the run. The time of an image is about proportional to its pixels. */
function estimateSecondsLeft(
  { epoch, epochs, batch, batches, secondsLeft }: Progress,
  recipe: Recipe,
): number {
  const shares = Array.from(
    { length: epochs - epoch },
    (_, i) => i === 0 ? 1 - batch / batches : 1,
  );
  const pixels = shares.map((share, i) => share * sideOf(recipe, epoch + i) ** 2);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b);
  const left = sum(shares); // epochs, which `secondsLeft` takes for equally long
  return left > 0 ? secondsLeft * sum(pixels) / (left * sideOf(recipe, epoch) ** 2) : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
