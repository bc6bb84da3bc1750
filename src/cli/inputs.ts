/** From what stands on the command line to bytes of images. */

import { glob } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { FileError } from "../errors.ts";
import { isPermissionError } from "./errors.ts";

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

/** The URLs among the arguments, for which Deno needs a permission of its own. */
export function urlsOf(args: readonly string[]): URL[] {
  return args.filter((arg) => /^https?:\/\//i.test(arg) && URL.canParse(arg))
    .map((arg) => new URL(arg));
}

/**
 * The images behind an argument: a file, all in a folder and below, all that a pattern matches, a
 * URL, or standard input.
 *
 * @throws {FileError} When there are none.
 */
export async function expand(argument: string): Promise<Input[]> {
  if (argument === "-") return [{ name: "-", read: () => collect("-", Deno.stdin.readable) }];
  if (/^https?:\/\//i.test(argument)) return [{ name: argument, read: () => download(argument) }];
  const path = /^file:\/\//i.test(argument) ? fileURLToPath(argument) : argument;
  let info: Deno.FileInfo | undefined;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    if (isPermissionError(error)) throw error;
    const matches = /[*?[\]{}]/.test(path) ? await matching(path) : [];
    if (matches.length > 0) return matches.map(fileInput);
    throw new FileError(argument, reasonOf(error));
  }
  if (!info.isDirectory) return [fileInput(path)];
  const files = await imagesBelow(path);
  if (files.length === 0) {
    throw new FileError(argument, "no image in this folder (JPEG, PNG, WebP, GIF, BMP)");
  }
  return files.map(fileInput);
}

function fileInput(path: string): Input {
  return {
    name: path,
    async read() {
      try {
        const { size } = await Deno.stat(path);
        checkSize(path, size);
        return await Deno.readFile(path);
      } catch (error) {
        if (isPermissionError(error) || error instanceof FileError) throw error;
        throw new FileError(path, reasonOf(error), { cause: error });
      }
    },
  };
}

async function matching(pattern: string): Promise<string[]> {
  const paths = (await Array.fromAsync(glob(pattern))).sort();
  const infos = await Promise.all(paths.map((path) => Deno.stat(path)));
  return paths.filter((_, i) => infos[i].isFile);
}

async function imagesBelow(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  const files: string[] = [];
  for (const { name, isDirectory } of entries) {
    const path = `${folder.replace(/[/\\]$/, "")}/${name}`;
    if (isDirectory) files.push(...await imagesBelow(path));
    else if (imageName.test(name)) files.push(path);
  }
  return files;
}

async function download(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  const stalled = () => abort.abort(new FileError(url, `no answer for ${stallMs / 1000} s`));
  let timer = setTimeout(stalled, stallMs);
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new FileError(url, `the server answered ${response.status} ${response.statusText}`);
    }
    return await collect(url, response.body, () => {
      clearTimeout(timer);
      timer = setTimeout(stalled, stallMs);
    });
  } catch (error) {
    if (isPermissionError(error) || error instanceof FileError) throw error;
    throw new FileError(url, reasonOf(error), { cause: error });
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

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "not readable (file permissions)";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder";
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n")[0];
}
