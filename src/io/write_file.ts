/**
 * Atomic writes: a file is complete or does not exist.
 *
 * @module
 */

import type { ByteSink } from "./byte_sink.ts";

/** Matches what {@linkcode writeFile} appends to a name while it writes. */
export const temporarySuffix = /\.[\da-f]{8}\.tmp/;

/**
 * Writes a file atomically: first under a temporary name in the same folder, then renamed once all
 * bytes are on disk. An existing file at the path stays in place until then; the new one gets its
 * permissions.
 *
 * @param path The file.
 * @param write Writes the contents. If it throws, nothing is left behind.
 * @param finish Reads and changes the complete contents, before they are renamed.
 */
export async function writeFile(
  path: string,
  write: (sink: ByteSink) => Promise<void>,
  finish?: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  const mode = await modeOf(path);
  let created = false;
  try {
    {
      const options = { read: true, write: true, createNew: true };
      // From the start: nobody else may read a private file while it is written.
      using file = await Deno.open(temporary, mode === undefined ? options : { ...options, mode });
      created = true;
      await write({
        write(offset, bytes) {
          file.seekSync(offset, Deno.SeekMode.Start);
          for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
        },
      });
      await finish?.(file);
      await file.sync();
    }
    // The process's mask may have removed some.
    if (mode !== undefined) await Deno.chmod(temporary, mode);
    await Deno.rename(temporary, path);
  } catch (error) {
    // The first error says more than a second one.
    if (created) await Deno.remove(temporary).catch(() => {});
    throw error;
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
    return undefined; // there is none; if there is another reason, writing fails, too
  }
}
