/**
 * Fetching files over HTTP: whole, or piece by piece.
 *
 * @module
 */

import { FileError, TooLargeError } from "../errors.ts";

/** A server that says nothing for this long is given up. */
export const defaultStallMs = 30_000;

/** How a file is fetched. */
export interface FetchOptions {
  /** Ends it; what is waited for then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which it is given up. Default 30 000. */
  readonly stallMs?: number;
  /** Headers of the request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server's answer that is not the file. */
export class HttpError extends FileError {
  /** The class's name. */
  override name = "HttpError";

  /**
   * Says what the server answered.
   *
   * @param file The URL.
   * @param status The answer's number.
   * @param statusText What it is called.
   * @param headers What else the server said.
   */
  constructor(
    file: string,
    readonly status: number,
    statusText: string,
    readonly headers: Headers,
  ) {
    super(file, `the server answered ${status} ${statusText}`.trimEnd());
  }
}

/** Bytes that arrive piece by piece. */
export interface Chunks {
  /** The next piece; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** Takes no more of them. */
  cancel(): Promise<void>;
}

/** The pieces of a stream; once the signal is aborted, waiting for one rejects with its reason. */
export function chunksOf(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): Chunks {
  const reader = stream.getReader(); // not `for await`: Safari's streams are not iterable
  return untilAborted(reader, async () => (await reader.read()).value, signal);
}

/** Bytes of the pieces that are lent. */
const lentBytes = 2 ** 17;

/**
 * As {@linkcode chunksOf}, each piece to be used before the next is asked for: where the stream lets
 * them, all come in the same memory, and none is left to be collected.
 */
export function lentChunksOf(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): Chunks {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch { // its pieces are not bytes to it, but things that somebody made
    return chunksOf(stream, signal);
  }
  let buffer = new ArrayBuffer(lentBytes);
  return untilAborted(reader, async () => {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (value) buffer = value.buffer;
    return done ? undefined : value;
  }, signal);
}

function untilAborted(
  reader: { cancel(reason?: unknown): Promise<void> },
  read: Chunks["next"],
  signal: AbortSignal | undefined,
): Chunks {
  const aborted = () => void reader.cancel(signal?.reason).catch(() => {});
  const done = () => signal?.removeEventListener("abort", aborted);
  signal?.addEventListener("abort", aborted);
  return {
    async next() {
      const chunk = await read().finally(() => signal?.throwIfAborted());
      if (!chunk) done();
      return chunk;
    },
    cancel() {
      done();
      return reader.cancel();
    },
  };
}

/**
 * Asks for what is behind an http or https URL. What Deno throws when the host is not permitted passes
 * through untouched.
 *
 * @param url What to fetch; errors call the file by it.
 * @returns The answer, and its body. Whoever takes it reads the body to its end or cancels it.
 * @throws {HttpError} When the server answers with anything but success.
 * @throws {FileError} When there is no answer, or, later, no more of the body.
 */
export async function request(
  url: string,
  { signal, stallMs = defaultStallMs, headers }: FetchOptions = {},
): Promise<{ readonly response: Response; readonly body: Chunks }> {
  const abort = new AbortController();
  const cancelled = () => abort.abort(signal?.reason);
  const stalled = () => abort.abort(new FileError(url, `no answer for ${stallMs / 1000} s`));
  signal?.throwIfAborted();
  signal?.addEventListener("abort", cancelled);
  const done = () => signal?.removeEventListener("abort", cancelled);
  const inTime = async <T>(work: () => Promise<T>): Promise<T> => {
    const timer = setTimeout(stalled, stallMs);
    try {
      return await work();
    } catch (error) {
      done();
      if (signal?.aborted) throw signal.reason;
      throw networkError(url, abort.signal.aborted ? abort.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  };

  const response = await inTime(() => fetch(url, { signal: abort.signal, headers }));
  if (!response.ok || !response.body) {
    done();
    await response.body?.cancel();
    throw new HttpError(url, response.status, response.statusText, response.headers);
  }
  const chunks = chunksOf(response.body);
  return {
    response,
    body: {
      async next() {
        const chunk = await inTime(chunks.next);
        if (!chunk) done();
        return chunk;
      },
      async cancel() {
        done();
        await chunks.cancel().catch(() => {}); // it may have broken off before
      },
    },
  };
}

/**
 * The body of an answer that somebody else has asked for; undefined when there is none. Whoever takes
 * it reads it to its end or cancels it.
 *
 * @param name What errors call it.
 * @throws {HttpError} When the answer is anything but success.
 * @throws {FileError} When its body cannot be read, or, later, no more of it.
 */
export async function bodyOf(
  name: string,
  { ok, status, statusText, headers, type, body, bodyUsed }: Response,
  signal?: AbortSignal,
): Promise<Chunks | undefined> {
  if (type === "opaque" || type === "opaqueredirect") {
    throw new FileError(name, `the answer is ${type}: its bytes are hidden from this page`);
  }
  if (bodyUsed || body?.locked) {
    throw new FileError(
      name,
      "the body of the answer was read before: pass a fresh one, or a clone()",
    );
  }
  if (!ok) {
    await body?.cancel();
    throw new HttpError(name, status, statusText, headers);
  }
  if (!body) return undefined;
  const chunks = lentChunksOf(body, signal);
  return {
    async next() {
      try {
        return await chunks.next();
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        throw networkError(name, error);
      }
    },
    cancel: chunks.cancel,
  };
}

/** The bytes of a body, if it says how many there are. */
export function contentLength({ headers }: Response): number | undefined {
  const length = headers.get("content-length");
  // what was compressed for the way is counted as it was sent
  return length && !headers.has("content-encoding") ? Number(length) : undefined;
}

/**
 * All bytes behind an http or https URL.
 *
 * @param url What to fetch; errors call the file by it.
 * @param maxBytes Larger files are given up.
 * @throws {FileError} As {@linkcode request} does, or when there are too many of them.
 */
export async function download(url: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return await collect(url, (await request(url)).body, maxBytes);
}

/**
 * All bytes of what arrives piece by piece.
 *
 * @param name What errors call it.
 * @throws {FileError} As soon as there are more than `maxBytes`.
 */
export async function collect(
  name: string,
  body: Chunks,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let chunk; (chunk = await body.next());) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) {
      await body.cancel();
      throw tooLarge(name, maxBytes);
    }
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Says that a file is not read because of its size. */
export function tooLarge(name: string, maxBytes: number): FileError {
  return new TooLargeError(name, `larger than ${maxBytes / 2 ** 20} MiB`);
}

/** An error that names the URL; a missing permission stays what it is. */
function networkError(url: string, error: unknown): unknown {
  const denied = "Deno" in globalThis && error instanceof Deno.errors.NotCapable;
  if (error instanceof FileError || denied) return error;
  return new FileError(url, networkReason(error), { cause: error });
}

/** `fetch()` says "fetch failed", and why in its cause, where the URL comes once more. */
function networkReason(error: unknown): string {
  const { message } = error instanceof TypeError && error.cause instanceof Error
    ? error.cause
    : error instanceof Error
    ? error
    : { message: String(error) };
  return message.replace(/\s*\n\s*/g, " ")
    .replace(/^error sending request for url \(\S*\): (client error \(\w+\): )?/, "");
}
