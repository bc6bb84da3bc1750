/**
 * HTTP downloads, as a whole or chunk by chunk.
 *
 * @module
 */

import { FileError, TooLargeError } from "../errors.ts";
import { redactUrl, redactUrls } from "./redact.ts";

/** Options of {@linkcode request}. */
interface RequestOptions {
  /** Cancels the request and its body, which then reject with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds without a byte before the request times out. Default: 30 000. The speed of the
   * server is measured over the same time.
   */
  readonly stallMs?: number;
  /** Headers of the request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Slower servers are refused. */
const minBytesPerSecond = 1024;

/** An HTTP response with an error status. */
export class HttpError extends FileError {
  /** The class's name. */
  override name = "HttpError";

  /**
   * Creates an error for a response.
   *
   * @param file The URL.
   * @param status The status code.
   * @param statusText The status message.
   * @param headers The response headers.
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

/** Bytes that arrive in chunks. */
export interface Chunks {
  /** The next chunk; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** Stops reading. */
  cancel(): Promise<void>;
}

/** Options of {@linkcode readChunks}. */
interface ReadOptions {
  /** Cancels the stream; `next()` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Reads every chunk into the same memory where the stream supports it, so that none is left to
   * the garbage collector. Each chunk is valid only until the next one is requested.
   */
  readonly reuseBuffer?: boolean;
}

/** The size of a buffer that is reused. */
const bufferBytes = 2 ** 17;

/** The chunks of a stream. */
export function readChunks(
  stream: ReadableStream<Uint8Array>,
  { signal, reuseBuffer = false }: ReadOptions = {},
): Chunks {
  const byob = reuseBuffer ? byobReader(stream) : undefined;
  if (!byob) {
    const reader = stream.getReader(); // not `for await`: streams are not iterable in Safari
    return cancelOnAbort(reader, async () => (await reader.read()).value, signal);
  }
  let buffer = new ArrayBuffer(bufferBytes);
  return cancelOnAbort(byob, async () => {
    const { done, value } = await byob.read(new Uint8Array(buffer));
    if (value) buffer = value.buffer;
    return done ? undefined : value;
  }, signal);
}

/** A reader that fills the caller's buffers; undefined unless it is a byte stream. */
function byobReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

/** The chunks of a reader, which is cancelled when the signal aborts. */
function cancelOnAbort(
  reader: { cancel(reason?: unknown): Promise<void> },
  read: Chunks["next"],
  signal: AbortSignal | undefined,
): Chunks {
  const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
  const stopListening = () => signal?.removeEventListener("abort", onAbort);
  signal?.addEventListener("abort", onAbort);
  return {
    async next() {
      const chunk = await read().finally(() => signal?.throwIfAborted());
      if (!chunk) stopListening();
      return chunk;
    },
    cancel() {
      stopListening();
      return reader.cancel();
    },
  };
}

/**
 * Requests an http or https URL. If Deno denies access to the host, its own error passes through.
 *
 * @param url The URL. Without its password, it is also the file name in errors.
 * @returns The response and its body. The caller must read the body to the end or cancel it.
 * @throws {HttpError} When the response has an error status.
 * @throws {FileError} When no response arrives, or, from `next()`, when the body breaks off.
 */
export async function request(
  url: string,
  { signal, stallMs = 30_000, headers }: RequestOptions = {},
): Promise<{ readonly response: Response; readonly body: Chunks }> {
  const name = redactUrl(url), watch = new RequestWatch(name, stallMs, signal);
  const response = await watch.wait(() => fetch(url, { signal: watch.signal, headers }));
  if (!response.ok || !response.body) {
    watch.end();
    await response.body?.cancel();
    throw new HttpError(name, response.status, response.statusText, response.headers);
  }
  const chunks = readChunks(response.body);
  return {
    response,
    body: {
      async next() {
        const start = performance.now();
        const chunk = await watch.wait(chunks.next);
        if (chunk) watch.checkRate(chunk.length, performance.now() - start);
        else watch.end();
        return chunk;
      },
      async cancel() {
        watch.end();
        await chunks.cancel().catch(() => {}); // the connection may have failed before
      },
    },
  };
}

/** Aborts a request when the caller does, when no byte arrives, or when they arrive too slowly. */
class RequestWatch {
  readonly #abort = new AbortController();
  readonly #onAbort = () => this.#abort.abort(this.caller?.reason);
  #waitedMs = 0;
  #received = 0;

