/** From what stands on the command line to bytes of images. */

import { fileURLToPath } from "node:url";
import { FileError } from "../errors.ts";
import { asFileError, isPermissionError } from "./errors.ts";
import { filesBelow, filesMatching, type Found, isPattern } from "./files.ts";

/** An image that was asked for. */
export interface Input {
  /** What results and errors call it. */
  readonly name: string;
  /** Reads its bytes, all of them. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Compressed images larger than this are not read: 256 MiB. */
const maxBytes = 2 ** 28;
/** A download that stands still for this long is given up. */
const stallMs = 30_000;
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
 * URL, or standard input. What cannot be used becomes an input that says why when it is read, so
 * that the others keep their order. Only a missing permission is thrown.
 */
export async function expand(argument: string): Promise<Input[]> {
  if (argument === "-") return [{ name: "-", read: () => collect("-", Deno.stdin.readable) }];
  if (isWebUrl(argument)) return [{ name: argument, read: () => download(argument) }];
  try {
    if (/^(?!file:)\w{2,}:\/\//i.test(argument)) {
      throw new FileError(argument, "only http, https and file URLs are read");
    }
    const path = pathOf(argument);
    const info = await Deno.stat(path).catch((error) => {
      if (isPermissionError(error) || !isPattern(path)) throw error;
    });
    if (info && !info.isDirectory) return [fileInput({ path })];
    const files = info ? (await filesBelow(path)).filter(isImage) : await filesMatching(path);
    if (files.length > 0) return files.map(fileInput);
    const none = "no image in this folder (JPEG, PNG, WebP, GIF, BMP)";
    throw new FileError(argument, info ? none : "matches no file");
  } catch (error) {
    return [fileInput({ path: argument, error })];
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
        const { size } = await Deno.stat(path);
        checkSize(path, size);
        return await collect(path, (await Deno.open(path)).readable);
      } catch (error) {
        throw asFileError(path, error);
      }
    },
  };
}

async function download(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  const stalled = () => abort.abort(new FileError(url, `no answer for ${stallMs / 1000} s`));
  let timer = setTimeout(stalled, stallMs);
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      const { status, statusText } = response;
      throw new FileError(url, `the server answered ${status} ${statusText}`.trimEnd());
    }
    return await collect(url, response.body, () => {
      clearTimeout(timer);
      timer = setTimeout(stalled, stallMs);
    });
  } catch (error) {
    throw asFileError(url, error);
  } finally {
    clearTimeout(timer);
  }
}

async function collect(
  name: string,
  stream: ReadableStream<Uint8Array>,
  onChunk = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    checkSize(name, size += chunk.length);
    onChunk();
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function checkSize(name: string, size: number): void {
  if (size > maxBytes) throw new FileError(name, `larger than ${maxBytes / 2 ** 20} MiB`);
}
