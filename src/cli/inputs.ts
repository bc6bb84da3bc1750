/** Finds and reads the images that the command line names. */

import { collect, download, readChunks, tooLarge } from "../io/download.ts";
import { FileError } from "../errors.ts";
import { crc32 } from "../io/crc32.ts";
import { redactUrl } from "../io/redact.ts";
import { oneLine } from "../io/system_error.ts";
import { nearest } from "./choices.ts";
import { asFileError, isPermissionError } from "./errors.ts";
import { type FileEntry, fileInfo, filesIn, filesMatching, isPattern } from "./files.ts";
import { linesOf } from "./lines.ts";
import { commands } from "./options.ts";
import { imageFormats } from "./terminal.ts";

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
const imageName = /\.(jpe?g|jpe|jfif|mpo|a?png|webp|gif|bmp)$/i;

/** Whether an argument is a URL to download from. */
export function isWebUrl(argument: string): boolean {
  return /^https?:\/\//i.test(argument) && URL.canParse(argument);
}

/** An address as in a URL; IPv6 in brackets. */
export function hostAndPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Returns the path of a file URL. Returns paths and web URLs unchanged.
 *
 * @throws {FileError} When it is another URL.
 */
export function pathOf(argument: string): string {
  const [scheme] = /^file:(?=\/)|^[a-z][a-z\d+.-]+:(?=\/\/)/.exec(argument.toLowerCase()) ?? [];
  if (scheme === undefined || isWebUrl(argument)) return argument;
  try {
    // not imported, because that takes 15 ms of the command's start-up
    if (scheme === "file:") return process.getBuiltinModule("node:url").fileURLToPath(argument);
  } catch (cause) {
    throw new FileError(argument, oneLine((cause as Error).message), { cause });
  }
  const reason = /^https?:$/.test(scheme)
    ? "is not a valid URL"
    : "unsupported URL, must be http, https or file";
  throw new FileError(redactUrl(argument), reason);
}

/**
 * Finds the images of an argument: a file, a folder and its subfolders, a pattern, a URL, or "-" for
 * standard input. It searches folders while the images are taken. An argument without images becomes an
 * input whose `read()` throws the reason, so that errors and results appear in order. Throws only for
 * missing permissions.
 *
 * @param onSkip Called for each file in a folder that is not an image.
 */
export async function* findInputs(
  argument: string,
  onSkip: () => void = () => {},
): AsyncGenerator<Input> {
  if (argument === "-") {
    return yield {
      name: "-",
      read: () => collect("-", readChunks(Deno.stdin.readable), maxBytes),
    };
  }
  if (isWebUrl(argument)) {
    return yield { name: redactUrl(argument), read: () => download(argument, maxBytes) };
  }
  if (/^data:[^,]*,/i.test(argument)) {
    const name = dataName(argument);
    return yield { name, read: () => readDataUrl(name, argument) };
  }
  try {
    const path = pathOf(argument);
    const info = await Deno.stat(path).catch((error) => {
      if (isPermissionError(error) || !isPattern(path)) throw error;
    });
    if (info && !info.isDirectory) return yield fileInput({ path });
    let empty = true;
    for await (const entry of info ? filesIn(path, { links: true }) : filesMatching(path)) {
      if (info && !isImage(entry)) {
        onSkip();
        continue;
      }
      empty = false;
      yield fileInput(entry);
    }
    if (!empty) return;
    const reason = `no images in this folder (${imageFormats})`;
    throw new FileError(argument, info ? reason : "no file matches");
  } catch (error) {
    yield fileInput({ path: redactUrl(argument), error: withHint(argument, error) });
  }
}

/** The error of an argument, which may be a misspelled command, or an option without its dashes. */
function withHint(argument: string, error: unknown): unknown {
  if (!(error instanceof Deno.errors.NotFound)) return error;
  const name = nearest(argument, [...commands, "help", "version"]);
  if (name === undefined) return error;
  const meant = name === "version" ? "--version" : `the command ${name}`;
  return new FileError(argument, `no such file; did you mean ${meant}?`, { cause: error });
}

/** A short name of a data URL, different for different data. */
function dataName(url: string): string {
  const [type] = /^data:[^,;]*/i.exec(url)!;
  const checksum = crc32(new TextEncoder().encode(url)).toString(16).padStart(8, "0");
  return `${type.slice(0, 40)} (${url.length} characters, ${checksum})`;
}

async function readDataUrl(name: string, url: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await (await fetch(url)).bytes();
  } catch (cause) {
    throw new FileError(name, "is not a valid data URL", { cause });
  }
}

/**
 * The images of a list file. Each line is an argument of {@linkcode findInputs}; empty lines are skipped.
 *
 * @param file The file's path; "-" for standard input.
 * @throws {FileError} When the file cannot be read.
 */
export async function* listedInputs(file: string, onSkip?: () => void): AsyncGenerator<Input> {
  try {
    const { readable } = file === "-" ? Deno.stdin : await Deno.open(pathOf(file));
    for await (const { text } of linesOf(readable, file)) {
      // the list may come from standard input: here, "-" is a file
      if (text !== "") yield* findInputs(text === "-" ? "./-" : text, onSkip);
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

/** Whether the extension is that of an image. True for folders that could not be listed: see `fileInput()`. */
export function isImage({ path, error }: FileEntry): boolean {
  return error !== undefined || imageName.test(path);
}

/** The image of a file; `read()` throws the error of a folder that could not be listed. */
export function fileInput({ path, error }: FileEntry): Input {
  if (isPermissionError(error)) throw error;
  return {
    name: path,
    async read() {
      try {
        if (error !== undefined) throw error;
        const { size, isFile } = await fileInfo(path);
        if (size > maxBytes) throw tooLarge(path, maxBytes);
        if (isFile) return await Deno.readFile(path);
        return await collect(path, readChunks((await Deno.open(path)).readable), maxBytes);
      } catch (error) {
        throw asFileError(path, error);
      }
    },
  };
}
