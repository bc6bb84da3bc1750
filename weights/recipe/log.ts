/**
 * The training log: a line of tab-separated numbers for each epoch.
 *
 * @module
 */

import { FileError } from "../../mod.ts";

/** An epoch; shares and losses as in the file, `epoch` from 1. */
export interface LogRow {
  /** Epochs done. */
  readonly epoch: number;
  /** Mean loss over the epoch's augmented images, label smoothing included. */
  readonly loss: number;
  /** Share of them classified right. */
  readonly accuracy: number;
  /** Mean loss over the validation images, without smoothing. */
  readonly valLoss: number;
  /** Share of validation images whose class was found most probable. */
  readonly top1: number;
  /** … whose class was among the five most probable. */
  readonly top5: number;
  /** As top1, when each image is also shown mirrored. */
  readonly top1Mirrored: number;
  /** The last step's learning rate. */
  readonly lr: number;
  /** Training images a second. */
  readonly imagesPerSecond: number;
  /** Seconds of training. */
  readonly seconds: number;
}

/** A column's name, its field, and the digits behind the point. */
const columns: readonly (readonly [string, keyof LogRow, number])[] = [
  ["epoch", "epoch", 0],
  ["loss", "loss", 5],
  ["accuracy", "accuracy", 5],
  ["val_loss", "valLoss", 5],
  ["val_top1", "top1", 4],
  ["val_top5", "top5", 4],
  ["val_top1_mirrored", "top1Mirrored", 4],
  ["lr", "lr", 6],
  ["images_per_second", "imagesPerSecond", 1],
  ["seconds", "seconds", 0],
];

/** The log as a file's text. */
export function formatLog(rows: readonly LogRow[]): string {
  const lines = rows.map((row) =>
    columns.map(([, field, digits]) => row[field].toFixed(digits)).join("\t")
  );
  return [columns.map(([name]) => name).join("\t"), ...lines, ""].join("\n");
}

/** The rows of a log. */
export function parseLog(text: string, name: string): LogRow[] {
  const [header, ...lines] = text.trimEnd().split("\n");
  if (header !== formatLog([]).trimEnd()) {
    throw new FileError(name, "is no training log: its first line names other columns");
  }
  return lines.map((line, i) => {
    const values = line.split("\t").map(Number);
    if (values.length !== columns.length || values.some(Number.isNaN)) {
      throw new FileError(name, `line ${i + 2} is not ${columns.length} numbers`);
    }
    return Object.fromEntries(
      columns.map(([, field], c) => [field, values[c]]),
    ) as unknown as LogRow;
  });
}
