/**
 * Reads a stream of bytes without memory for each chunk.
 *
 * @module
 */

import { release } from "../image/release.ts";

/** Reads chunks; each is valid until the next is read. */
export interface ChunkReader {
  read(): Promise<Uint8Array | undefined>;
  cancel(reason: unknown): Promise<void>;
}

/** Size of the chunks that byte streams are read in. */
const chunkBytes = 2 ** 16;
/** Less for the first: clients may never send any. */
const firstChunkBytes = 2 ** 12;

/** Byte streams, as those of servers are, fill the same memory again and again. */
export function chunkReader(body: ReadableStream<Uint8Array<ArrayBuffer>>): ChunkReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    const reader = body.getReader();
    let last: Uint8Array | undefined;
    return {
      async read() {
        if (last) release(last);
        return last = (await reader.read()).value;
      },
      cancel: (reason) => reader.cancel(reason),
    };
  }
  let buffer = new ArrayBuffer(firstChunkBytes);
  return {
    async read() {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      buffer = value?.buffer.byteLength === chunkBytes ? value.buffer : new ArrayBuffer(chunkBytes);
      return done ? undefined : value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}
