/**
 * Downloading a large file so that nothing that arrived is fetched twice.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { type Chunks, contentLength, HttpError, request } from "../io/download.ts";
import { FileError } from "../errors.ts";
import { wait } from "../io/wait.ts";

/** What a file must be, and how to fetch it. */
export interface FetchFileOptions {
  /** SHA-256 of the file in hexadecimal digits. */
  readonly sha256: string;
  /** How many bytes it has, if that is known. */
  readonly bytes?: number;
  /** Ends it, with the signal's reason; what has arrived stays. */
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which an attempt is given up. Default 30 000. */
  readonly stallMs?: number;
  /** Attempts after the first that bring next to nothing before all is given up. Default 4. */
  readonly retries?: number;
  /** Milliseconds before the second attempt; each further one waits twice as long. Default 500. */
  readonly backoffMs?: number;
  /** Called with the bytes that are there and, if that is known, how many there will be. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** Called with a line that says why there is another attempt. */
  readonly onRetry?: (reason: string) => void;
}

/** No server may ask for more patience than a minute. */
const mostPatience = 60_000;

/** An attempt that brings less than this has failed: 1 MiB. */
const worthwhile = 2 ** 20;

/** No weights are larger: 8 GiB. */
const mostBytes = 2 ** 33;

/**
 * Downloads a file to a path, going on with what is there already. It is verified at the end; a file
 * that is not what it should be is deleted.
 *
 * @throws {FileError} When the server does not have it, gives up too often, or has another one.
 */
export async function fetchFile(
  url: string,
  path: string,
  options: FetchFileOptions,
): Promise<void> {
  const { sha256, bytes, signal, onRetry } = options;
  using file = await Deno.open(path, { read: true, write: true, create: true });
  for (let again = false;; again = true) {
    const began = (await file.stat()).size;
    if (began > (bytes ?? began)) await file.truncate(0);
    const pieces = await fetchAll(url, file, options);
    const found = await hashOf(file, signal);
    if (found === sha256.toLowerCase()) return;
    await file.truncate(0);
    // pieces of two files may have met; one that came whole will not be another the next time
    if (again || (began === 0 && pieces === 1)) {
      await Deno.remove(path);
      throw new FileError(url, `is not the file wanted: its SHA-256 is ${found}, not ${sha256}`);
    }
    onRetry?.("the pieces do not make the file wanted");
  }
}

/** Attempts until all has arrived; returns how many it took. */
async function fetchAll(
  url: string,
  file: Deno.FsFile,
  options: FetchFileOptions,
): Promise<number> {
  const { retries = 4, backoffMs = 500, signal, bytes } = options;
  for (let pieces = 1, failures = 0, most = 0;; pieces++) {
    const before = (await file.stat()).size;
    if (before === bytes) return pieces;
    try {
      await fetchRest(url, file, before, options);
      return pieces;
    } catch (error) {
      if (!passes(error)) throw error;
      const { size } = await file.stat();
      // more than there ever was: a server without ranges begins anew each time
      failures = size - Math.max(before, most) >= worthwhile ? 1 : failures + 1;
      most = Math.max(most, size);
      if (failures > retries) throw givenUp(error, size);
      options.onRetry?.(error.reason);
      await wait(patience(error, backoffMs * 2 ** (failures - 1)), signal);
    }
  }
}

/** One attempt: asks for what is missing, and writes what comes. */
async function fetchRest(
  url: string,
  file: Deno.FsFile,
  have: number,
  options: FetchFileOptions,
): Promise<void> {
  const { bytes, signal, stallMs, onProgress } = options;
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (have > 0) headers.range = `bytes=${have}-`;
  let answer;
  try {
    answer = await request(url, { signal, stallMs, headers });
  } catch (error) {
    // the server has no more than that: either all is there, or the hash will not be right
    if (error instanceof HttpError && error.status === 416 && have > 0) return;
    throw error;
  }
  const { response, body } = answer;
  try {
    if (response.headers.has("content-encoding")) {
      throw new WrongFile(url, "is sent compressed, though it was asked for as it is");
    }
    const { from, total = bytes } = partOf(response);
    if (from !== have) await file.truncate(0);
    if (from !== have && from !== 0) {
      throw new FileError(url, `was asked for from byte ${have} on, and sends something else`);
    }
    if (total !== (bytes ?? total) || (total ?? 0) > mostBytes) {
      throw new WrongFile(
        url,
        `has ${total} bytes, ${bytes ?? `at most ${mostBytes}`} are expected`,
      );
    }
    await writeAll(url, file, body, from, total, onProgress);
  } finally {
    await body.cancel();
  }
}

/** Writes a body from a place on. */
async function writeAll(
  url: string,
  file: Deno.FsFile,
  body: Chunks,
  from: number,
  total: number | undefined,
  onProgress: FetchFileOptions["onProgress"],
): Promise<void> {
  let at = from;
  await file.seek(from, Deno.SeekMode.Start);
  for (let chunk; (chunk = await body.next());) {
    for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
    at += chunk.length;
    if (at > (total ?? mostBytes)) {
      throw new WrongFile(url, `sends more than ${total ?? mostBytes} bytes`);
    }
    onProgress?.(at, total);
  }
  if (at < (total ?? at)) throw new FileError(url, `broke off after ${at} of ${total} bytes`);
}

/** A server that has another file: to ask again is of no use. */
class WrongFile extends FileError {}

/** Where in the file an answer begins (undefined if it does not say), and how long the file is. */
function partOf(response: Response): { from?: number; total?: number } {
  if (response.status !== 206) return { from: 0, total: contentLength(response) };
  const range = response.headers.get("content-range") ?? "";
  const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  return {
    from: from === undefined ? undefined : Number(from),
    total: total === undefined || total === "*" ? undefined : Number(total),
  };
}

/** Whether another attempt may go better. */
function passes(error: unknown): error is FileError {
  if (error instanceof HttpError) {
    return error.status >= 500 || [408, 425, 429].includes(error.status);
  }
  return error instanceof FileError && !(error instanceof WrongFile);
}

function givenUp(error: FileError, size: number): FileError {
  const kept = size > 0
    ? `; ${(size / 1e6).toFixed(1)} MB have arrived, run it again to go on`
    : "";
  return new FileError(error.file, error.reason + kept, { cause: error });
}

/** How long to wait: as long as the server asks for, or twice as long each time. */
function patience(error: FileError, backoff: number): number {
  const asked = error instanceof HttpError ? Number(error.headers.get("retry-after")) * 1000 : 0;
  return Math.min(Math.max(asked || 0, backoff), mostPatience);
}

/** SHA-256 of a file that is open. */
async function hashOf(file: Deno.FsFile, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256"), piece = new Uint8Array(1 << 20);
  await file.seek(0, Deno.SeekMode.Start);
  for (let count; (count = await file.read(piece)) !== null;) {
    signal?.throwIfAborted();
    hash.update(piece.subarray(0, count));
  }
  return hash.digest("hex");
}
