/** Formats results as text. */

import type { Prediction } from "../models/mod.ts";
import type { Shape } from "../tensor.ts";
import { bold, cyan } from "./colors.ts";
import { printable } from "./terminal.ts";

/** Milliseconds per stage. Decoding includes reading the file; inference is the batch's time per image. */
export interface Timings {
  readonly decodeMs: number;
  readonly preprocessMs: number;
  readonly inferenceMs: number;
}

/** The result of one image, as JSON has it. */
export type Result = Classification | { readonly input: string; readonly error: string };

/** The classes of an image. */
interface Classification {
  readonly input: string;
  readonly predictions: readonly Prediction[];
  readonly timings: Timings;
}

/** Characters of a bar for 100 %. */
const barWidth = 20;
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** Narrower terminals have no room for bars beside the names of classes. */
const leastColumns = 60;

/**
 * A result as text: the input's name, then a line with a bar for each class.
 *
 * @param columns The width of the terminal.
 */
export function resultText(
  { input, predictions }: Omit<Classification, "timings">,
  columns = Infinity,
): string {
  const barText = (fraction: number) => columns < leastColumns ? "" : `${cyan(bar(fraction))}  `;
  const percents = predictions.map(({ probability }) => percent(probability));
  const width = Math.max(8, ...percents.map((text) => text.length));
  const lines = predictions.map(({ probability, label }, i) =>
    // labels may come from an untrusted weights file
    `  ${percents[i].padStart(width)}  ${barText(probability)}${printable(label)}`
  );
  return [bold(printable(input)), ...lines].join("\n");
}

/** A fraction as a bar of fixed width. */
export function bar(fraction: number): string {
  const steps = Math.round(fraction * barWidth * 8);
  return ("█".repeat(steps >> 3) + eighths[steps & 7]).padEnd(barWidth);
}

/** A fraction as "89.19 %"; small ones keep two significant digits, down to 0.0001 %. */
export function percent(fraction: number): string {
  const value = fraction * 100;
  if (value > 0 && value < 0.0001) return "<0.0001 %";
  return `${value >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2)} %`;
}

/** The timings of an image as text. */
export function timingsText({ input, timings }: Classification): string {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const { decodeMs, preprocessMs, inferenceMs } = timings;
  return `${input}: decode ${ms(decodeMs)}, preprocess ${ms(preprocessMs)}, ` +
    `inference ${ms(inferenceMs)}`;
}

/** The shape of a sample, "3×224×224"; "1" without axes, for a single value. */
export function sampleText(shape: Shape): string {
  return shape.join("×") || "1";
}

/** "61.2 MB" */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