  constructor(
    readonly name: string,
    readonly stallMs: number,
    /** The signal of the caller. */
    readonly caller: AbortSignal | undefined,
  ) {
    caller?.throwIfAborted();
    caller?.addEventListener("abort", this.#onAbort);
  }

  /** The signal of the request. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits for the response, or the next bytes of its body. */
  async wait<T>(run: () => Promise<T>): Promise<T> {
    const timer = setTimeout(
      () => this.#stop(`no data received for ${this.stallMs / 1000} s`),
      this.stallMs,
    );
    try {
      return await run();
    } catch (error) {
      this.end();
      if (this.caller?.aborted) throw this.caller.reason;
      throw networkError(this.name, this.signal.aborted ? this.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Refuses a slow server. Only the time spent waiting counts: the caller may be slower. */
  checkRate(bytes: number, waitedMs: number): void {
    this.#waitedMs += waitedMs;
    this.#received += bytes;
    if (this.#waitedMs < this.stallMs) return;
    if (this.#received * 1000 < minBytesPerSecond * this.#waitedMs) {
      this.#stop(`the server sends less than ${minBytesPerSecond} bytes per second`);
      throw this.signal.reason;
    }
    this.#waitedMs = this.#received = 0;
  }

  /** Stops listening to the caller. */
  end(): void {
    this.caller?.removeEventListener("abort", this.#onAbort);
  }

  #stop(reason: string): void {
    this.#abort.abort(new FileError(this.name, reason));
  }
}

/**
 * The body of a response that the caller has requested, or undefined if it has none. The body must
 * be read to the end or cancelled. Chunks share memory, as with `reuseBuffer`.
 *
 * @param name The file name in errors.
 * @throws {HttpError} When the response has an error status.
 * @throws {FileError} When the body cannot be read, or, from `next()`, when it breaks off.
 */
export async function responseChunks(
  name: string,
  { ok, status, statusText, headers, type, body, bodyUsed }: Response,
  signal?: AbortSignal,
): Promise<Chunks | undefined> {
  if (type === "opaque" || type === "opaqueredirect") {
    throw new FileError(name, `the response is ${type}: its bytes are hidden from this page`);
  }
  if (bodyUsed || body?.locked) {
    throw new FileError(
      name,
      "the response body has already been read: pass a new response, or a clone()",
    );
  }
  if (!ok) {
    await body?.cancel();
    throw new HttpError(name, status, statusText, headers);
  }
  if (!body) return undefined;
  const chunks = readChunks(body, { signal, reuseBuffer: true });
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

/** The size of a response body in bytes, if the headers tell. */
export function contentLength({ headers }: Response): number | undefined {
  const length = headers.get("content-length");
  // With a content-encoding, the header counts the compressed bytes.
  return length && !headers.has("content-encoding") ? Number(length) : undefined;
}

/**
 * Downloads an http or https URL into memory.
 *
 * @param url The URL. Without its password, it is also the file name in errors.
 * @param maxBytes Larger files are rejected.
 * @throws {FileError} When the {@linkcode request} fails or the file is too large.
 */
export async function download(url: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return await collect(redactUrl(url), (await request(url)).body, maxBytes);
}

/**
 * Reads all chunks into memory.
 *
 * @param name The file name in errors.
 * @throws {FileError} When there are more than `maxBytes`. The rest is not read.
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
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** The error for a file above the size limit. */
export function tooLarge(name: string, maxBytes: number): FileError {
  return new TooLargeError(name, `larger than ${maxBytes / 2 ** 20} MiB`);
}

/** Wraps an error of `fetch()` so that it names the URL; permission errors pass through. */
function networkError(url: string, error: unknown): unknown {
  const denied = "Deno" in globalThis && error instanceof Deno.errors.NotCapable;
  if (error instanceof FileError || denied) return error;
  const reason = networkReason(error), safe = redactUrls(reason);
  // Where the reason has a password, the cause has it, too.
  return new FileError(url, safe, safe === reason ? { cause: error } : {});
}

/** Why `fetch()` failed, without the URL. The message may be only "fetch failed". */
function networkReason(error: unknown): string {
  const { message } = error instanceof TypeError && error.cause instanceof Error
    ? error.cause
    : error instanceof Error
    ? error
    : { message: String(error) };
  return message.replace(/\s*\n\s*/g, " ")
    .replace(/^error sending request for url \(\S*\): (client error \(\w+\): )?/, "");
}
