/** Reports of a classifier's accuracy on labelled photos, as text and as JSON. */

import { confusionMatrix, type Judgement, wilsonInterval } from "../train/confusion.ts";
import { bold } from "./colors.ts";
import { percent } from "./output.ts";
import { tableOf } from "./table.ts";
import { printable } from "./terminal.ts";

/** What a network made of a labelled photo. */
export interface Judged extends Judgement {
  /** The photo's name. */
  readonly name: string;
  /** The probability of the predicted class. */
  readonly probability: number;
  /** Whether the photo's class is one of the five most probable; undefined if not computed. */
  readonly inTop5?: boolean;
}

/** The results of a measurement. */
export interface Report {
  /** The names of the classes. */
  readonly classes: readonly string[];
  /** The indices of the classes that photos have; others are only predicted. */
  readonly present: readonly number[];
  readonly photos: number;
  readonly right: number;
  readonly accuracy: number;
  /** The 95 % interval of the accuracy. */
  readonly interval: readonly [low: number, high: number];
  /** Undefined if not computed, or for five classes or fewer. */
  readonly top5?: number;
  /** Rows: the classes present. Columns: the classes present, then all others together. */
  readonly confusion: readonly (readonly number[])[];
  /** Photos with a wrong class, the most probable ones first. */
  readonly mistakes: readonly Judged[];
}

/** Tables of more classes are hard to read. */
const maxTableClasses = 12;
/** With more classes, the head of a table has numbers instead of names. */
const maxNamedColumns = 4;
/** Mistakes and pairs of classes in a text. */
const maxLines = 10;

/** Measures the accuracy of judgements, of which there is at least one. */
export function reportOf(judged: readonly Judged[], classes: readonly string[]): Report {
  const present = [...new Set(judged.map(({ label }) => label))].sort((a, b) => a - b);
  const column = new Map(present.map((label, i) => [label, i]));
  const inTable = judged.map(({ label, predicted }) => ({
    label: column.get(label)!,
    predicted: column.get(predicted) ?? present.length,
  }));
  const right = judged.filter(({ label, predicted }) => label === predicted).length;
  const hasTop5 = classes.length > 5 && judged.every(({ inTop5 }) => inTop5 !== undefined);
  return {
    classes,
    present,
    photos: judged.length,
    right,
    accuracy: right / judged.length,
    interval: wilsonInterval(right, judged.length),
    ...hasTop5 && { top5: judged.filter(({ inTop5 }) => inTop5).length / judged.length },
    confusion: confusionMatrix(inTable, present.length + 1).slice(0, -1),
    mistakes: judged.filter(({ label, predicted }) => label !== predicted)
      .toSorted((a, b) => b.probability - a.probability || (a.name < b.name ? -1 : 1)),
  };
}

/** "95.83 % (46 of 48 photos; 95 % interval 86.02 to 98.85 %)" */
export function accuracyText({ accuracy, right, photos, interval }: Report): string {
  const [low, high] = interval.map((share) => (share * 100).toFixed(1));
  return `${percent(accuracy)} (${right} of ${photos} photos; 95 % interval ${low} to ${high} %)`;
}

/**
 * The accuracy, the confusion and the worst mistakes as text.
 *
 * @param columns The width of the terminal.
 */
export function reportText(report: Report, columns = Infinity): string {
  const { top5, mistakes, classes } = report;
  const lines = [bold(`accuracy ${accuracyText(report)}`)];
  if (top5 !== undefined) lines.push(`one of the five most probable: ${percent(top5)}`);
  lines.push("", ...tableIfFits(report, columns) ?? pairsOf(report));
  if (mistakes.length > 0) {
    const more = mistakes.length - maxLines;
    const rest = more > 0 ? ` (and ${more} more)` : "";
    lines.push("", `worst mistakes, the most certain first${rest}:`);
    for (const { name, predicted, probability } of mistakes.slice(0, maxLines)) {
      lines.push(`  ${printable(name)}: ${printable(classes[predicted])} ${percent(probability)}`);
    }
  }
  return lines.join("\n");
}

/** The first of the names that commas separate in a label. */
export function firstName(label: string): string {
  return label.split(",")[0];
}

/** Shortens a label to fit into a table. */
function short(label: string): string {
  const characters = [...printable(firstName(label))];
  const isLong = characters.length > 16;
  return isLong ? `${characters.slice(0, 15).join("")}…` : characters.join("");
}

/** The number of photos and the right ones of each class present. */
export function perClass({ confusion }: Report): { photos: number; right: number }[] {
  return confusion.map((row, i) => ({ photos: row.reduce((a, b) => a + b, 0), right: row[i] }));
}

/** The confusion as a table, with the names of classes above it or numbers; undefined if it is too wide. */
function tableIfFits(report: Report, columns: number): string[] | undefined {
  const count = report.present.length;
  if (count > maxTableClasses) return undefined;
  const fits = (lines: readonly string[]) => lines.every(({ length }) => length <= columns);
  const named = count <= maxNamedColumns ? confusionLines(report, false) : undefined;
  const lines = named && fits(named) ? named : confusionLines(report, true);
  if (!fits(lines)) return undefined;
  return ["photos of each class (rows), and what they were taken for (columns):", ...lines];
}

/**
 * Rows are classes, columns what their photos were taken for.
 *
 * @param isNumbered Whether the head has the numbers of classes, not their names.
 */
function confusionLines(report: Report, isNumbered: boolean): readonly string[] {
  const { classes, present, confusion } = report;
  const hasOthers = confusion.some((row) => row[present.length] > 0);
  const names = present.map((label) => short(classes[label]));
  const columns = present.length + Number(hasOthers), counts = perClass(report);
  const head = [
    "class",
    ...isNumbered ? names.map((_, i) => String(i + 1)) : names,
    ...hasOthers ? ["others"] : [],
    "right",
  ];
  const rows = confusion.map((row, i) => [
    isNumbered ? `${i + 1} ${names[i]}` : names[i],
    ...row.slice(0, columns).map(String),
    percent(counts[i].right / counts[i].photos),
  ]);
  return tableOf([head, ...rows], { numbers: [...head.keys()].slice(1) }).lines;
}

/** The pairs of classes that are confused most often. */
function pairsOf({ mistakes, classes }: Report): string[] {
  const counts = new Map<string, number>();
  for (const { label, predicted } of mistakes) {
    const pair = `${printable(classes[label])} taken for ${printable(classes[predicted])}`;
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  if (sorted.length === 0) return ["no mistakes"];
  const lines = sorted.slice(0, maxLines).map(([pair, count]) => `  ${count}× ${pair}`);
  return ["most frequent mistakes:", ...lines];
}

/** The report as `--json` prints it. */
export function reportJson(report: Report): Record<string, unknown> {
  const { classes, present, photos, accuracy, interval, top5, confusion, mistakes } = report;
  const nameOf = (label: number) => classes[label];
  return {
    photos,
    accuracy,
    interval,
    ...top5 !== undefined && { top5 },
    classes: perClass(report).map((counts, i) => ({ name: nameOf(present[i]), ...counts })),
    confusion: confusion.flatMap((row, i) =>
      row.flatMap((count, j) =>
        count === 0
          ? []
          : [{ class: nameOf(present[i]), predicted: nameOf(present[j]) ?? "others", count }]
      )
    ),
    mistakes: mistakes.map(({ name, label, predicted, probability }) => ({
      file: name,
      class: nameOf(label),
      predicted: nameOf(predicted),
      probability,
    })),
  };
}
