/** Reads the file of `--classes`: the names of a model's classes. */

import { FileError } from "../errors.ts";
import { collect, readChunks } from "../io/download.ts";
import type { ClassName } from "../models/imagenet_classes.ts";
import { asFileError } from "./errors.ts";
import { fileInfo } from "./files.ts";
import { pathOf } from "./inputs.ts";
import { encodingOf } from "./lines.ts";

/** Maximum size of the file: 16 MiB. */
const maxBytes = 2 ** 24;

/**
 * The class names of a text file with one on each line, in the order of the classes.
 *
 * @throws {FileError} When the file cannot be read, or a line is empty.
 */
export async function readLabels(file: string): Promise<ClassName[]> {
  try {
    const path = pathOf(file);
    await fileInfo(path);
    const { readable } = await Deno.open(path);
    const bytes = await collect(file, readChunks(readable), maxBytes); // it may be /dev/stdin
    const text = new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    while (lines.at(-1) === "") lines.pop();
    if (lines.length === 0) throw new FileError(file, "has no class names");
    const empty = lines.indexOf("");
    if (empty >= 0) throw new FileError(file, `line ${empty + 1} is empty, must be a class name`);
    return lines.map((label) => ({ wnid: "", label }));
  } catch (error) {
    if (error instanceof TypeError) throw new FileError(file, "is not UTF-8 or UTF-16 text");
    throw asFileError(file, error);
  }
}
