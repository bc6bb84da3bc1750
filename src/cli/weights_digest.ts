/** Identifies the weights of a model. */

import { digestOf } from "../hub/digest.ts";
import { fileSource } from "../weights/io/file_source.ts";
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
