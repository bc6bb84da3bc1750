/**
 * The training log, a file of tab-separated values with a line for each epoch.
 *
 * @module
 */

import { FileError } from "../../mod.ts";

/** An epoch in the log. Accuracies are from 0 to 1. */
export interface LogRow {
  /** The epoch, from 1. */
  readonly epoch: number;
  /** Height and width of the training images. */
  readonly side: number;
  /** Mean training loss, on augmented images and with label smoothing. */
  readonly loss: number;
  /** Training accuracy, on augmented images. */
  readonly accuracy: number;
  /** Mean validation loss, without label smoothing. */
  readonly valLoss: number;
  /** Top-1 validation accuracy. */
  readonly top1: number;
  /** Top-5 validation accuracy. */
  readonly top5: number;
  /** Learning rate of the last step. */
  readonly lr: number;
  /** Training images per second. */
  readonly imagesPerSecond: number;
  /** Seconds of training. */
  readonly seconds: number;
}

/** The columns: name, field and number of decimals. */
const columns: readonly (readonly [string, keyof LogRow, number])[] = [
  ["epoch", "epoch", 0],
  ["side", "side", 0],
  ["loss", "loss", 5],
  ["accuracy", "accuracy", 5],
  ["val_loss", "valLoss", 5],
  ["val_top1", "top1", 4],
  ["val_top5", "top5", 4],
  ["lr", "lr", 6],
  ["images_per_second", "imagesPerSecond", 1],
  ["seconds", "seconds", 0],
];

/** Formats a log as the text of a file. */
export function formatLog(rows: readonly LogRow[]): string {
  const lines = rows.map((row) =>
    columns.map(([, field, digits]) => row[field].toFixed(digits)).join("\t")
  );
  return [columns.map(([name]) => name).join("\t"), ...lines, ""].join("\n");
}

/** Parses the text of a log. Throws a {@linkcode FileError}. */
export function parseLog(text: string, name: string): LogRow[] {
  const [header, ...lines] = text.trimEnd().split("\n");
  if (header !== formatLog([]).trimEnd()) {
    throw new FileError(name, "is not a training log: unexpected columns");
  }
  return lines.map((line, i) => {
    const values = line.split("\t").map(Number);
    if (values.length !== columns.length || values.some(Number.isNaN)) {
      throw new FileError(name, `line ${i + 2} must have ${columns.length} numbers`);
    }
    return Object.fromEntries(
      columns.map(([, field], c) => [field, values[c]]),
    ) as unknown as LogRow;
  });
}
