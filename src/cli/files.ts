/** Finds files in a folder or by pattern. */

import { FileError } from "../errors.ts";
import type { FollowedLinks } from "../io/followed_links.ts";

/** A file, or a folder that could not be listed, with the error. */
export interface FileEntry {
  readonly path: string;
  readonly error?: unknown;
}

const wildcards = /[*?[\]{}]/;

/** Whether a path contains any of `*?[]{}`. */
export function isPattern(path: string): boolean {
  return wildcards.test(path);
}

/** How {@linkcode filesIn} lists a folder. */
export interface FolderOptions {
  /** Levels of folders to list; 1 is the folder alone. Default: all. */
  readonly depth?: number;
  /** Whether to include names that start with a dot. Default: false. */
  readonly hidden?: boolean;
  /** Whether to follow links to folders, each folder once. Default: false. */
  readonly links?: boolean;
}

/**
 * All files in a folder and its subfolders, in the order of their names. Folders are listed one at a
 * time, so that memory does not grow with the number of files.
 */
export async function* filesIn(
  folder: string,
  { depth = Infinity, hidden = false, links = false }: FolderOptions = {},
): AsyncGenerator<FileEntry> {
  if (!links) return yield* listed(folder, depth, hidden, undefined);
  const { FollowedLinks } = await import("../io/followed_links.ts");
  yield* listed(folder, depth, hidden, new FollowedLinks(folder || ".", Deno.realPath));
}

async function* listed(
  folder: string,
  depth: number,
  hidden: boolean,
  followed: FollowedLinks | undefined,
): AsyncGenerator<FileEntry> {
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(folder || "."));
  } catch (error) {
    return yield { path: folder, error };
  }
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory, isSymlink } of entries) {
    if (name.startsWith(".") && !hidden) continue;
    const path = joinPath(folder, name);
    const isFolder = isDirectory || isSymlink && await leadsToFolder(path);
    if (!isFolder) yield { path };
    else if (depth > 1 && (!isSymlink || await followed?.add(path))) {
      // a linked folder may contain one that was listed before
      if (!isSymlink && await followed?.has(path)) continue;
      yield* listed(path, depth - 1, hidden, followed);
    }
  }
}

/** Whether a link leads to a folder. A broken link counts as a file, which cannot be read. */
export async function leadsToFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

/**
 * What is known of a file to read.
 *
 * @throws {FileError} When reading would wait for another process: it is a pipe, a socket or a device. Those
 * of this process are in /dev and /proc, such as /dev/stdin.
 */
export async function fileInfo(path: string): Promise<Deno.FileInfo> {
  const info = await Deno.stat(path);
  if (!info.isFile && !info.isDirectory && !/^\/(dev|proc)\//.test(path)) {
    throw new FileError(path, "is a pipe, a socket or a device; must be a file");
  }
  return info;
}

/**
 * The files that match a pattern of `*`, `?`, `[…]`, `{…,…}`, and `**` for any folders. On Windows, case
 * does not matter.
 *
 * @param os The operating system.
 */
export async function* filesMatching(
  pattern: string,
  os: typeof Deno.build.os = Deno.build.os,
): AsyncGenerator<FileEntry> {
  const isWindows = os === "windows";
  const parts = pattern.split(isWindows ? /[/\\]/ : "/");
  const first = parts.findIndex(isPattern);
  const rest = parts.slice(first);
  const folder = pattern.slice(0, pattern.length - rest.join("/").length);
  const depth = rest.some((part) => part.includes("**")) ? Infinity : rest.length;
  const hidden = rest.some((part) => part.startsWith("."));
  const { pathMatcher } = await import("./pattern.ts");
  let matches: (path: string) => boolean;
  try {
    matches = pathMatcher(rest.join("/"), isWindows);
  } catch (cause) {
    throw new FileError(pattern, "is not a valid pattern", { cause });
  }
  for await (const entry of filesIn(folder, { depth, hidden })) {
    if (entry.error !== undefined || matches(entry.path.slice(folder.length))) yield entry;
  }
}

/** The path of a file in a folder. */
export function joinPath(folder: string, name: string): string {
  return folder === "" || /[/\\]$/.test(folder) ? folder + name : `${folder}/${name}`;
}
