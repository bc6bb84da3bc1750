/** Finds files in a folder or by pattern. */

/** A file, or a folder that could not be listed, with the error. */
export interface FileEntry {
  readonly path: string;
  readonly error?: unknown;
}

const wildcards = /[*?[\]{}]/;
const separator = Deno.build.os === "windows" ? /[/\\]/ : /\//;

/** Whether a path contains any of `*?[]{}`. */
export function isPattern(path: string): boolean {
  return wildcards.test(path);
}

/**
 * All files in a folder and its subfolders, in the order of their names. Links to folders are not
 * followed. Folders are listed one at a time, so that memory does not grow with the number of files.
 *
 * @param depth Levels of folders to list; 1 is the folder alone.
 * @param hidden Whether to include names that start with a dot.
 */
export async function* filesIn(
  folder: string,
  depth = Infinity,
  hidden = false,
): AsyncGenerator<FileEntry> {
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(folder || "."));
  } catch (error) {
    return yield { path: folder, error };
  }
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    if (name.startsWith(".") && !hidden) continue;
    const path = joinPath(folder, name);
    if (!isDirectory) yield { path };
    else if (depth > 1) yield* filesIn(path, depth - 1, hidden);
  }
}

/** The files that match a pattern of `*`, `?`, `[…]`, `{…,…}`, and `**` for any folders. */
export async function* filesMatching(pattern: string): AsyncGenerator<FileEntry> {
  const parts = pattern.split(separator);
  const first = parts.findIndex(isPattern);
  const folder = parts.slice(0, first).map((part) => `${part}/`).join("");
  const rest = parts.slice(first);
  const depth = rest.some((part) => part.includes("**")) ? Infinity : rest.length;
  const hidden = rest.some((part) => part.startsWith("."));
  // imported here because it doubles the command's start-up time
  // @ts-types="./std.d.ts"
  const { globToRegExp } = await import("npm:deno-std@1.4.0/path/glob_to_regexp.js");
  const expression = globToRegExp(rest.join("/"), { extended: false });
  for await (const entry of filesIn(folder, depth, hidden)) {
    if (entry.error !== undefined || expression.test(entry.path.slice(folder.length))) yield entry;
  }
}

function joinPath(folder: string, name: string): string {
  return folder === "" || /[/\\]$/.test(folder) ? folder + name : `${folder}/${name}`;
}
