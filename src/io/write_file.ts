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
 * bytes are on disk. An existing file at the path stays in place until then.
 *
 * @param path The file.
 * @param write Writes the contents. If it throws, nothing is left behind.
 */
export async function writeFile(
  path: string,
  write: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  let created = false;
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true });
      created = true;
      await write({
        write(offset, bytes) {
          file.seekSync(offset, Deno.SeekMode.Start);
          for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
        },
      });
      await file.sync();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    if (created) await Deno.remove(temporary);
    throw error;
  }
}
