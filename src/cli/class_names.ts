/** Matches the names of folders with the classes of a model. */

import type { ClassName } from "../models/imagenet_classes.ts";

/**
 * The index of each folder's class; undefined if none matches, or several do. A folder is named after
 * the class's WordNet id, which other text may follow ("n02206856_bee"), its label, or one of the
 * names that commas separate in the label. Case, underscores and hyphens do not matter.
 */
export function matchFolders(
  folders: readonly string[],
  classes: readonly ClassName[],
): (number | undefined)[] {
  const byId = indexOf(classes.map(({ wnid }) => wnid === "" ? [] : [wnid]));
  const byLabel = indexOf(classes.map(({ label }) => [plain(label)]));
  const byName = indexOf(classes.map(({ label }) => label.split(",").map(plain)));
  return folders.map((folder) => {
    const [id = ""] = /^n\d{8}(?!\d)/.exec(folder) ?? [], name = plain(folder);
    const indices = [byId.get(id), byLabel.get(name), byName.get(name)].find((found) => found);
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
