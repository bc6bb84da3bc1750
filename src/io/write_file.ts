/**
 * Atomic writes: a file is complete or does not exist.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import type { ByteSink } from "./byte_sink.ts";
import { onceFree } from "./wait.ts";

/** Matches what {@linkcode replaceFile} appends to a name while it writes. */
export const temporarySuffix = /\.[\da-f]{8}\.tmp/;

/** The temporary files that exist now, for programs that delete them when a signal stops them. */
export const temporaryFiles = new Set<string>();

/**
 * Writes a file that a user has named, as {@linkcode replaceFile} does. It replaces neither links
 * nor devices: a link stays, and the file that it leads to is replaced. A pipe or device, such as
 * `/dev/stdout`, receives the contents once they are complete.
 *
 * @param path The file.
 * @param write Writes the contents. If it throws, nothing is left behind.
 * @param onComplete Called once all bytes are on disk, before the file is replaced. If it throws,
 * the file stays as it was.
 * @throws {FileError} When the path is that of a folder.
 */
export async function writeFile(
  path: string,
  write: (sink: ByteSink) => Promise<void>,
  onComplete?: () => Promise<void>,
): Promise<void> {
  const target = await targetOf(path);
  if (target !== undefined) return await replaceFile(target, write, undefined, onComplete);
  const chunks: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  await write({ write: (offset, bytes) => void chunks.push({ offset, bytes: bytes.slice() }) });
  await onComplete?.();
  chunks.sort((a, b) => a.offset - b.offset); // pipes take bytes in their order only
  using file = await Deno.open(path, { write: true, truncate: true });
  for (const { bytes } of chunks) {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
  }
}

/** The file to replace: at the path, or where a link leads. Undefined for pipes and devices. */
async function targetOf(path: string): Promise<string | undefined> {
  const here = await existing(Deno.lstat(path));
  const there = here?.isSymlink ? await existing(Deno.stat(path)) : here;
  if (there?.isDirectory) throw new FileError(path, "is a folder");
  if (!here?.isSymlink) return !here || here.isFile ? path : undefined;
  if (!there) return await targetOf(await nextOf(path)); // a new file, where the last link leads
  // A file without a path is one that a process has open, such as /dev/stdout.
  return there.isFile ? await existing(Deno.realPath(path)) : undefined;
}

/** The path in a link. If it is relative, it begins in the folder of the link. */
async function nextOf(link: string): Promise<string> {
  const next = await Deno.readLink(link), isWindows = Deno.build.os === "windows";
  const [folder = ""] = (isWindows ? /^.*[/\\]/s : /^.*\//s).exec(link) ?? [];
  return (isWindows ? /^([/\\]|[a-z]:)/i : /^\//).test(next) ? next : folder + next;
}

/** The result, or undefined if there is no such file. */
async function existing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * Writes a file atomically: first under a temporary name in the same folder, then renamed once all
 * bytes are on disk. An existing file at the path stays in place until then; the new one gets its
 * permissions. Whatever is at the path is replaced, even a link.
 *
 * @param path The file.
 * @param write Writes the contents. If it throws, nothing is left behind.
 * @param finish Reads and changes the complete contents, before they are renamed.
 * @param onComplete Called once all bytes are on disk, before they are renamed.
 */
export async function replaceFile(
  path: string,
  write: (sink: ByteSink) => Promise<void>,
  finish?: (file: Deno.FsFile) => Promise<void>,
  onComplete?: () => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  const mode = await modeOf(path);
  try {
    {
      const options = { read: true, write: true, createNew: true };
      // From the start: nobody else may read a private file while it is written.
      using file = await Deno.open(temporary, mode === undefined ? options : { ...options, mode });
      temporaryFiles.add(temporary);
      await write({
        write(offset, bytes) {
          file.seekSync(offset, Deno.SeekMode.Start);
          for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
        },
      });
      await finish?.(file);
      await file.sync();
    }
    // The umask of the process may have removed some permissions.
    if (mode !== undefined) await Deno.chmod(temporary, mode);
    await onComplete?.();
    await onceFree(() => Deno.rename(temporary, path));
  } catch (error) {
    // If deleting fails, too, the first error says more.
    if (temporaryFiles.has(temporary)) await Deno.remove(temporary).catch(() => {});
    throw error;
  } finally {
    temporaryFiles.delete(temporary);
  }
}

/** The permissions of an existing file, on systems that have them. */
async function modeOf(path: string): Promise<number | undefined> {
  if (Deno.build.os === "windows") return undefined;
  try {
    const { mode } = await Deno.stat(path);
    return mode === null ? undefined : mode & 0o777;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined; // no file, or an error that writing the file will report
  }
}
