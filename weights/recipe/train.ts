/**
 * Trains alexnet-tiny, the network whose weights come with the library:
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
import { createRun, loadRun, recipeOf, type Run, saveRun } from "./run.ts";
import { type Images, readClasses, readSheets, type SheetClass } from "./sheets.ts";
import { asFileError, runTask, StatusLine, UsageError, writeWhole } from "./task.ts";
import { validate } from "./validate.ts";

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run: train }, args);
}

async function train(options: Options): Promise<void> {
  const { data, out } = options;
  const checkpoint = `${out}/checkpoint.safetensors`, log = `${out}/log.tsv`;
  const saved = await readIfThere(checkpoint);
  if (saved && !options.resume) {
    throw new UsageError(`${checkpoint} is there; --resume goes on with it, another --out begins`);
  }
  const recipe = saved
    ? await recipeOf(saved, checkpoint, options.given)
    : { ...defaultRecipe, ...options.given };
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
  const rows = saved ? await rowsUntil(log, run.trainer.state.epoch) : [];
  begin(run, backend, training, saved !== undefined);

  using signals = listen();
  while (run.trainer.state.epoch < Math.min(recipe.epochs, options.stop)) {
    const progress = await trainEpoch(run, options, checkpoint, signals);
    const found = await validate(run.model, plain, mirrored, recipe.batch);
    rows.push(rowOf(progress, found, run.seconds, training.length));
    run.seconds = 0;
    await writeWhole(log, formatLog(rows));
    await writeWhole(checkpoint, await saveRun(run));
    console.log(rowText(rows.at(-1)!));
    await signals.check(checkpoint);
  }
}

/** One line on what is under way. */
function begin({ recipe, trainer }: Run, backend: Backend, images: Images, resumed: boolean): void {
  const { epoch, batch } = trainer.state;
  const threads = `${backend.threads} thread${backend.threads === 1 ? "" : "s"}`;
  const from = !resumed
    ? "from the start"
    : epoch < recipe.epochs
    ? `going on in epoch ${epoch + 1} behind batch ${batch}`
    : "all of them done";
  console.error(
    `${images.length} images, ${recipe.epochs} epochs, ${backend.name}, ${threads}, ${from}`,
  );
}

/** Trains to the end of the epoch, with checkpoints on the way and when a signal comes. */
async function trainEpoch(
  run: Run,
  options: Options,
  checkpoint: string,
  signals: Signals,
): Promise<Progress> {
  const before = run.seconds, begun = performance.now(), status = new StatusLine();
  let saved = begun;
  try {
    return await run.trainer.trainEpoch(async (progress) => {
      const now = performance.now();
      run.seconds = before + (now - begun) / 1000;
      status.show(progressText(progress));
      if (progress.batch === progress.batches) return; // the epoch's own checkpoint follows
      const stopping = await signals.came();
      if (!stopping && now - saved < options.every * 60_000) return;
      await writeWhole(checkpoint, await saveRun(run));
      saved = performance.now();
      await signals.check(checkpoint);
    });
  } finally {
    status.clear();
  }
}

/** Whether the run was told to stop. */
interface Signals extends Disposable {
  came(): Promise<boolean>;
  /** Ends the run if so; its checkpoint has been written. */
  check(checkpoint: string): Promise<void>;
}

function listen(): Signals {
  let stopping = false;
  const stop = () => void (stopping = true);
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, stop);
  const came = async () => {
    await new Promise((resolve) => setTimeout(resolve)); // they are delivered between two tasks
    return stopping;
  };
  return {
    came,
    async check(checkpoint) {
      if (await came()) {
        throw new PembrokeError(`stopped; --resume goes on with ${checkpoint}`);
      }
    },
    [Symbol.dispose]() {
      for (const name of names) Deno.removeSignalListener(name, stop);
    },
  };
}

function rowOf(
  { epoch, loss, accuracy, lr }: Progress,
  found: Awaited<ReturnType<typeof validate>>,
  seconds: number,
  images: number,
): LogRow {
  const { loss: valLoss, top1, top5, top1Mirrored } = found;
  const imagesPerSecond = images / seconds;
  const rates = { top1, top5, top1Mirrored };
  return { epoch: epoch + 1, loss, accuracy, valLoss, ...rates, lr, imagesPerSecond, seconds };
}

/** A row for people. */
function rowText({ epoch, loss, accuracy, top1, top5, imagesPerSecond, seconds }: LogRow): string {
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
  const status = new StatusLine(), begun = performance.now();
  const images = await readSheets(folder, classes, {
    size: new AlexNetTiny().preprocessing.crop,
    perClass: perClass || undefined,
    onSheet: (done) => status.show(`reading ${what} images: ${done}/${classes.length} classes`),
  });
  status.clear();
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.error(
    `${images.length} ${what} images of ${classes.length} classes read in ${seconds} s`,
  );
  return images;
}

/** The rows of a log up to an epoch: a run that broke off may have been ahead of its checkpoint. */
async function rowsUntil(path: string, epoch: number): Promise<LogRow[]> {
  const bytes = await readIfThere(path);
  if (!bytes) return [];
  return parseLog(new TextDecoder().decode(bytes), path).filter((row) => row.epoch <= epoch);
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw asFileError(path, error);
  }
}

/** Progress on one line. */
export function progressText(progress: Progress): string {
  const { epoch, epochs, batch, batches, loss, accuracy, imagesPerSecond, secondsLeft } = progress;
  const minutes = Math.floor(secondsLeft / 60), seconds = Math.round(secondsLeft % 60);
  return `epoch ${epoch + 1}/${epochs}, batch ${batch}/${batches}, loss ${loss.toFixed(4)}, ` +
    `accuracy ${(accuracy * 100).toFixed(2)} %, ${imagesPerSecond.toFixed(0)} images/s, ` +
    `${minutes}:${String(seconds).padStart(2, "0")} left`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
