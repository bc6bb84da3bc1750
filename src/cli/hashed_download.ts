/** Downloads whose contents are identified. */

import { createHash } from "node:crypto";
import { type Chunks, contentLength, request } from "../io/download.ts";
import { redactUrl } from "../io/redact.ts";
import type { ByteSource } from "../weights/io/source.ts";
import { streamSource } from "../weights/io/stream_source.ts";
import type { Digest } from "./feature_cache.ts";

/** A download that can be read once and in order, and whose hash is computed as its bytes arrive. */
export interface HashedDownload {
  readonly source: ByteSource;
  /** The SHA-256 of the whole file. What was not read yet cannot be read afterwards. */
  digest(): Promise<Digest>;
}

/**
 * Starts a download.
 *
 * @throws {FileError} When no response arrives.
 */
export async function hashedDownload(url: string): Promise<HashedDownload> {
  const { response, body } = await request(url), hash = createHash("sha256");
  const chunks: Chunks = {
    async next() {
      const chunk = await body.next();
      if (chunk) hash.update(chunk);
      return chunk;
    },
    cancel: () => body.cancel(),
  };
  const source = await streamSource(chunks, redactUrl(url), contentLength(response));
  return {
    source,
    async digest() {
      let chunk: Uint8Array | undefined;
      do chunk = await chunks.next(); while (chunk);
      return hash.copy().digest("hex");
    },
  };
}
