/**
 * What an evaluation found: a line of tab-separated values for each class.
 *
 * @module
 */

import { FileError } from "../../mod.ts";

/** How many images of a class were there, and how many of them were recognised. */
export interface ClassResult {
  readonly wnid: string;
  readonly label: string;
  /** Images of the class. */
  readonly count: number;
  /** … for which it was found most probable. */
  readonly top1: number;
  /** … for which it was among the five most probable. */
  readonly top5: number;
}

const header = "wnid\tlabel\timages\ttop1\ttop5";

/** The counts of all classes together. */
export function sums(results: readonly ClassResult[]): Omit<ClassResult, "wnid" | "label"> {
  const sum = (of: (result: ClassResult) => number) =>
    results.reduce((sum, result) => sum + of(result), 0);
  return { count: sum((r) => r.count), top1: sum((r) => r.top1), top5: sum((r) => r.top5) };
}

/** The results as a file's text. */
export function formatAccuracy(results: readonly ClassResult[]): string {
  const lines = results.map(({ wnid, label, count, top1, top5 }) =>
    [wnid, label, count, top1, top5].join("\t")
  );
  return [header, ...lines, ""].join("\n");
}

/** The results in a file. */
export function parseAccuracy(text: string, name: string): ClassResult[] {
  const [first, ...lines] = text.trimEnd().split("\n");
  if (first !== header) throw new FileError(name, "its first line names other columns");
  return lines.map((line, i) => {
    const [wnid, label, ...rest] = line.split("\t"), [count, top1, top5] = rest.map(Number);
    if (rest.length === 3 && 0 <= top1 && top1 <= top5 && top5 <= count) {
      return { wnid, label, count, top1, top5 };
    }
    throw new FileError(name, `line ${i + 2} is not a class and three counts`);
  });
}
