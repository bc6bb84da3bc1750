/** Checks and writes the files that the user names. */

import { resolve } from "node:path";
import type { ByteSink } from "../io/byte_sink.ts";
import { writeFile } from "../io/write_file.ts";
import { asWriteError, UsageError } from "./errors.ts";
import { pathOf } from "./inputs.ts";
import { withSignalCleanup } from "./interrupts.ts";

/** Throws if a file cannot be written. Call it before computing its contents. It changes nothing. */
export async function checkOutput(output: string): Promise<void> {
  const path = pathOf(output), stop = new Error("the file can be written");
  await writeFile(path, () => Promise.reject(stop)).catch((error) => {
    if (error !== stop) throw asWriteError(output, error);
  });
}

/**
 * Throws if a file to write is one that is read, or also written.
 *
 * @param option The option that names the file to write.
 * @param output Its value.
 * @param other The other file.
 * @param what A description of the other file, for the message.
 * @param replaced The file to write, if it has another name than `output`.
 */
export async function checkDiffers(
  option: string,
  output: string,
  other: string,
  what: string,
  replaced = output,
): Promise<void> {
  if (!await isSameFile(replaced, other)) return;
  throw new UsageError(
    `${option} is ${JSON.stringify(output)}, which would replace ${replaced}, ${what}; ` +
      "choose another name",
  );
}

/** Whether two names are those of one file. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  return await placeOf(a) === await placeOf(b);
}

/** The absolute path of a file, with links resolved. */
async function placeOf(file: string): Promise<string> {
  const path = resolve(pathOf(file));
  return await Deno.realPath(path).catch(() => path);
}

/**
 * Writes a file. On an error, it stays as it was.
 *
 * @throws {FileError} When it cannot be written.
 */
export async function writeBytes(file: string, bytes: Uint8Array): Promise<void> {
  try {
    // deno-lint-ignore require-await -- the sink is synchronous
    const write = async (sink: ByteSink) => sink.write(0, bytes);
    await withSignalCleanup(() => writeFile(pathOf(file), write));
  } catch (error) {
    throw asWriteError(file, error);
  }
}

/** As {@linkcode writeBytes}, for text. */
export async function writeText(file: string, text: string): Promise<void> {
  await writeBytes(file, new TextEncoder().encode(text));
}
