/**
 * Resumable, verified downloads of large files.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type Chunks, contentLength, HttpError, request } from "../io/download.ts";
import { redactUrl } from "../io/redact.ts";
import { wait } from "../io/wait.ts";
import { digestNames, digestOf, type FileDigest, mismatch } from "./digest.ts";

/** Options of a download. */
export interface FetchFileOptions {
  /** The hash that the file must have. */
  readonly digest: FileDigest;
  /** The size of the file in bytes, if known. */
  readonly bytes?: number;
  /** The largest size to accept if it is unknown. Default: 8 GiB. */
  readonly maxBytes?: number;
  /**
   * Cancels the download, which then rejects with the signal's reason. The bytes that have arrived
   * are kept.
   */
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte before an attempt times out. Default: 30 000. */
  readonly stallMs?: number;
  /** The number of retries without progress before the download fails. Default: 4. */
  readonly retries?: number;
  /** Milliseconds before the first retry; the wait doubles with each further one. Default: 500. */
  readonly backoffMs?: number;
  /** Called with the number of bytes so far and, if known, in total. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** Called before each retry, with the reason in one line. */
  readonly onRetry?: (reason: string) => void;
}

/** The longest wait that a server may ask for. */
const maxRetryDelayMs = 60_000;

/** An attempt makes progress if it downloads at least 1 MiB. */
const minProgressBytes = 2 ** 20;

/** The default limit of a file of unknown size: 8 GiB. */
const defaultMaxBytes = 2 ** 33;

/**
 * Downloads a file, resuming an interrupted download at the same path. The file is verified at the
 * end, and deleted if it is wrong. An incomplete one stays for the next call, whatever the server
 * answers.
 *
 * @returns The whole hash of the file, in hexadecimal digits.
 * @throws {FileError} When the server does not have the file, fails too often, or has another file.
 */
