/**
 * Trains alexnet-tiny, the network of the bundled model:
 *
 *     deno task train --data tiny-imagenet
 *
 * @module
 */

import {
  AlexNetTiny,
  type Backend,
  createBackend,
  PembrokeError,
  type Progress,
} from "../../mod.ts";
import { imageDataset } from "./dataset.ts";
import { formatLog, type LogRow, parseLog } from "./log.ts";
import { defaultRecipe, type Options, readArgs, usage } from "./options.ts";
import { createRun, loadRun, readRecipe, type Run, saveRun } from "./run.ts";
import { type Images, readClasses, readSheets, type SheetClass } from "./sheets.ts";
import { runTask, StatusLine, toFileError, UsageError, writeAtomically } from "./task.ts";
import { validate, type Validation } from "./validate.ts";

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
    : { ...defaultRecipe, ...options.overrides };
  await Deno.mkdir(out, { recursive: true });

  const classes = await readClasses(data);
  const training = await readImages("training", `${data}/train`, classes, recipe.perClass);
  const validation = await readImages("validation", `${data}/val`, classes, recipe.perClass);
  const { preprocessing: statistics } = new AlexNetTiny();
  const dataset = imageDataset(training, { statistics, augmentation: recipe.augmentation });
  const plain = imageDataset(validation, { statistics });
  const mirrored = imageDataset(validation, { statistics, mirrored: true });

  using backend = await createBackend({ device: "wasm", threads: options.threads });
  using run = createRun(backend, dataset, classes.length, recipe);
  if (saved) await loadRun(run, saved, checkpoint);
  const rows = saved ? await readLogUntil(log, run.trainer.state.epoch) : [];
  printStart(run, backend, training, saved !== undefined);

  using signals = listenForStop();
  while (run.trainer.state.epoch < Math.min(recipe.epochs, options.stop)) {
    const progress = await trainEpoch(run, options, checkpoint, signals);
    const validationResult = await validate(run.model, plain, mirrored, recipe.batch);
    rows.push(logRow(progress, validationResult, run.seconds, training.length));
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
    : epoch < recipe.epochs
    ? `resuming in epoch ${epoch + 1} after batch ${batch}`
    : "already finished";
  console.error(
    `${images.length} images, ${recipe.epochs} epochs, ${backend.name}, ${threads}, ${position}`,
  );
}

/** Trains to the end of the epoch. Saves checkpoints regularly and on signals. */
async function trainEpoch(
  run: Run,
  options: Options,
  checkpoint: string,
  signals: StopSignals,
): Promise<Progress> {
  const before = run.seconds, start = performance.now(), status = new StatusLine();
  let lastSave = start;
  try {
    return await run.trainer.trainEpoch(async (progress) => {
      const now = performance.now();
      run.seconds = before + (now - start) / 1000;
      status.show(formatProgress(progress));
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
  validation: Validation,
  seconds: number,
  images: number,
): LogRow {
  const { loss: valLoss, top1, top5, top1Mirrored } = validation;
  const imagesPerSecond = images / seconds;
  const rates = { top1, top5, top1Mirrored };
  return { epoch: epoch + 1, loss, accuracy, valLoss, ...rates, lr, imagesPerSecond, seconds };
}

/** Formats a row of the log for the terminal. */
function formatRow(
  { epoch, loss, accuracy, top1, top5, imagesPerSecond, seconds }: LogRow,
): string {
  const percent = (share: number) => `${(share * 100).toFixed(2)} %`;
  return `epoch ${epoch}: loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}; validation ` +
    `top-1 ${percent(top1)}, top-5 ${percent(top5)}; ${imagesPerSecond.toFixed(1)} images/s, ` +
    `${seconds.toFixed(0)} s`;
}

async function readImages(
  what: string,
  folder: string,
  classes: readonly SheetClass[],
  perClass: number,
): Promise<Images> {
  const status = new StatusLine(), start = performance.now();
  const images = await readSheets(folder, classes, {
    size: new AlexNetTiny().preprocessing.crop,
    perClass: perClass || undefined,
    onSheet: (done) => status.show(`reading ${what} images: ${done}/${classes.length} classes`),
  });
  status.clear();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(
    `read ${images.length} ${what} images of ${classes.length} classes in ${seconds} s`,
  );
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
export function formatProgress(progress: Progress): string {
  const { epoch, epochs, batch, batches, loss, accuracy, imagesPerSecond, secondsLeft } = progress;
  const minutes = Math.floor(secondsLeft / 60), seconds = Math.round(secondsLeft % 60);
  return `epoch ${epoch + 1}/${epochs}, batch ${batch}/${batches}, loss ${loss.toFixed(4)}, ` +
    `accuracy ${(accuracy * 100).toFixed(2)} %, ${imagesPerSecond.toFixed(0)} images/s, ` +
    `${minutes}:${String(seconds).padStart(2, "0")} left`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
