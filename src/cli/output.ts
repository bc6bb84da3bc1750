/** Formats results as text. */

import type { ModelSummary, Prediction } from "../models/mod.ts";
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

/** A result as text: the input's name, then a line with a bar for each class. */
export function resultText({ input, predictions }: Omit<Classification, "timings">): string {
  const percents = predictions.map(({ probability }) => percent(probability));
  const width = Math.max(8, ...percents.map((text) => text.length));
  const lines = predictions.map(({ probability, label }, i) =>
    // labels may come from an untrusted weights file
    `  ${percents[i].padStart(width)}  ${cyan(bar(probability))}  ${printable(label)}`
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

/**
 * A model's layers as a table, with totals. If there are branches, a column lists the inputs of each
 * layer, unless it takes the output of the previous layer.
 *
 * @param columns The width of the terminal. The column of inputs is left out if it does not fit.
 */
export function summaryText(summary: ModelSummary, columns = Infinity): string {
  const hasBranches = summary.layers.some(({ inputs }) => inputs);
  const lines = summaryLines(summary, hasBranches);
  const fits = !hasBranches || lines.every(({ length }) => length <= columns);
  const [first, ...more] = fits ? lines : summaryLines(summary, false);
  const { lastLayer, inputShape } = summary;
  return [
    bold(`${summary.model}, input ${sampleText(inputShape.slice(1))}`),
    first,
    ...more.slice(0, -1),
    bold(more.at(-1)!),
    ...(lastLayer
      ? [
        `last layer ${lastLayer.name}: ${lastLayer.inFeatures} → ${lastLayer.outFeatures} features`,
      ]
      : []),
    ...(fits ? [] : ["a wider terminal also shows the inputs of each layer"]),
  ].join("\n");
}

function summaryLines(summary: ModelSummary, hasInputs: boolean): string[] {
  const number = (value: number) => value.toLocaleString("en-US");
  const rows = summary.layers.map(({ name, type, inputs = [], outputShape, parameters, macs }) => [
    name,
    type,
    ...(hasInputs ? [inputs.join(", ")] : []),
    sampleText(outputShape.slice(1)),
    parameters > 0 ? number(parameters) : "",
    macs > 0 ? number(macs) : "",
  ]);
  const totals = [number(summary.parameters), number(summary.macs)];
  const head = ["layer", "type", ...(hasInputs ? ["inputs"] : []), "output"];
  return aligned(
    [
      [...head, "parameters", "multiply-adds"],
      ...rows,
      ["total", ...head.slice(1).map(() => ""), ...totals],
    ],
    (column) => column >= head.length,
  );
}

/** The shape of a sample, "3×224×224"; "1" without axes, for a single value. */
export function sampleText(shape: Shape): string {
  return shape.join("×") || "1";
}

/** Formats rows as lines with aligned columns; numbers align right. */
export function aligned(
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean,
): string[] {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) =>
    row.map((cell, i) => isNumber(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))
      .join("  ").trimEnd()
  );
}

/** "61.2 MB" */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
