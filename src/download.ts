/**
 * Fetching a file, whole.
 *
 * @module
 */

import { FileError } from "./errors.ts";

/** A download that stands still for this long is given up. */
const stallMs = 30_000;

/**
 * The bytes behind an http or https URL. What Deno throws when the host is not permitted passes
 * through untouched.
 *
 * @param url What to fetch; errors call the file by it.
 * @param maxBytes Larger files are given up.
 * @throws {FileError} When there is no answer, another one than the file, or too much of it.
 */
export async function download(url: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
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
    return await collect(url, response.body, maxBytes, () => {
      clearTimeout(timer);
      timer = setTimeout(stalled, stallMs);
    });
  } catch (error) {
    const denied = "Deno" in globalThis && error instanceof Deno.errors.NotCapable;
    if (error instanceof FileError || denied) throw error;
    throw new FileError(url, networkReason(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * All bytes of a stream.
 *
 * @param name What errors call it.
 * @param onChunk Called after each piece.
 * @throws {FileError} As soon as there are more than `maxBytes`.
 */
export async function collect(
  name: string,
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  onChunk = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader(); // not `for await`: Safari's streams are not iterable
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size > maxBytes) {
      await reader.cancel();
      throw tooLarge(name, maxBytes);
    }
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

/** Says that a file is not read because of its size. */
export function tooLarge(name: string, maxBytes: number): FileError {
  return new FileError(name, `larger than ${maxBytes / 2 ** 20} MiB`);
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
