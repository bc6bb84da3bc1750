/**
 * The accuracy of each class, as a file of tab-separated values.
 *
 * @module
 */

import { FileError } from "../../mod.ts";

/** The accuracy of a class, in numbers of images. */
export interface ClassResult {
  readonly wnid: string;
  readonly label: string;
  /** Images of the class. */
  readonly count: number;
  /** Images for which the class is the most probable one. */
  readonly top1: number;
  /** Images for which the class is one of the five most probable ones. */
  readonly top5: number;
}

const header = "wnid\tlabel\timages\ttop1\ttop5";

/** Returns the sums over all classes. */
export function sumResults(results: readonly ClassResult[]): Omit<ClassResult, "wnid" | "label"> {
  const sum = (value: (result: ClassResult) => number) =>
    results.reduce((sum, result) => sum + value(result), 0);
  return { count: sum((r) => r.count), top1: sum((r) => r.top1), top5: sum((r) => r.top5) };
}

/** Formats results as the text of a file. */
export function formatAccuracy(results: readonly ClassResult[]): string {
  const lines = results.map(({ wnid, label, count, top1, top5 }) =>
    [wnid, label, count, top1, top5].join("\t")
  );
  return [header, ...lines, ""].join("\n");
}

/** Parses the text of a file. Throws a {@linkcode FileError}. */
export function parseAccuracy(text: string, name: string): ClassResult[] {
  const [first, ...lines] = text.trimEnd().split("\n");
  if (first !== header) throw new FileError(name, "is not an accuracy table: unexpected columns");
  return lines.map((line, i) => {
    const [wnid, label, ...rest] = line.split("\t"), [count, top1, top5] = rest.map(Number);
    if (rest.length === 3 && 0 <= top1 && top1 <= top5 && top5 <= count) {
      return { wnid, label, count, top1, top5 };
    }
    throw new FileError(name, `line ${i + 2} must be a class and three counts`);
  });
}
