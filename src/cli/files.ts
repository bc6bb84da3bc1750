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
 * folder's name. Hidden files are left out unless asked for, links to folders are not followed.
 */
export async function filesBelow(
  folder: string,
  depth = Infinity,
  hidden = false,
): Promise<Found[]> {
  const found: Found[] = [];
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(folder || "."));
  } catch (error) {
    return [{ path: folder, error }];
  }
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    if (name.startsWith(".") && !hidden) continue;
    const path = within(folder, name);
    if (!isDirectory) found.push({ path });
    else if (depth > 1) found.push(...await filesBelow(path, depth - 1, hidden));
  }
  return found;
}

/** The files that a pattern matches: `*`, `?`, `[…]`, `{…,…}`, and `**` for any folders between. */
export async function filesMatching(pattern: string): Promise<Found[]> {
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
  return (await filesBelow(folder, depth, hidden)).filter(({ path, error }) =>
    error !== undefined || expression.test(path.slice(folder.length))
  );
}

function within(folder: string, name: string): string {
  return folder === "" || /[/\\]$/.test(folder) ? folder + name : `${folder}/${name}`;
}
