/** The words of "Teach it": what was learned, and what is missing. */

import type { ClassToLearn, Learned } from "./teach_protocol.ts";

/** "1 photo", "2 photos" */
export function counted(count: number): string {
  return `${count} ${count === 1 ? "photo" : "photos"}`;
}

/** A share as the reader reads it: "97.5 %". */
export function shareText(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}

/** A list as in a sentence: "a, b and c". */
export function listed(names: readonly string[]): string {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names.join();
}

/** What keeps classes from being learned. Empty if nothing does. */
export function missing(classes: readonly ClassToLearn[]): string {
  const unnamed = classes.findIndex(({ name }) => name === "");
  if (unnamed >= 0) return `Give class ${unnamed + 1} a name.`;
  const twice = classes.find(({ name }, i) => classes.findIndex((c) => c.name === name) < i);
  if (twice) return `Two classes are called “${twice.name}”: give each its own name.`;
  const empty = classes.filter(({ photos }) => photos.length === 0).map(({ name }) => `“${name}”`);
  if (classes.length - empty.length < 2) return "Add photos to at least two classes.";
  if (empty.length > 0) return `Add photos to ${listed(empty)}, or remove the class.`;
  return "";
}

/** What was measured on photos that were held out, in sentences. */
export function measuredText(
  { measured }: Learned,
  classes: readonly ClassToLearn[],
): string {
  if (!measured) {
    return "There are too few photos to measure how good it is: that takes five of each class.";
  }
  const { confusion, interval } = measured;
  const total = confusion.flat().reduce((a, b) => a + b, 0);
  const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
  const [low, high] = interval.map((share) => Math.round(share * 100));
  const mistakes = confusion.flatMap((row, i) =>
    row.flatMap((count, j) =>
      i === j || count === 0
        ? []
        : [`took ${counted(count)} of “${classes[i].name}” for “${classes[j].name}”`]
    )
  );
  return [
    `It recognised ${right} of ${counted(total)} that were held out`,
    ...mistakes.length > 0 ? [`, and ${listed(mistakes)}`] : [],
    `. On other photos like these, expect ${low} to ${high} % (95 % interval).`,
  ].join("");
}

/** The name of a file for classes, without an extension: "cats-dogs". */
export function fileNameOf(classes: readonly string[]): string {
  const plain = classes.join("-").normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
  return plain.replace(/^-/, "").slice(0, 60).replace(/-$/, "") || "my-classes";
}
