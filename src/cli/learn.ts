/** `cli.ts learn`: learns new classes from folders of photos. */

import { createBackend } from "../backend/mod.ts";
import { findCatalogueEntry } from "../hub/catalogue.ts";
import { isNetworkName } from "../models/registry.ts";
import { partsOf } from "../train/cross_validate.ts";
import type { HeadRun, MirroredRows, TrainedHead } from "../train/hold_out.ts";
import { holdOut, measureHead, trainHead, trainingsPerHead } from "../train/hold_out.ts";
import { writeHead } from "../train/linear_head.ts";
import { type FeatureRows, takeRows } from "../train/feature_rows.ts";
import { nearCopies, seriesOf } from "../train/near_copies.ts";
import type { ModelOptions } from "./args.ts";
import type { LearnArgs } from "./args_learn.ts";
import { type Device, openModel } from "./device.ts";
import { UsageError } from "./errors.ts";
import type { Tuner, TunerOptions } from "./fine_tune.ts";
import { writeLearned } from "./learned_file.ts";
import { checkClasses, checkFolds, foldersToLearn, type PhotosToLearn } from "./learn_folders.ts";
import type { SelectedModel } from "./model.ts";
import { checkDiffers, checkOutput } from "./outputs.ts";
import { hashPhotos, photoFeatures, rowsOf } from "./photo_features.ts";
import { Progress } from "./progress.ts";
import { type Judged, type Report, reportOf, reportText } from "./report.ts";
import { columnsForResults, note, plural, print, printIfRead, warn } from "./terminal.ts";
import { weightsDigest } from "./weights_digest.ts";

/** Learns the classes, prints a report, writes the file, and returns the exit code. */
export async function learn(args: LearnArgs): Promise<number> {
  const start = performance.now(), { output, quiet } = args;
  await checkOutput(output);
  const folders = await foldersToLearn(args);
  const options = modelOptions(args);
  for (const file of args.headOnly ? [options.weights, options.base] : []) {
    if (file === undefined) continue;
    await checkDiffers("--output", output, file, "the network that the layer needs");
  }
  using opened = await openModel(options, "auto", { hashes: true });
  const { device, selected } = opened, { model } = selected;
  await checkNetwork(args, selected);
  await device.prepare();
  const sha256 = await weightsDigest(selected);

  const hashed = await hashPhotos(folders.photos, folders.classes, quiet);
  const read = await photoFeatures(hashed, model, device, { weights: sha256, quiet });
  const photos = checkClasses(args, { classes: folders.classes, photos: read });
  checkFolds(args.folds, photos.photos.length); // checked now: copies and unreadable photos are left out
  const tuner = args.fineTune === 0
    ? undefined
    : await startTuner({ model, device, photos, args, base: sha256 });
  const { featureCount } = model;
  const learned = await learnHead(photos, featureCount, device, args, tuner);
  const { head, report, both, isTuned } = learned;
  if (report) printIfRead(reportText(report, columnsForResults()));
  else if (!quiet) warn("too few photos to measure the accuracy");
  if (both && !quiet) note(comparison(both));
  if (!tuner) {
    model.replaceHead(photos.classes);
    writeHead(model, head);
  } else if (!isTuned) tuner.reset(head);
  const base = { network: selected.name, sha256 };
  const line = await writeLearned(model, { args, base, photos, head, isTuned, report });
  const seconds = (performance.now() - start) / 1000;
  if (!quiet) print(`${line}, ${seconds.toFixed(1)} s`);
  return 0;
}

/** Throws if the network cannot be saved or fine-tuned as the options say. */
async function checkNetwork(
  { fineTune, headOnly }: LearnArgs,
  { model, weights }: SelectedModel,
): Promise<void> {
  if (model.network === undefined && !headOnly) {
    const instead = fineTune === 0 ? "add --head-only" : "use --head-only, not --fine-tune";
    throw new UsageError(
      `${weights} is an ONNX network, of which only a new layer can be saved: ${instead}`,
    );
  }
  if (fineTune === 0) return;
  const { checkBlocks } = await import("./fine_tune.ts");
  checkBlocks(model, fineTune);
}

async function startTuner(options: TunerOptions): Promise<Tuner> {
  const { Tuner } = await import("./fine_tune.ts");
  return await Tuner.prepare(options);
}

/** The options of the network to start from, in float32: others cannot be trained or saved. */
function modelOptions({ from, base, backend, offline, quiet, verbose }: LearnArgs): ModelOptions {
  const isName = from !== undefined && (isNetworkName(from) || findCatalogueEntry(from));
  return {
    ...isName ? { model: from } : { weights: from },
    base,
    precision: "f32",
    backend,
    offline,
    quiet,
    verbose,
  };
}

/** What was learned, and how good it is. */
interface LearnedHead {
  readonly head: TrainedHead;
  /** Whether the network is fine-tuned. Otherwise, it is the original one. */
  readonly isTuned: boolean;
  /** Undefined if nothing could be measured. */
  readonly report?: Report;
  /** The reports of the new last layer alone, and of the fine-tuned network, if both were measured. */
  readonly both?: { readonly alone: Report; readonly tuned: Report };
}

/**
 * Measures a new last layer on photos that it was not trained on, and trains the one to keep. A
 * fine-tuned network is kept if it is at least as good.
 */
