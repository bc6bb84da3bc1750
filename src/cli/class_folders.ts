/** Finds labelled photos: a folder with a subfolder for each class, by name. */

import { FileError } from "../errors.ts";
import type { ClassName } from "../models/imagenet_classes.ts";
import { asFileError } from "./errors.ts";
import { filesIn, joinPath, leadsToFolder } from "./files.ts";
import { fileInput, type Input, isImage, pathOf } from "./inputs.ts";
import { imageFormats, note } from "./terminal.ts";

/** A photo and its class. */
export interface LabelledPhoto extends Input {
  /** The index of its class. */
  readonly label: number;
  /** Whether it is only for measuring. */
  readonly isHeld?: boolean;
}

/** The photos of a folder. */
export interface ClassFolders {
  /** The names of the subfolders, in the order of their characters. */
  readonly classes: readonly string[];
  /** The photos, class by class, in the order of their names. */
  readonly photos: readonly LabelledPhoto[];
  /** Number of files that are not in a subfolder, or have no image's extension. */
  readonly skipped: number;
}

/**
 * Lists the photos in the subfolders of a folder, and in their subfolders. Hidden folders and files
 * are ignored, so that the folders of tools are not classes.
 *
 * @throws {FileError} When the folder cannot be listed, or has no subfolders.
 */
export async function classFolders(folder: string): Promise<ClassFolders> {
  const path = pathOf(folder);
  const names: string[] = [];
  let skipped = 0;
  try {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(path)) {
      if (name.startsWith(".")) continue;
      const isFolder = isDirectory || isSymlink && await leadsToFolder(joinPath(path, name));
      if (isFolder) names.push(name);
      else skipped++;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new FileError(folder, "no such folder");
    if (error instanceof Deno.errors.NotADirectory) throw new FileError(folder, "is not a folder");
    throw asFileError(folder, error);
  }
  if (names.length === 0) {
    const reason = "has no subfolders; put the photos of each class into a folder with its name";
    throw new FileError(folder, reason);
  }
  names.sort((a, b) => a < b ? -1 : 1);
  const photos: LabelledPhoto[] = [];
  for (const [label, name] of names.entries()) {
    for await (const entry of filesIn(joinPath(path, name), { links: true })) {
      if (isImage(entry)) photos.push({ ...fileInput(entry), label });
      else skipped++;
    }
  }
  return { classes: names, photos, skipped };
}

/** Prints how many files were skipped, if there are any. */
export function noteSkippedFiles(folder: string, { skipped }: ClassFolders): void {
  if (skipped === 0) return;
  const others = skipped === 1 ? "1 file is not a photo" : `${skipped} files are not photos`;
  note(`${folder}: ${others} of a class (${imageFormats}); skipped`);
}

/**
 * The index of each folder's class; undefined if none matches, or several do. A folder is named after
 * the class's WordNet id, which other text may follow ("n02206856_bee"), its label, or one of the
 * names that commas separate in the label. Case, underscores and hyphens matter only if several
 * classes differ in nothing else.
 */
export function matchFolders(
  folders: readonly string[],
  classes: readonly ClassName[],
): (number | undefined)[] {
  const byId = indexOf(classes.map(({ wnid }) => wnid === "" ? [] : [wnid]));
  const exact = indexOf(classes.map(({ label }) => [label.normalize("NFC")]));
  const byLabel = indexOf(classes.map(({ label }) => [plain(label)]));
  const byName = indexOf(classes.map(({ label }) => label.split(",").map(plain)));
  return folders.map((folder) => {
    const [id = ""] = /^n\d{8}(?!\d)/.exec(folder) ?? [], name = plain(folder);
    const indices = byId.get(id) ?? exact.get(folder.normalize("NFC")) ?? byLabel.get(name) ??
      byName.get(name);
    return indices?.size === 1 ? [...indices][0] : undefined;
  });
}

/** The indices of the classes that have each name. */
function indexOf(names: readonly (readonly string[])[]): Map<string, Set<number>> {
  const indices = new Map<string, Set<number>>();
  for (const [i, list] of names.entries()) {
    for (const name of list) indices.set(name, (indices.get(name) ?? new Set()).add(i));
  }
  return indices;
}

/** A name without what spellings differ in. */
function plain(name: string): string {
  return name.normalize("NFC").toLowerCase().replace(/[\s_-]+/g, " ").trim();
}

/** Some names for a message: "ants", "bees" and 3 more. */
export function quoted(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name)).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
