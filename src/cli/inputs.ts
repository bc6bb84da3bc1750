/** From what stands on the command line to bytes of images. */

import { fileURLToPath } from "node:url";
import { collect, download, readChunks, tooLarge } from "../io/download.ts";
import { FileError } from "../errors.ts";
import { asFileError, isPermissionError } from "./errors.ts";
import { filesBelow, filesMatching, type Found, isPattern } from "./files.ts";
import { linesOf } from "./lines.ts";

/** An image that was asked for. */
export interface Input {
  /** What results and errors call it. */
  readonly name: string;
  /** Reads its bytes, all of them. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Compressed images larger than this are not read: 256 MiB. */
const maxBytes = 2 ** 28;
const imageName = /\.(jpe?g|png|webp|gif|bmp)$/i;

/** Whether an argument is a URL to download from. */
export function isWebUrl(argument: string): boolean {
  return /^https?:\/\//i.test(argument) && URL.canParse(argument);
}

/** A path as Deno takes it, from a path or a file URL. */
export function pathOf(argument: string): string {
  return /^file:\/\//i.test(argument) ? fileURLToPath(argument) : argument;
}

/**
 * The images behind an argument: a file, all in a folder and below, all that a pattern matches, a
 * URL, or standard input. They are looked for as they are asked for. What cannot be used becomes an
 * input that says why when it is read, so that the others keep their order. Only a missing permission
 * is thrown.
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
      throw new FileError(argument, "only http, https and file URLs are read");
    }
    const path = pathOf(argument);
    const info = await Deno.stat(path).catch((error) => {
      if (isPermissionError(error) || !isPattern(path)) throw error;
    });
    if (info && !info.isDirectory) return yield fileInput({ path });
    let none = true;
    for await (const found of info ? filesBelow(path) : filesMatching(path)) {
      if (info && !isImage(found)) continue;
      none = false;
      yield fileInput(found);
    }
    if (!none) return;
    const reason = "no image in this folder (JPEG, PNG, WebP, GIF, BMP)";
    throw new FileError(argument, info ? reason : "matches no file");
  } catch (error) {
    yield fileInput({ path: argument, error });
  }
}

/**
 * The images behind the lines of a file, each as {@linkcode expand} takes it; empty lines are none.
 *
 * @param file Its path; "-" for standard input.
 * @throws {FileError} When it cannot be read.
 */
export async function* listedIn(file: string): AsyncGenerator<Input> {
  try {
    const { readable } = file === "-" ? Deno.stdin : await Deno.open(pathOf(file));
    for await (const { text } of linesOf(readable)) {
      // the list may be standard input itself: this is a file of that name
      if (text !== "") yield* expand(text === "-" ? "./-" : text);
    }
  } catch (error) {
    throw asFileError(file, error);
  }
}

/** By its name; a folder that could not be listed stays, to be complained about. */
function isImage({ path, error }: Found): boolean {
  return error !== undefined || imageName.test(path);
}

function fileInput({ path, error }: Found): Input {
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
