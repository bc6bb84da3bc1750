/**
 * The classes of a network.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import { classNames } from "./classify.ts";
import type { ClassName } from "./imagenet_classes.ts";

/**
 * The classes of a network.
 *
 * @internal
 */
export interface ClassOptions {
  /** Number of classes. Default: that of `classes`, or of the network's usual data. */
  readonly numClasses?: number;
  /**
   * The names of the classes. Default: ImageNet's for 1000 classes, else "class 0", "class 1", …
   */
  readonly classes?: readonly ClassName[];
}

/**
 * Returns the names of a network's classes.
 *
 * @param op The name of the network in error messages.
 * @param count The default number of classes.
 * @throws {ArgumentError} When the options contradict each other.
 */
export function classesOf(
  op: string,
  { numClasses, classes }: ClassOptions,
  count: number,
): readonly ClassName[] {
  const names = classes ?? classNames(checkInteger(op, "numClasses", numClasses ?? count, 1));
  if (names.length === 0) throw new ArgumentError(op, "classes", names, "a non-empty list");
  if (names.length !== (numClasses ?? names.length)) {
    throw new ArgumentError(op, "numClasses", numClasses, `${names.length}, the number of classes`);
  }
  return names;
}

/** Checks a list of classes, and completes those that are only a name. */
export function toClassNames(
  op: string,
  classes: readonly (string | ClassName)[],
): readonly ClassName[] {
  const isName = (value: unknown) => typeof value === "string" && value !== "";
  const isClass = (value: unknown) =>
    isName(value) || isName((value as ClassName | null)?.label) &&
      typeof (value as ClassName).wnid === "string";
  if (!Array.isArray(classes) || classes.length === 0 || !classes.every(isClass)) {
    throw new ArgumentError(op, "classes", classes, "a non-empty list of names");
  }
  const names = classes.map((name): ClassName =>
    typeof name === "string" ? { wnid: "", label: name } : name
  );
  const double = names.find(({ label, wnid }, i) =>
    names.findIndex((other) => other.label === label && other.wnid === wnid) < i
  );
  if (double) throw new ArgumentError(op, "the name of a class", double.label, "unique");
  return names;
}