async function learnHead(
  { classes, photos }: PhotosToLearn,
  count: number,
  { backend }: Device,
  args: LearnArgs,
  tuner: Tuner | undefined,
): Promise<LearnedHead> {
  const { folds, seed, quiet } = args;
  const all = { rows: rowsOf(photos, count), samples: photos.length };
  const hasFolder = photos.some(({ isHeld }) => isHeld);
  const firsts = await nearCopies(all.rows, all.samples);
  if (!quiet && hasFolder) tellKnown(photos, firsts);
  else if (!quiet) tellCopies(classes, takeRows(all.rows, [...photos.keys()]), firsts);
  const rounds = roundsOf(photos, firsts, args);
  using own = backend.device === "wasm" ? undefined : await createBackend({ device: "wasm" });
  using progress = new Progress("training", !quiet);
  let done = 0;
  const total = trainingsPerHead * (rounds.length + Number(!hasFolder));
  const run: HeadRun = {
    backend: own ?? backend,
    classes: classes.length,
    seed,
    onTrained: () => progress.update(++done, total),
  };
  const measured = await measureRounds(rounds, run, all, photos, tuner);
  const [alone, tuned] = [measured.judged, measured.judgedTuned].map((each) =>
    each.length > 0 ? reportOf(each, classes) : undefined
  );
  let { head } = measured;
  const isTuned = tuner !== undefined && !(alone && tuned && tuned.accuracy < alone.accuracy);
  // one choice serves both; of several, none is better than the others
  const decay = folds === undefined ? head?.weightDecay : undefined;
  if (!head || !hasFolder) {
    head = await trainHead(run, all, decay);
    if (isTuned) await tuner.train(head, () => false);
  }
  const both = alone && tuned ? { alone, tuned } : undefined;
  return { head, isTuned, report: isTuned ? tuned ?? alone : alone, both };
}

/** What all rounds together found. */
interface Measured {
  /** The last layer of the last round. */
  readonly head: TrainedHead | undefined;
  readonly judged: readonly Judged[];
  /** By the fine-tuned networks. */
  readonly judgedTuned: readonly Judged[];
}

/** In each round, trains on some photos, and classifies the others. */
async function measureRounds(
  rounds: readonly IsHeldOut[],
  run: HeadRun,
  all: MirroredRows,
  photos: PhotosToLearn["photos"],
  tuner: Tuner | undefined,
): Promise<Measured> {
  const judged: Judged[] = [], judgedTuned: Judged[] = [];
  let head: TrainedHead | undefined;
  for (const isHeldOut of rounds) {
    const measured = await measureHead(run, all, isHeldOut);
    head = measured.head;
    for (const held of measured.heldOut) judged.push({ ...held, name: photos[held.index].name });
    const tuned = tuner ? await tuner.measure(head, isHeldOut) : [];
    for (const one of tuned) judgedTuned.push(one);
  }
  return { head, judged, judgedTuned };
}

/** Whether a photo, by its index, is held out of a training: it is measured on instead. */
type IsHeldOut = (index: number) => boolean;

/** What each measurement holds out: the photos of `--val`, a share of each class, or a fold. */
function roundsOf(
  photos: PhotosToLearn["photos"],
  firsts: Int32Array,
  { holdout, folds, seed }: LearnArgs,
): IsHeldOut[] {
  if (photos.some(({ isHeld }) => isHeld)) return [(index) => photos[index].isHeld === true];
  const labels = photos.map(({ label }) => label);
  if (folds === undefined) {
    const chosen = holdOut(labels, firsts, holdout, seed);
    return chosen.includes(true) ? [(index) => chosen[index]] : [];
  }
  const different = new Map<number, number>(); // photos of each class, near copies left out
  for (const first of new Set(firsts)) {
    different.set(labels[first], (different.get(labels[first]) ?? 0) + 1);
  }
  // a class of one photo is not measured: a layer that has not learned it is always wrong
  const parts = partsOf(labels, firsts, folds, seed)
    .map((part, i) => different.get(labels[i])! > 1 ? part : -1);
  const measured = [...new Set(parts)].filter((part) => part >= 0).sort((a, b) => a - b);
  return measured.map((part) => (index) => parts[index] === part);
}

/** Warns about photos of `--val` that are near copies of learned ones. */
function tellKnown(photos: PhotosToLearn["photos"], firsts: Int32Array): void {
  const learned = new Set(firsts.filter((_, i) => !photos[i].isHeld));
  const known = photos.filter(({ isHeld }, i) => isHeld && learned.has(firsts[i])).length;
  if (known === 0) return;
  warn(
    `${plural(known, "photo")} to measure on ${
      known === 1 ? "is" : "are"
    } nearly equal to learned ones; ` +
      "the accuracy is too high",
  );
}

/** Says how many photos are near copies of others, and which classes have nothing else. */
function tellCopies(classes: readonly string[], rows: FeatureRows, firsts: Int32Array): void {
  const copies = firsts.filter((first, i) => first !== i).length;
  if (copies > 0) {
    const photos = `${plural(copies, "photo")} ${copies === 1 ? "is" : "are"}`;
    note(`${photos} nearly equal to others of the class; such photos are held out together`);
  }
  for (const label of seriesOf(rows)) {
    const name = JSON.stringify(classes[label]);
    warn(`all photos of ${name} are nearly equal; the accuracy measured on them is too high`);
  }
}

/** A line about what fine-tuning changed. */
function comparison({ alone, tuned }: Required<LearnedHead>["both"]): string {
  const kept = tuned.accuracy < alone.accuracy ? "the last layer alone" : "the fine-tuned network";
  return `${alone.right} of ${alone.photos} photos right with the last layer alone, ` +
    `${tuned.right} with fine-tuning; kept ${kept}`;
}
