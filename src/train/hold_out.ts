/**
 * Training a last layer on features that were computed before, and measuring it on samples that were
 * held out.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { RandomGenerator } from "../random.ts";
import type { Judgement } from "./confusion.ts";
import { crossValidate, lowestLoss } from "./cross_validate.ts";
import { shuffledIndices } from "./dataset.ts";
import { type FeatureRows, standardized, statisticsOf, takeRows } from "./feature_rows.ts";
import {
  defaultSteps,
  defaultWeightDecays,
  foldedWeights,
  type HeadValues,
  learningRateFor,
  trainLinears,
  UploadedRows,
} from "./linear_head.ts";

/** What all layers of a run share. */
export interface HeadRun {
  /** Where layers are trained: on Wasm, because they are small. */
  readonly backend: Backend;
  /** Number of classes. */
  readonly classes: number;
  readonly seed: number;
  /** Called after each training run. */
  readonly onTrained?: () => void;
}

/** The rows of photos, and of their mirror images. */
export interface MirroredRows {
  /** The rows of all samples, then those of their mirror images in the same order. */
  readonly rows: FeatureRows;
  /** Number of samples. */
  readonly samples: number;
}

/** A trained layer, for features as the network computes them. */
export interface TrainedHead extends HeadValues {
  /** The weight decay that it was trained with. */
  readonly weightDecay: number;
}

/** What a layer made of a sample that it was not trained on. */
export interface HeldOut extends Judgement {
  /** The index of the sample. */
  readonly index: number;
  /** The probability of the predicted class. */
  readonly probability: number;
}

/** The weight decay where there are too few samples to choose one. */
const defaultDecay = 10;
/** The parts of the cross-validation that chooses the weight decay. */
const innerParts = 5;

/** How often {@linkcode HeadRun.onTrained} is called for a head. Less often with few samples. */
export const trainingsPerHead = innerParts + 1;

/**
 * Chooses a share of each class at random: at least one sample, and never all. None of a class with
 * one sample. Of near copies, it chooses all or none.
 *
 * @param firsts The result of {@linkcode nearCopies}.
 * @returns Whether each sample was chosen.
 */
export function holdOut(
  labels: ArrayLike<number>,
  firsts: Int32Array,
  share: number,
  seed: number,
): boolean[] {
  const byClass = new Map<number, Map<number, number[]>>();
  for (const index of shuffledIndices(firsts.length, new RandomGenerator(seed))) {
    const groups = byClass.get(labels[index]) ?? new Map<number, number[]>();
    const group = groups.get(firsts[index]) ?? [];
    group.push(index);
    groups.set(firsts[index], group);
    byClass.set(labels[index], groups);
  }
  const chosen = new Array<boolean>(firsts.length).fill(false);
  for (const byFirst of byClass.values()) {
    const groups = [...byFirst.values()];
    const largest = groups.reduceRight((a, b) => b.length > a.length ? b : a);
    let rest = Math.max(1, Math.round(share * groups.flat().length));
    for (const group of groups.filter((group) => group !== largest)) {
      if (rest <= 0) break;
      for (const index of group) chosen[index] = true;
      rest -= group.length;
    }
  }
  return chosen;
}

/**
 * Trains a layer on all rows. The weight decay is chosen by cross-validation unless it is given.
 *
 * @throws {PembrokeError} When a weight is not finite.
 */
export async function trainHead(
  run: HeadRun,
  all: MirroredRows,
  weightDecay?: number,
): Promise<TrainedHead> {
  const decay = weightDecay ?? await chooseDecay(run, all), { rows } = all;
  const statistics = statisticsOf(rows), options = optionsOf(run, rows);
  using uploaded = new UploadedRows(run.backend, standardized(rows, statistics), run.seed);
  using linear = await trainLinears(uploaded, { ...options, weightDecays: [decay] });
  run.onTrained?.();
  return { ...await foldedWeights(linear, statistics), weightDecay: decay };
}

/** Trains a layer on some samples, and classifies the others. */
export async function measureHead(
  run: HeadRun,
  all: MirroredRows,
  isHeldOut: (index: number) => boolean,
): Promise<{ head: TrainedHead; heldOut: HeldOut[] }> {
  const head = await trainHead(run, samplesOf(all, (index) => !isHeldOut(index)));
  const indices = Array.from({ length: all.samples }, (_, i) => i).filter(isHeldOut);
  return { head, heldOut: classifyRows(head, takeRows(all.rows, indices), indices) };
}

/** Classifies rows. `indices` are the samples that they belong to. */
function classifyRows(
  { weight, bias }: TrainedHead,
  { values, count, labels }: FeatureRows,
  indices: readonly number[],
): HeldOut[] {
  return indices.map((index, n) => {
    const row = values.subarray(n * count, (n + 1) * count);
    const logits = Array.from(bias, (sum, c) => {
      for (let i = 0; i < count; i++) sum += weight[c * count + i] * row[i];
      return sum;
    });
    const most = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
    return { index, label: labels[n], predicted: logits.indexOf(most), probability: 1 / total };
  });
}

/** The rows of some samples, with their mirror images. */
function samplesOf(
  { rows, samples }: MirroredRows,
  keep: (index: number) => boolean,
): MirroredRows {
  const kept = Array.from({ length: samples }, (_, i) => i).filter(keep);
  const mirrored = kept.map((index) => index + samples);
  return { rows: takeRows(rows, [...kept, ...mirrored]), samples: kept.length };
}

/** The weight decay whose layers have the lowest cross-entropy on samples that they were not trained on. */
async function chooseDecay(run: HeadRun, all: MirroredRows): Promise<number> {
  const { rows, samples } = all;
  if (samples < 2 * innerParts) return defaultDecay;
  const { onTrained = () => {} } = run, pause = async () => {};
  const scores = await crossValidate(
    { ...run, options: optionsOf(run, rows), pause },
    rows,
    { folds: innerParts, samples, weightDecays: defaultWeightDecays },
    onTrained,
  );
  return defaultWeightDecays[lowestLoss(scores)];
}

function optionsOf({ classes, seed }: HeadRun, { count }: FeatureRows) {
  return { classes, lr: learningRateFor(count), steps: defaultSteps, seed };
}