export async function fetchFile(
  url: string,
  path: string,
  options: FetchFileOptions,
): Promise<string> {
  using file = await openPart(path);
  try {
    return await fetchInto(url, file, options);
  } catch (error) {
    const { size } = await file.stat();
    // Keep what has arrived: the next call resumes and verifies it, whatever the server answered.
    // Other errors may come from a full disk.
    const isKept = error instanceof FileError || error instanceof Deno.errors.NotCapable ||
      isAbort(error, options.signal);
    if (size === 0 || !isKept) await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/** Opens an interrupted download, or creates the file. A link to another file is replaced. */
async function openPart(path: string): Promise<Deno.FsFile> {
  const info = await Deno.lstat(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const isOwn = info?.isFile && (info.nlink ?? 1) === 1;
  if (info && !isOwn) await Deno.remove(path);
  return await Deno.open(path, { read: true, write: true, createNew: !isOwn });
}

function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && error === signal.reason;
}

/** Downloads a file into an open one, and verifies it. */
async function fetchInto(
  url: string,
  file: Deno.FsFile,
  options: FetchFileOptions,
): Promise<string> {
  const { digest, bytes, signal, onRetry } = options;
  const name = redactUrl(url);
  for (let isRetry = false;; isRetry = true) {
    const startSize = (await file.stat()).size;
    if (startSize > (bytes ?? startSize)) await file.truncate(0);
    const attempts = await fetchAll(url, file, options);
    const actual = await digestOf(file, digest.kind, signal);
    const wrong = mismatch(digest, actual);
    if (!wrong) return actual;
    await file.truncate(0);
    // A resumed download may mix two versions of the file, so start over once.
    if (isRetry || (startSize === 0 && attempts === 1)) {
      throw new WrongFileError(name, `is not the expected file: ${wrong}`);
    }
    onRetry?.(`the resumed file has the wrong ${digestNames[digest.kind]}`);
  }
}

/** Retries until the whole file has arrived, and returns the number of attempts. */
async function fetchAll(
  url: string,
  file: Deno.FsFile,
  options: FetchFileOptions,
): Promise<number> {
  const { retries = 4, backoffMs = 500, signal, bytes } = options;
  for (let attempts = 1, failures = 0, maxSize = 0;; attempts++) {
    const before = (await file.stat()).size;
    if (before === bytes) return attempts;
    try {
      await fetchRest(url, file, before, options);
      return attempts;
    } catch (error) {
      if (!isRetryable(error)) throw error;
      const { size } = await file.stat();
      // Compare with the largest size so far: a server without ranges starts over each time.
      failures = size - Math.max(before, maxSize) >= minProgressBytes ? 1 : failures + 1;
      maxSize = Math.max(maxSize, size);
      if (failures > retries) throw finalError(error, size);
      options.onRetry?.(error.reason);
      await wait(retryDelay(error, backoffMs * 2 ** (failures - 1)), signal);
    }
  }
}

/** Makes one attempt to download the missing bytes. */
async function fetchRest(
  url: string,
  file: Deno.FsFile,
  offset: number,
  options: FetchFileOptions,
): Promise<void> {
  const { bytes, maxBytes = defaultMaxBytes, signal, stallMs } = options;
  const name = redactUrl(url);
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (offset > 0) headers.range = `bytes=${offset}-`;
  const result = await request(url, { signal, stallMs, headers }).catch((error) => {
    // There are no more bytes: either the file is complete, or its hash will be wrong.
    if (error instanceof HttpError && error.status === 416 && offset > 0) return undefined;
    throw error;
  });
  if (!result) return;
  const { response, body } = result;
  try {
    if (response.headers.has("content-encoding")) {
      throw new WrongFileError(name, "was sent compressed, although the request forbids it");
    }
    const { start, total = bytes } = contentRange(response);
    if (total !== (bytes ?? total) || (total ?? 0) > maxBytes) {
      throw new WrongFileError(
        name,
        `has ${total} bytes, expected ${bytes ?? `at most ${maxBytes}`}`,
      );
    }
    if (start !== offset) {
      if (isPage(response)) {
        throw new WrongFileError(name, "is a web page: does the network ask to log in?");
      }
      await file.truncate(0);
      if (start !== 0) {
        throw new FileError(name, `the server ignored the request to start at byte ${offset}`);
      }
    }
    await writeAll(name, file, body, { start, total }, options);
  } finally {
    await body.cancel();
  }
}

/** Writes a response body to the file, from the offset `start` on. */
async function writeAll(
  name: string,
  file: Deno.FsFile,
  body: Chunks,
  { start, total }: { readonly start: number; readonly total: number | undefined },
  { maxBytes = defaultMaxBytes, onProgress }: FetchFileOptions,
): Promise<void> {
  let size = start;
  await file.seek(start, Deno.SeekMode.Start);
  for (let chunk; (chunk = await body.next());) {
    for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
    size += chunk.length;
    if (size > (total ?? maxBytes)) {
      await file.truncate(0); // no part of the file
      throw new WrongFileError(name, `has more than ${total ?? maxBytes} bytes`);
    }
    onProgress?.(size, total);
  }
  if (size < (total ?? size)) {
    throw new FileError(name, `the connection was lost after ${size} of ${total} bytes`);
  }
}

/** The server has another file, so a retry is pointless. */
class WrongFileError extends FileError {}

/** The offset of a response's first byte, and the size of the whole file, if the headers tell. */
function contentRange(response: Response): { start?: number; total?: number } {
  if (response.status !== 206) return { start: 0, total: contentLength(response) };
  const range = response.headers.get("content-range") ?? "";
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  return {
    start: start === undefined ? undefined : Number(start),
    total: total === undefined || total === "*" ? undefined : Number(total),
  };
}

/** Whether a response is a web page, perhaps of a network that asks to log in. */
function isPage({ headers }: Response): boolean {
  return /^text\/html\b/i.test(headers.get("content-type") ?? "");
}

/** Whether another attempt may succeed. */
function isRetryable(error: unknown): error is FileError {
  if (error instanceof HttpError) {
    return error.status >= 500 || [408, 425, 429].includes(error.status);
  }
  return error instanceof FileError && !(error instanceof WrongFileError);
}

/** The error after the last attempt. */
function finalError(error: FileError, size: number): FileError {
  const hint = size > 0
    ? `; ${(size / 1e6).toFixed(1)} MB were downloaded, run it again to resume`
    : "";
  return new FileError(error.file, error.reason + hint, { cause: error });
}

/** Milliseconds before the next attempt: the backoff, or longer if the server asks for it. */
function retryDelay(error: FileError, backoff: number): number {
  const retryAfter = error instanceof HttpError
    ? Number(error.headers.get("retry-after")) * 1000
    : 0;
  return Math.min(Math.max(retryAfter || 0, backoff), maxRetryDelayMs);
}
