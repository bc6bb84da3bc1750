/**
 * Writing a file so that it is whole or not there.
 *
 * @module
 */

import type { ByteSink } from "../weights/io/file_writer.ts";

/**
 * Writes a file under another name first, and gives it its own when all of it is on the disk. What was
 * there under its name stays until then.
 *
 * @param path The file.
 * @param write Writes it; if it throws, nothing is left.
 * @param temporary The other name, in the same folder; nothing may be there under it.
 */
export async function writeFile(
  path: string,
  write: (sink: ByteSink) => Promise<void>,
  temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`,
): Promise<void> {
  let made = false;
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true });
      made = true;
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
    if (made) await Deno.remove(temporary);
    throw error;
  }
}
