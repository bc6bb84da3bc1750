/**
 * Reads a stream of bytes without allocating memory for each chunk.
 *
 * @module
 */

import { release } from "../image/release.ts";

/** Reads chunks; each is valid until the next is read. */
export interface ChunkReader {
  /** Bytes of memory that the next read needs. */
  readonly bufferBytes: number;
  read(): Promise<Uint8Array | undefined>;
  cancel(reason: unknown): Promise<void>;
}

/** Memory for the first chunk of a byte stream: clients may never send any. */
const firstChunkBytes = 2 ** 12;
/** The memory doubles when a chunk fills it, up to this. */
const mostChunkBytes = 2 ** 16;

/** Returns a reader that reuses one buffer if the body is a byte stream, as on servers. */
export function chunkReader(body: ReadableStream<Uint8Array<ArrayBuffer>>): ChunkReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    return streamsOwnChunks(body.getReader());
  }
  return chunksInOneBuffer(reader);
}

/** Reads chunks that the stream allocates. */
function streamsOwnChunks(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): ChunkReader {
  return {
    bufferBytes: 0,
    read: async () => (await reader.read()).value,
    cancel: (reason) => reader.cancel(reason),
  };
}

/** Reads all chunks into the same buffer. */
function chunksInOneBuffer(reader: ReadableStreamBYOBReader): ChunkReader {
  let buffer = new ArrayBuffer(0), bufferBytes = firstChunkBytes;
  return {
    get bufferBytes() {
      return bufferBytes;
    },
    async read() {
      if (buffer.byteLength !== bufferBytes) {
        release(new Uint8Array(buffer));
        buffer = new ArrayBuffer(bufferBytes);
      }
      const { done, value } = await reader.read(new Uint8Array(buffer));
      buffer = value?.buffer ?? new ArrayBuffer(0);
      if (done) {
        release(new Uint8Array(buffer));
        bufferBytes = 0;
        return undefined;
      }
      if (value.length === bufferBytes) bufferBytes = Math.min(2 * bufferBytes, mostChunkBytes);
      return value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}
