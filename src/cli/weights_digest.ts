/** Identifies the weights of a model. */

import { createHash } from "node:crypto";
import { digestOf } from "../hub/digest.ts";
import { type Chunks, contentLength, request } from "../io/download.ts";
import { redactUrl } from "../io/redact.ts";
import { fileSource } from "../weights/io/file_source.ts";
import type { ByteSource } from "../weights/io/source.ts";
import { streamSource } from "../weights/io/stream_source.ts";
import { openWeights } from "../weights/open.ts";
import { type Digest, sha256 } from "./feature_cache.ts";
import { pathOf } from "./inputs.ts";
import type { SelectedModel } from "./model.ts";

/**
 * The SHA-256 of a file of weights. Of several files, that of their SHA-256s one after the other: an
 * index holds no weights. The weights of a download must be loaded.
 */
export async function weightsDigest(
  { place, digest }: Pick<SelectedModel, "place" | "digest">,
): Promise<Digest> {
  if (digest) return await digest();
  const digests: Digest[] = [];
  for (const path of await filesOf(place!)) {
    using file = await Deno.open(path);
    digests.push(await digestOf(file, "sha256"));
  }
  return digests.length === 1 ? digests[0] : sha256(...digests);
}

/** A file, and those that it refers to: the shards of an index, or the data of an ONNX model. */
async function filesOf(place: string | URL): Promise<(string | URL)[]> {
  const source = await fileSource(place), files = [place];
  const sibling = async (name: string) => {
    const other = await source.sibling!(name);
    files.push(pathOf(other.name));
    return other;
  };
  (await openWeights({ ...source, sibling })).close();
  return files;
}

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
