/**
 * Cross-validation of linear layers on features.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { PembrokeError } from "../errors.ts";
import type { Linear } from "../layers/linear.ts";
import { RandomGenerator } from "../random.ts";
import { confusionMatrix, type Judgement } from "./confusion.ts";
import { shuffledIndices } from "./dataset.ts";
import { type FeatureRows, standardized, statisticsOf, takeRows } from "./feature_rows.ts";
import { nearCopies } from "./near_copies.ts";
import { type LinearOptions, trainLinears, UploadedRows } from "./linear_head.ts";

/** What was measured for held-out samples. */
export interface Score {
  readonly loss: number;
  readonly correct: number;
  readonly confusion: readonly (readonly number[])[];
}

/** What all training runs of a cross-validation share. */
export interface Run {
  readonly backend: Backend;
  readonly classes: number;
  readonly seed: number;
  readonly options: Omit<LinearOptions, "weightDecays">;
  pause(): Promise<void>;
}

/** The settings of a cross-validation. */
interface CrossValidation {
  readonly folds: number;
  /** Number of samples. Rows after these are mirror images, in the same order. */
  readonly samples: number;
  readonly weightDecays: readonly number[];
}

/** Measures each weight decay on parts of the samples that the layer was not trained on. */
export async function crossValidate(
  run: Run,
  rows: FeatureRows,
  { folds, samples, weightDecays }: CrossValidation,
  onPart: () => void,
): Promise<readonly Score[]> {
  const firsts = await nearCopies(rows, samples, run.pause);
  const parts = partsOf(rows.labels, firsts, folds, run.seed);
  const all: Score[][] = weightDecays.map(() => []);
  for (let part = 0; part < folds; part++) {
    if (!parts.includes(part)) { // there are fewer groups of near copies than parts
      onPart();
      continue;
    }
    const indices = Array.from(rows.labels.keys());
    const training = takeRows(rows, indices.filter((i) => parts[i % samples] !== part));
    const heldOut = takeRows(rows, indices.filter((i) => i < samples && parts[i] === part));
    const statistics = statisticsOf(training), held = standardized(heldOut, statistics);
    using uploaded = new UploadedRows(run.backend, standardized(training, statistics), run.seed);
    using linear = await trainLinears(uploaded, { ...run.options, weightDecays }, run.pause);
    for (const [i, score] of (await scoresOf(run, linear, held)).entries()) all[i].push(score);
    onPart();
  }
  return all.map((scores): Score => ({
    loss: scores.reduce((sum, { loss, confusion }) => sum + loss * total(confusion), 0) / samples,
    correct: scores.reduce((sum, { correct }) => sum + correct, 0),
    confusion: scores.map(({ confusion }) => confusion).reduce((a, b) =>
      a.map((row, i) => row.map((value, j) => value + b[i][j]))
    ),
  }));
}

/**
 * Returns the index of the score with the lowest loss, which is less noisy than the number of correct
 * samples.
 *
 * @throws {PembrokeError} When no loss is finite.
 */
export function lowestLoss(scores: readonly Score[]): number {
  const lowest = Math.min(...scores.map(({ loss }) => loss).filter(Number.isFinite));
  if (Number.isFinite(lowest)) return scores.findIndex(({ loss }) => loss === lowest);
  throw new PembrokeError("fit: no weight decay gives a finite loss; pass smaller weightDecays");
}

function total(confusion: Score["confusion"]): number {
  return confusion.flat().reduce((a, b) => a + b, 0);
}

/**
 * Deals the samples of each class out to parts of about the same size. Near copies are in the same part,
 * so some parts may be empty.
 *
 * @param firsts The result of {@linkcode nearCopies}.
 * @returns The part of each sample.
 */
export function partsOf(
  labels: ArrayLike<number>,
  firsts: Int32Array,
  folds: number,
  seed: number,
): Int32Array {
  const order = [...shuffledIndices(firsts.length, new RandomGenerator(seed))]
    .filter((i) => firsts[i] === i).sort((a, b) => labels[a] - labels[b]); // stable
  const parts = new Int32Array(firsts.length), sizes = new Int32Array(firsts.length);
  for (const first of firsts) sizes[first]++;
  const all = new Int32Array(folds), ofClass = new Int32Array(folds);
  for (const [i, first] of order.entries()) {
    if (i > 0 && labels[first] !== labels[order[i - 1]]) ofClass.fill(0);
    let least = 0; // the part with the fewest samples of the class; of equal ones, the smallest part
    for (let part = 1; part < folds; part++) {
      if ((ofClass[part] - ofClass[least] || all[part] - all[least]) < 0) least = part;
    }
    ofClass[least] += sizes[first];
    all[least] += sizes[first];
    parts[first] = least;
  }
  return firsts.map((first) => parts[first]);
}

/** Measures each of the layers that {@linkcode trainLinears} has put into one `Linear`. */
export async function scoresOf(run: Run, linear: Linear, rows: FeatureRows): Promise<Score[]> {
  const { backend, classes } = run, { values, count, labels } = rows, { outFeatures } = linear;
  using x = backend.upload(values, [labels.length, count]), y = linear.forward(x);
  const logits = await y.read();
  return Array.from({ length: outFeatures / classes }, (_, layer) => {
    const judgements: Judgement[] = [];
    let loss = 0;
    for (const [i, label] of labels.entries()) {
      const start = i * outFeatures + layer * classes;
      const row = logits.subarray(start, start + classes);
      const largest = row.reduce((a, b) => Math.max(a, b));
      loss += Math.log(row.reduce((sum, v) => sum + Math.exp(v - largest), 0)) + largest -
        row[label];
      const predicted = row.indexOf(largest);
      if (predicted >= 0) judgements.push({ label, predicted }); // else NaN, and so is the loss
    }
    return {
      loss: loss / labels.length,
      correct: judgements.filter(({ label, predicted }) => label === predicted).length,
      confusion: confusionMatrix(judgements, classes),
    };
  });
}
