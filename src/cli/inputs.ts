/** Finds and reads the images that the command line names. */

import { fileURLToPath } from "node:url";
import { collect, download, readChunks, tooLarge } from "../io/download.ts";
import { FileError } from "../errors.ts";
import { asFileError, isPermissionError } from "./errors.ts";
import { type FileEntry, filesIn, filesMatching, isPattern } from "./files.ts";
import { linesOf } from "./lines.ts";

/** An image to classify. */
export interface Input {
  /** Its name in results and errors. */
  readonly name: string;
  /** Reads all of its bytes. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** One of `count` equal parts of the inputs. */
export interface Shard {
  /** From 1 to `count`. */
  readonly number: number;
  readonly count: number;
}

/** Maximum size of an image file: 256 MiB. */
const maxBytes = 2 ** 28;
const imageName = /\.(jpe?g|png|webp|gif|bmp)$/i;

/** Whether an argument is a URL to download from. */
export function isWebUrl(argument: string): boolean {
  return /^https?:\/\//i.test(argument) && URL.canParse(argument);
}

/** The path of a path or file URL. */
export function pathOf(argument: string): string {
  return /^file:\/\//i.test(argument) ? fileURLToPath(argument) : argument;
}

/**
 * The images of an argument: a file, a folder and its subfolders, a pattern, a URL, or "-" for standard
 * input. Finds them lazily. An argument without images becomes an input whose `read()` throws the
 * reason, so that its error appears in order. Throws only for missing permissions.
 */
export async function* expand(argument: string): AsyncGenerator<Input> {
  if (argument === "-") {
    return yield {
      name: "-",
      read: () => collect("-", readChunks(Deno.stdin.readable), maxBytes),
    };
  }
  if (isWebUrl(argument)) {
    return yield { name: argument, read: () => download(argument, maxBytes) };
  }
  try {
    if (/^(?!file:)\w{2,}:\/\//i.test(argument)) {
      throw new FileError(argument, "unsupported URL, must be http, https or file");
    }
    const path = pathOf(argument);
    const info = await Deno.stat(path).catch((error) => {
      if (isPermissionError(error) || !isPattern(path)) throw error;
    });
    if (info && !info.isDirectory) return yield fileInput({ path });
    let empty = true;
    for await (const entry of info ? filesIn(path) : filesMatching(path)) {
      if (info && !isImage(entry)) continue;
      empty = false;
      yield fileInput(entry);
    }
    if (!empty) return;
    const reason = "no images in this folder (JPEG, PNG, WebP, GIF, BMP)";
    throw new FileError(argument, info ? reason : "no file matches");
  } catch (error) {
    yield fileInput({ path: argument, error });
  }
}

/**
 * The images of a list file. Each line is an argument of {@linkcode expand}; empty lines are skipped.
 *
 * @param file The file's path; "-" for standard input.
 * @throws {FileError} If the file cannot be read.
 */
export async function* inputsFrom(file: string): AsyncGenerator<Input> {
  try {
    const { readable } = file === "-" ? Deno.stdin : await Deno.open(pathOf(file));
    for await (const { text } of linesOf(readable)) {
      // the list may come from standard input: here, "-" is a file
      if (text !== "") yield* expand(text === "-" ? "./-" : text);
    }
  } catch (error) {
    throw asFileError(file, error);
  }
}

/** Every `count`-th input: those at positions `number - 1`, `number - 1 + count`, and so on. */
export async function* inShard(
  inputs: AsyncIterable<Input>,
  { number, count }: Shard,
): AsyncGenerator<Input> {
  let position = 0;
  for await (const input of inputs) {
    if (position === number - 1) yield input;
    position = (position + 1) % count;
  }
}

/** Whether a file is an image, by its extension; keeps folders that could not be listed. */
function isImage({ path, error }: FileEntry): boolean {
  return error !== undefined || imageName.test(path);
}

function fileInput({ path, error }: FileEntry): Input {
  if (isPermissionError(error)) throw error;
  return {
    name: path,
    async read() {
      try {
        if (error !== undefined) throw error;
        const { size, isFile } = await Deno.stat(path);
        if (size > maxBytes) throw tooLarge(path, maxBytes);
        if (isFile) return await Deno.readFile(path);
        return await collect(path, readChunks((await Deno.open(path)).readable), maxBytes);
      } catch (error) {
        throw asFileError(path, error);
      }
    },
  };
}
