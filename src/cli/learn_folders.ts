/** The photos and classes to learn, and what is wrong with them. */

import { FileError } from "../errors.ts";
import type { LearnArgs } from "./args_learn.ts";
import {
  classFolders,
  type LabelledPhoto,
  matchFolders,
  noteSkippedFiles,
  quoted,
} from "./class_folders.ts";
import { UsageError } from "./errors.ts";
import type { LearnedPhoto } from "./photo_features.ts";
import { imageFormats, warn } from "./terminal.ts";

/** Photos with their features. */
export interface PhotosToLearn {
  /** The names of the classes. */
  readonly classes: readonly string[];
  readonly photos: readonly LearnedPhoto[];
}

/** Lists the photos to learn, then those of `--val`. */
export async function foldersToLearn(
  { folder, val, folds, quiet }: LearnArgs,
): Promise<{ classes: readonly string[]; photos: readonly LabelledPhoto[] }> {
  const found = await classFolders(folder), { classes, photos } = found;
  const withPhotos = new Set(photos.map(({ label }) => label));
  checkTwoClasses(folder, classes.filter((_, i) => withPhotos.has(i)));
  checkFolds(folds, photos.length);
  if (!quiet) noteSkippedFiles(folder, found);
  if (val === undefined) return { classes, photos };
  const held = await classFolders(val);
  if (!quiet) noteSkippedFiles(val, held);
  const labels = matchFolders(held.classes, classes.map((label) => ({ wnid: "", label })));
  const unknown = held.classes.filter((_, i) => labels[i] === undefined);
  if (unknown.length > 0 && !quiet) {
    warn(`${val}: ${quoted(unknown)} ${unknown.length === 1 ? "is" : "are"} not learned; skipped`);
  }
  const measured = held.photos.flatMap((photo) => {
    const label = labels[photo.label];
    return label === undefined ? [] : [{ ...photo, label, isHeld: true }];
  });
  if (measured.length === 0) throw new FileError(val, "has no photos of the classes to learn");
  return { classes, photos: [...photos, ...measured] };
}

/** Leaves out classes without photos, and warns about those and others that cannot be measured. */
export function checkClasses(
  { folder, val, quiet }: LearnArgs,
  { classes, photos }: PhotosToLearn,
): PhotosToLearn {
  const counts = classes.map(() => 0);
  for (const { label, isHeld } of photos) if (!isHeld) counts[label]++;
  const kept = classes.filter((_, i) => counts[i] > 0);
  checkTwoClasses(folder, kept);
  const indices = new Map(kept.map((name, i) => [name, i]));
  const left = photos.flatMap((photo) => {
    const label = indices.get(classes[photo.label]);
    return label === undefined ? [] : [{ ...photo, label }];
  });
  if (val !== undefined && !left.some(({ isHeld }) => isHeld)) {
    throw new FileError(val, "has no photo to measure on: all are learned, too, or cannot be read");
  }
  const say = (line: string) => quiet || warn(line);
  for (const [i, name] of classes.entries()) {
    if (counts[i] === 0) say(`${JSON.stringify(name)} has no photos; left out`);
    if (counts[i] === 1 && val === undefined) {
      say(`${JSON.stringify(name)} has one photo: it is learned, but not measured`);
    }
  }
  return { classes: kept, photos: left };
}

/** Throws if there are fewer photos than parts: the others would be empty. */
export function checkFolds(folds: number | undefined, photos: number): void {
  if (folds === undefined || folds <= photos) return;
  throw new UsageError(`--folds is ${folds}, must be at most the number of photos, ${photos}`);
}

/** Throws unless there are photos of two classes or more. */
function checkTwoClasses(folder: string, [first, ...more]: readonly string[]): void {
  if (first === undefined) {
    throw new FileError(folder, `has no photos in its subfolders (${imageFormats})`);
  }
  if (more.length > 0) return;
  const only = `has photos (${imageFormats}) of one class only, ${JSON.stringify(first)}`;
  throw new FileError(folder, `${only}; there must be two or more`);
}
