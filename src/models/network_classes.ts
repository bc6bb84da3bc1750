/**
 * The names of a network's classes. Pages load ImageNet's with the first network that may have
 * them, so {@linkcode Classifier} does not import this module.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import { type ClassName, imagenetClassCount, imagenetClasses } from "./imagenet_classes.ts";

/** Returns the default names of classes: ImageNet's for 1000, else "class 0", "class 1", … */
export function classNames(numClasses: number): readonly ClassName[] {
  if (numClasses === imagenetClassCount) return imagenetClasses();
  return Array.from({ length: numClasses }, (_, i) => ({ wnid: "", label: `class ${i}` }));
}

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
