/** Finding files: all below a folder, or all that a pattern matches. */

/** A file, or a folder that could not be listed, and why. */
export interface Found {
  readonly path: string;
  readonly error?: unknown;
}

const magic = /[*?[\]{}]/;
const separator = Deno.build.os === "windows" ? /[/\\]/ : /\//;

/** Whether a path holds any of `*?[]{}`. */
export function isPattern(path: string): boolean {
  return magic.test(path);
}

/**
 * Everything in a folder that is no folder, ordered by name, then what is below at the place of the
 * folder's name. Hidden files are left out unless asked for, links to folders are not followed. Each
 * folder is listed when its turn comes: no more is held than names of those on the way.
 */
export async function* filesBelow(
  folder: string,
  depth = Infinity,
  hidden = false,
): AsyncGenerator<Found> {
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(folder || "."));
  } catch (error) {
    return yield { path: folder, error };
  }
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    if (name.startsWith(".") && !hidden) continue;
    const path = within(folder, name);
    if (!isDirectory) yield { path };
    else if (depth > 1) yield* filesBelow(path, depth - 1, hidden);
  }
}

/** The files that a pattern matches: `*`, `?`, `[…]`, `{…,…}`, and `**` for any folders between. */
export async function* filesMatching(pattern: string): AsyncGenerator<Found> {
  const parts = pattern.split(separator);
  const first = parts.findIndex(isPattern);
  const folder = parts.slice(0, first).map((part) => `${part}/`).join("");
  const rest = parts.slice(first);
  const depth = rest.some((part) => part.includes("**")) ? Infinity : rest.length;
  const hidden = rest.some((part) => part.startsWith("."));
  // imported here: it costs as much as all the rest of the command's start
  // @ts-types="./std.d.ts"
  const { globToRegExp } = await import("npm:deno-std@1.4.0/path/glob_to_regexp.js");
  const expression = globToRegExp(rest.join("/"), { extended: false });
  for await (const found of filesBelow(folder, depth, hidden)) {
    if (found.error !== undefined || expression.test(found.path.slice(folder.length))) yield found;
  }
}

function within(folder: string, name: string): string {
  return folder === "" || /[/\\]$/.test(folder) ? folder + name : `${folder}/${name}`;
}
