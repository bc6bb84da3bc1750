/**
 * The classes of a network.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import type { ClassName } from "./imagenet_classes.ts";

/**
 * Converts the classes that are only a name.
 *
 * @throws {ArgumentError} When there is another value, such as a class without an id.
 */
export function toClassNames(
  op: string,
  classes: readonly (string | ClassName)[],
): readonly ClassName[] {
  const isClass = (value: string | ClassName | null) =>
    typeof value === "string" ||
    typeof value?.label === "string" && typeof value.wnid === "string";
  if (!Array.isArray(classes) || ![...classes].every(isClass)) { // every() alone skips holes
    throw new ArgumentError(op, "classes", classes, "a list of names, or of { wnid, label }");
  }
  return classes.map((name) => typeof name === "string" ? { wnid: "", label: name } : name);
}

/**
 * As {@linkcode toClassNames}, for classes to be learned.
 *
 * @throws {ArgumentError} When there are none, one has an empty name, or two have the same one.
 */
export function newClassNames(
  op: string,
  classes: readonly (string | ClassName)[],
): readonly ClassName[] {
  const names = toClassNames(op, classes);
  if (names.length === 0 || names.some(({ label }) => label === "")) {
    throw new ArgumentError(op, "classes", classes, "a non-empty list of names");
  }
  const known = new Set<string>();
  const double = names.find(({ label, wnid }) =>
    known.size === known.add(`${wnid.length} ${wnid}${label}`).size
  );
  if (double) throw new ArgumentError(op, "the name of a class", double.label, "unique");
  return names;
}

/** The names of the options of every network. */
export const networkOptionNames = [
  "numClasses",
  "classes",
  "preprocessing",
  "precision",
  "dropout",
  "stochasticDepth",
  "algorithm",
  "keepPacked",
] as const;

/** Returns the names "class 0", "class 1", … */
export function numberedClasses(numClasses: number): readonly ClassName[] {
  return Array.from({ length: numClasses }, (_, i) => ({ wnid: "", label: `class ${i}` }));
}

/**
 * The classes of a network.
 */
export interface ClassOptions {
  /**
   * Number of classes: of the outputs of the last layer. Default: that of `classes`, or of the network's
   * usual data. 1 with two `classes` makes a network with one score, the logit of the second class.
   */
  readonly numClasses?: number;
  /**
   * The names of the classes, such as `["cat", "dog"]`, or with their WordNet ids. Default: "class 0",
   * "class 1", …; for networks of ImageNet with 1000 classes, ImageNet's.
   */
  readonly classes?: readonly (string | ClassName)[];
}

/**
 * Returns the names of a network's classes: as many as it has outputs, or two for a single one.
 *
 * @param op The name of the network in error messages.
 * @param count The default number of classes.
 * @param namesOf Returns the default names for a number of classes.
 * @throws {ArgumentError} When a class is invalid, or the options contradict each other.
 */
export function classesOf(
  op: string,
  { numClasses, classes }: ClassOptions,
  count: number,
  namesOf: (numClasses: number) => readonly ClassName[] = numberedClasses,
): readonly ClassName[] {
  const names = classes == null // as a value from JSON may be
    ? namesOf(checkInteger(op, "numClasses", numClasses ?? count, 1))
    : toClassNames(op, classes);
  if (names.length === 0) throw new ArgumentError(op, "classes", names, "a non-empty list");
  const isPair = numClasses === 1 && names.length === 2;
  if (!isPair && names.length !== (numClasses ?? names.length)) {
    throw new ArgumentError(op, "numClasses", numClasses, `${names.length}, the number of classes`);
  }
  return names;
}
