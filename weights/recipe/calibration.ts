/**
 * How well probabilities match the share of right predictions, as a file of tab-separated values.
 *
 * @module
 */

import { FileError } from "../../mod.ts";

/** The number of equal intervals of probability. */
const binCount = 15;

/** The predictions with a probability in an interval. */
export interface Bin {
  /** Their number. */
  readonly images: number;
  /** The sum of their probabilities. */
  readonly confidence: number;
  /** How many of them are right. */
  readonly right: number;
}

/** The intervals of a model with a temperature. */
export interface Calibration {
  readonly temperature: number;
  readonly bins: readonly Bin[];
}

/** Collects predictions in intervals. */
export class Calibrator implements Calibration {
  /** The intervals, from 0 to 1. */
  readonly bins = Array.from({ length: binCount }, () => ({ images: 0, confidence: 0, right: 0 }));

  /** Creates empty intervals. */
  constructor(readonly temperature: number) {}

  /** Adds the most probable class of an image. */
  add(probability: number, isRight: boolean): void {
    const bin = this.bins[Math.min(Math.floor(probability * binCount), binCount - 1)];
    bin.images++;
    bin.confidence += probability;
    bin.right += Number(isRight);
  }
}

/**
 * Returns the expected calibration error (Naeini et al. 2015): the mean difference between the
 * probability and the share of right predictions in each interval, weighted by images.
 */
export function calibrationError({ bins }: Calibration): number {
  const images = bins.reduce((sum, bin) => sum + bin.images, 0);
  return bins.reduce((sum, { confidence, right }) => sum + Math.abs(confidence - right), 0) /
    images;
}

const header = "temperature\tbin\timages\tconfidence\tright";

/** Formats calibrations as the text of a file. */
export function formatCalibration(calibrations: readonly Calibration[]): string {
  const lines = calibrations.flatMap(({ temperature, bins }) =>
    bins.map(({ images, confidence, right }, i) =>
      [temperature, i + 1, images, confidence.toFixed(6), right].join("\t")
    )
  );
  return [header, ...lines, ""].join("\n");
}

/** Parses the text of a file. Throws a {@linkcode FileError}. */
export function parseCalibration(text: string, name: string): Calibration[] {
  const [first, ...lines] = text.trimEnd().split("\n");
  if (first !== header) throw new FileError(name, "is not a calibration table: unexpected columns");
  const found = new Map<number, Bin[]>();
  for (const [i, line] of lines.entries()) {
    const [temperature, bin, images, confidence, right, ...more] = line.split("\t").map(Number);
    const bins = found.get(temperature) ?? [];
    const areCounts = right >= 0 && right <= images && confidence >= 0 && confidence <= images;
    if (!(temperature > 0 && areCounts && bin === bins.length + 1) || more.length > 0) {
      throw new FileError(name, `line ${i + 2} must be a temperature, a bin and three counts`);
    }
    found.set(temperature, [...bins, { images, confidence, right }]);
  }
  return [...found].map(([temperature, bins]) => ({ temperature, bins }));
}
