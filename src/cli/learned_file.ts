/** Writes what learn has learned as a file that describes itself. */

import type { Classifier } from "../models/mod.ts";
import { saveModel } from "../models/save_model.ts";
import type { TrainedHead } from "../train/hold_out.ts";
import { storedTypes } from "../weights/stored.ts";
import type { LearnArgs } from "./args_learn.ts";
import type { PhotosToLearn } from "./learn_folders.ts";
import { megabytes } from "./output.ts";
import { writeBytes } from "./outputs.ts";
import type { Report } from "./report.ts";

/** What a file says about how it was made. */
export interface Origin {
  readonly args: LearnArgs;
  /** The network that learning started from. */
  readonly base: { readonly network: string; readonly sha256: string };
  readonly photos: PhotosToLearn;
  readonly head: TrainedHead;
  /** Whether the other layers were trained, too. */
  readonly isTuned: boolean;
  /** Undefined if nothing could be measured. */
  readonly report?: Report;
}

/** Writes the file, and returns a line about it. */
export async function writeLearned(model: Classifier, origin: Origin): Promise<string> {
  const { output, precision, headOnly } = origin.args;
  const dtype = storedTypes[precision];
  const metadata = { learned: describe(origin) };
  const bytes = await saveModel(model, { dtype, metadata, headOnly });
  await writeBytes(output, bytes);
  const size = headOnly ? `only the last layer, ${bytes.length} bytes` : megabytes(bytes.length);
  return `${output}: ${model.numClasses} classes, ${precision}, ${size}`;
}

/** How the file was made, without times and paths: the same seed gives the same text. */
function describe(
  { args, base, photos: { classes, photos }, head, isTuned, report }: Origin,
): string {
  const { seed, holdout, val, folds, fineTune, epochs } = args;
  const trained = photos.filter(({ isHeld }) => !isHeld);
  const countOf = (index: number) => trained.filter(({ label }) => label === index).length;
  const measure = val !== undefined ? "validation folder" : folds ? { folds } : { holdout };
  return JSON.stringify({
    base,
    photos: Object.fromEntries(classes.map((name, i) => [name, countOf(i)])),
    options: { seed, weightDecay: head.weightDecay, ...isTuned && { fineTune, epochs } },
    ...report && {
      accuracy: report.accuracy,
      interval: report.interval,
      measured: { photos: report.photos, on: measure },
    },
  });
}
