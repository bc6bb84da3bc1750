/**
 * A source over a file on disk, in every runtime that has files.
 *
 * @module
 */

import { ArgumentError, FileError } from "../../errors.ts";
import { systemReason } from "../../io/system_error.ts";
import { kindOf } from "../../kinds.ts";
import { nodeModule } from "../../node.ts";
import { escapeText } from "./quote.ts";
import { type ByteSource, checkRange } from "./source.ts";

/**
 * Opens a file on disk, in Deno, Node and Bun. Deno needs `--allow-read` for the path; its own
 * error passes through if that is denied.
 *
 * @param path The file. Symbolic links are followed.
 * @returns The open source, which the caller must close.
 * @throws {FileError} When the file does not exist or is not a regular file.
 * @throws {ArgumentError} When `path` is not a path, or the runtime has no files.
 *
 * @example
 * ```ts
 * import { fileSource } from "./file_source.ts";
 *
 * const path = await Deno.makeTempFile();
 * const source = await fileSource(path);
 * console.log(source.size); // 0
 * source.close();
 * await Deno.remove(path);
 * ```
 */
export async function fileSource(path: string | URL): Promise<ByteSource> {
  if (path === "" || typeof path !== "string" && kindOf(path) !== "URL") {
    throw new ArgumentError("fileSource", "path", path, "a path or a file URL");
  }
  const name = String(path);
  const files = "Deno" in globalThis ? denoFiles : await nodeFiles();
  if (!files) {
    const expected = "opened in Deno, Node or Bun; elsewhere load from a URL, " +
      "new URL(path, location.href), or from bytes";
    throw new ArgumentError("fileSource", "path", name, expected);
  }
  const file = openRegularFile(files, path);
  let open = true;
  const source: ByteSource = {
    name,
    size: file.size,
    // Synchronous: reading from the page cache is faster than a trip to another thread.
    // deno-lint-ignore require-await -- async, so that an error rejects instead of being thrown
    async read(offset, into) {
      checkRange(source, offset, into.length);
      if (!open) throw new FileError(name, "was closed while being read");
      for (let filled = 0; filled < into.length;) {
        const count = file.read(into.subarray(filled), offset + filled);
        if (count === 0) throw new FileError(name, "became shorter while being read");
        filled += count;
      }
    },
    sibling: (other) => openSibling(files, path, other),
    close() {
      if (open) file.close();
      open = false;
    },
  };
  return source;
}

/** Opens a file that is not a folder, a pipe or a device. */
function openRegularFile(files: Files, path: string | URL): OpenFile {
  const name = String(path);
  try {
    // Check before opening: opening a named pipe waits until another process writes to it.
    const kind = files.kindOf(path);
    if (kind === "directory") throw new FileError(name, "is a directory, not a file");
    if (kind !== "file") throw new FileError(name, "is not a regular file");
    return files.open(path);
  } catch (cause) {
    // Let the caller ask for the missing permission.
    if (cause instanceof FileError || (cause as Error)?.name === "NotCapable") throw cause;
    throw new FileError(name, reasonOf(cause), { cause });
  }
}

/** Opens another file in the folder of a file. */
async function openSibling(files: Files, path: string | URL, name: string): Promise<ByteSource> {
  const place = siblingPlace(path, name), sibling = await fileSource(place);
  try {
    // Both may be links into one other folder, as in the cache of huggingface_hub.
    const [own, other] = [path, place].map((at) => parentOf(files.realPath(at)));
    if (own === other) return sibling;
    throw new FileError(
      String(path),
      `needs ${escapeText(name)}, which is a link to another folder`,
    );
  } catch (cause) {
    sibling.close();
    if (cause instanceof FileError) throw cause;
    throw new FileError(String(place), reasonOf(cause), { cause });
  }
}

/** The path or URL of another file in the folder of a file. */
function siblingPlace(path: string | URL, name: string): string | URL {
  if (typeof path !== "string") return new URL(encodeURIComponent(name), path);
  const folder = /^.*[/\\]/s.exec(path)?.[0] ?? "";
  return folder + name;
}

/** The folder of an absolute path. */
function parentOf(path: string): string {
  return path.replace(/[/\\][^/\\]*$/, "");
}

/** The reason why a file cannot be opened, in the same words for every runtime. */
function reasonOf(cause: unknown): string {
  const { code } = cause as { readonly code?: string };
  if (code === "ENOENT" || code === "ENOTDIR") return "no such file";
  if (code === "EACCES" || code === "EPERM") return "not readable (file permissions)";
  return `cannot be opened: ${systemReason(String((cause as Error)?.message ?? cause))}`;
}

/** An open file. */
interface OpenFile {
  readonly size: number;
  /** Reads some bytes at an offset and returns their number: 0 at the end. */
  read(into: Uint8Array, at: number): number;
  close(): void;
}

/** The file functions of a runtime. */
interface Files {
  kindOf(path: string | URL): "file" | "directory" | "other";
  open(path: string | URL): OpenFile;
  /** The path without links. */
  realPath(path: string | URL): string;
}

const denoFiles: Files = {
  kindOf(path) {
    const { isFile, isDirectory } = Deno.statSync(path);
    return isFile ? "file" : isDirectory ? "directory" : "other";
  },
  open(path) {
    const file = Deno.openSync(path);
    return {
      size: file.statSync().size,
      // Both calls are synchronous, so that concurrent reads cannot interleave.
      read(into, at) {
        file.seekSync(at, Deno.SeekMode.Start);
        return file.readSync(into) ?? 0;
      },
      close: () => file.close(),
    };
  },
  realPath: (path) => Deno.realPathSync(path),
};

/** The part of Node's `fs.Stats` that is used here. */
interface Stats {
  readonly size: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** The part of `node:fs` that is used here. */
interface NodeFiles {
  statSync(path: string | URL): Stats;
  openSync(path: string | URL): number;
  fstatSync(file: number): Stats;
  readSync(file: number, into: Uint8Array, start: number, length: number, at: number): number;
  closeSync(file: number): void;
  realpathSync(path: string | URL): string;
}

/** Files in Node and Bun; undefined in a web page. */
async function nodeFiles(): Promise<Files | undefined> {
  const fs = await nodeModule("node:fs") as NodeFiles | undefined;
  return fs && {
    kindOf(path) {
      const stats = fs.statSync(path);
      return stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
    },
    open(path) {
      const file = fs.openSync(path);
      return {
        size: fs.fstatSync(file).size,
        read: (into, at) => fs.readSync(file, into, 0, into.length, at),
        close: () => fs.closeSync(file),
      };
    },
    realPath: (path) => fs.realpathSync(path),
  };
}
