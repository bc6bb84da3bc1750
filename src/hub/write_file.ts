/**
 * Writing a file so that it is whole or not there.
 *
 * @module
 */

import type { ByteSink } from "../weights/convert.ts";

/**
 * Writes a file under another name first, and gives it its own when all of it is on the disk. What was
 * there under its name stays until then.
 *
 * @param path The file.
 * @param write Writes it; if it throws, nothing is left.
 */
export async function writeFile(
  path: string,
  write: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    using file = await Deno.open(temporary, { write: true, create: true, truncate: true });
    await write({
      write(offset, bytes) {
        file.seekSync(offset, Deno.SeekMode.Start);
        for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
      },
    });
    await file.sync();
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may not even have been made
    throw error;
  }
  await Deno.rename(temporary, path);
}
