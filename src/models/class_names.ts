/**
 * The default names of classes. Pages that only use the bundled network do not load them.
 *
 * @module
 */

import { numberedClasses } from "./classify.ts";
import { type ClassName, imagenetClassCount, imagenetClasses } from "./imagenet_classes.ts";

/** Returns the default names of classes: ImageNet's for 1000, else "class 0", "class 1", … */
export function classNames(numClasses: number): readonly ClassName[] {
  return numClasses === imagenetClassCount ? imagenetClasses() : numberedClasses(numClasses);
}
